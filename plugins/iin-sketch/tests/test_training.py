"""Training: every loss finite, the encoder untouched, the same from the same seed, exact resume, style gained."""

import numpy as np
import pytest
import torch
from iin_cli.data import open_dataset
from iin_cli.progress import Silent

from iin_sketch.encoder_weights import open_encoder
from iin_sketch.networks import Stylizer
from iin_sketch.sketches import StyleBank, read_sketch, shipped_pair
from iin_sketch.training import Content, StylizerTraining


@pytest.fixture
def work():
    dataset = open_dataset("digits")
    bank = StyleBank(np.stack([read_sketch(path) for path in shipped_pair()]), np.array([0.5, 0.5])).at(64)

    def build(seed=0):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            stylizer = Stylizer(4, 4, 32)
        stylizer.encoder = open_encoder("random", 4, Silent()).encoder
        fit, rest = (Content(dataset, dataset.splits[name], 40, 32) for name in ("train", "test"))
        return StylizerTraining(stylizer, fit, rest, bank, 4, seed, torch.device("cpu"))

    return build


def run(work, steps, first=0):
    return [work.step(step, step / 40) for step in range(first, first + steps)]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.weights().values(), other.weights().values(), strict=True))


def test_a_step_shows_finite_losses_and_leaves_the_encoder_alone(work):
    training = work()
    before = {name: value.clone() for name, value in training.weights().items()}
    shown = run(training, 2)[-1]
    assert set(shown) == {"content", "style", "identity", "realism", "discriminator"}
    assert np.isfinite(list(shown.values())).all()
    changed = {name.split(".")[0] for name, value in training.weights().items() if not torch.equal(value, before[name])}
    assert changed == {"fourth", "fifth", "merge", "decoder"}


def test_the_same_seed_trains_the_same(work):
    one, other, third = work(), work(), work(1)
    for training in (one, other, third):
        run(training, 2)
    assert same(one, other)
    assert not same(one, third)


def test_a_restored_run_goes_on_exactly(work):
    whole, half = work(), work()
    run(whole, 4)
    run(half, 2)
    rest = work(5)
    rest.seed = 0
    rest.load_state_dict(half.state_dict())
    run(rest, 2, first=2)
    assert same(whole, rest)


def test_training_gains_style(work):
    training = work()
    untrained = training.validate()
    assert untrained["heldout_content"] < 1e-6
    assert untrained["score"] == pytest.approx(5 * untrained["heldout_style"], rel=1e-3)
    run(training, 30)
    trained = training.validate()
    assert trained["heldout_style"] < 0.85 * untrained["heldout_style"]
    assert trained["score"] < untrained["score"]


def test_content_is_cut_at_random_and_reproducibly(pictures):
    dataset = open_dataset(str(pictures))
    content = Content(dataset, dataset.splits["train"], 40, 32)
    one, other = (content.crops(5, np.random.default_rng(3)) for _ in range(2))
    assert one.images.shape == (5, 3, 32, 32)
    assert torch.equal(one.images, other.images)
    assert not torch.equal(one.images, content.crops(5, np.random.default_rng(4)).images)
