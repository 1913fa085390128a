import io
import math

import pytest
import torch

from iin_cli.backbones.classifier import Classifier, ClassifierRecipe
from iin_cli.backbones.encoder_decoder import Encoder
from iin_cli.errors import DataError, UsageError
from iin_cli.plugin_api import DataFacts


def bright_or_dark(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    noise = torch.rand(count, 3, 32, 32, generator=generator) * 0.6 - 0.3
    return noise + (labels * 1.0 - 0.5)[:, None, None, None], labels


def test_it_is_the_encoder_of_table_3_with_n_outputs_and_one_linear_layer():
    model = Classifier(32, ("a", "b", "c"), 64)
    assert sum(p.numel() for p in model.encoder.parameters()) == sum(p.numel() for p in Encoder(32, 64).parameters())
    assert model.head.weight.shape == (3, 64)
    z = torch.randn(5, 64)
    torch.testing.assert_close(model.decode(z), z @ model.head.weight.T + model.head.bias)


def test_encode_is_deterministic_and_config_rebuilds():
    model = Classifier(32, ("a", "b"), 8, base_channels=4)
    x, _ = bright_or_dark(6)
    model.train()(x)
    again = Classifier.from_config(model.config)
    again.load_state_dict(model.state_dict())
    assert again.classes == ("a", "b")
    assert torch.equal(model.eval().encode(x), again.eval().encode(x))
    assert model.posterior(x)[1] is None


def test_it_learns_and_validates_and_resumes_exactly():
    def train(model, recipe, first, last):
        for step in range(first, last):
            shown = recipe.step(*bright_or_dark(16, seed=step), step / 20)
        return shown

    model = Classifier(32, ("dark", "bright"), 8, base_channels=4)
    recipe = model.recipe(20, 0)
    train(model, recipe, 0, 10)
    weights, state = {k: v.clone() for k, v in model.state_dict().items()}, recipe.state_dict()
    state = torch.load(_saved(state), weights_only=True)
    shown = train(model, recipe, 10, 20)

    again = Classifier.from_config(model.config)
    again.load_state_dict(weights)
    resumed = again.recipe(20, 0)
    resumed.load_state_dict(state)
    assert train(again, resumed, 10, 20) == shown
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))

    held_out = recipe.validate(*bright_or_dark(64, seed=99))
    assert held_out["accuracy"] > 0.9
    assert held_out["cross_entropy"] < 0.69


def test_the_score_is_the_error_and_breaks_ties_by_cross_entropy():
    class Fixed(torch.nn.Linear):
        def forward(self, images):
            return images[:, :2, 0, 0] * self.bias

    def judged(scale, wrong):
        model = Fixed(1, 2)
        torch.nn.init.constant_(model.bias, scale)
        images = torch.zeros(4, 3, 1, 1)
        images[:, 0] = 1
        return ClassifierRecipe(model, 1, 0).validate(images, torch.tensor([0] * (4 - wrong) + [1] * wrong))

    sure, unsure, wrong = judged(3.0, 0), judged(0.1, 0), judged(0.1, 1)
    assert [found["accuracy"] for found in (sure, unsure, wrong)] == [1, 1, 0.75]
    assert sure["cross_entropy"] == pytest.approx(math.log(1 + math.exp(-3)), rel=1e-4)
    assert 0 < sure["score"] < unsure["score"] < 0.25 < wrong["score"] < 0.5


def test_bad_data_is_refused():
    for classes, message in ((("one",), "at least two classes, and the data has 1"), (None, "needs class labels")):
        with pytest.raises(DataError, match=message):
            Classifier.for_training(None, DataFacts(32, classes, 100), None)
    with pytest.raises(UsageError, match="image size 28"):
        Classifier.for_training(None, DataFacts(28, ("a", "b"), 100), None)
    model = Classifier(32, ("a", "b"), 8, base_channels=4)
    with pytest.raises(DataError, match="needs class labels"):
        model.recipe(5, 0).step(torch.zeros(2, 3, 32, 32), None, 0.0)


def _saved(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file
