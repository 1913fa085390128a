import json

import pytest
import torch

from iin_cli.commands.edit.erase import erase_factors
from iin_cli.editing.erasing import Erasing, describe_erased, erase
from iin_cli.errors import CheckpointError, DataError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_network, open_translator
from iin_cli.io import checkpoint
from iin_cli.translator.erasing import Leftovers
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator


def save_translator(path, files, backbone, dims=None, layer=None):
    """A translator of `backbone`, in a file of its own."""
    found = checkpoint.load(files.of_classes)
    del found.metadata["digest"]
    tensors = found.tensors
    if dims is not None:
        translator = Translator(sum(dims.values()), blocks=1, hidden=4, depth=0)
        tensors = translator.state_dict()
        found.metadata.update(config=translator.config, factors=Factors.of(dims).as_json())
    source = {"source": str(backbone), "sha256": checkpoint.digest(backbone), "layer": layer}
    checkpoint.save(path, tensors, {**found.metadata, "backbone": source})
    return path


def test_what_is_written_holds_nothing_of_the_factor_and_needs_no_other_file(files, tmp_path):
    (tmp_path / "classifier.safetensors").write_bytes(files.classifier.read_bytes())
    given = save_translator(tmp_path / "t.safetensors", files, tmp_path / "classifier.safetensors")
    opened = open_translator(given)
    result = erase_factors(given, Erasing(("color",)), tmp_path / "out", choice=DataChoice(n=24))
    for path in tmp_path.glob("*.safetensors"):
        path.unlink()
    network = open_network(tmp_path / "out")
    assert (network.name, network.sha256, network.data["name"]) == ("erased", result.sha256, "digits")
    assert network.classes == tuple("abcde")
    images = torch.rand(5, 3, 32, 32) * 2 - 1
    z = network.encode(images)
    z_tilde = opened.transform(z)
    assert z_tilde[:, opened.factors.slice("color")].abs().max() < 1e-4
    whole = opened.transform(opened.network.encode(images))
    torch.testing.assert_close(z_tilde[:, :3], whole[:, :3], atol=1e-4, rtol=1e-4)
    # The answer is that of the network at the erased z, whatever colour a latent has.
    torch.testing.assert_close(network.answers(z), opened.network.answers(z), atol=1e-4, rtol=1e-4)
    other = whole.clone()
    other[:, opened.factors.slice("color")] += 2
    torch.testing.assert_close(
        network.answers(opened.inverse_transform(other)), network.answers(z), atol=1e-4, rtol=1e-4
    )
    assert result.effect.images == 24
    assert result.effect.exchanged_after == 0
    assert json.loads((tmp_path / "out" / "result.json").read_text())["effect"]["images"] == 24


def test_answers_are_averaged_over_draws(files, tmp_path):
    opened = open_translator(files.of_classes)
    network = erase(opened, Erasing(("color",), draws=3, seed=5))
    z_tilde = torch.randn(4, 8)
    values = torch.randn(3, 2, generator=torch.Generator().manual_seed(5))
    answers = []
    for value in values:
        z_tilde[:, opened.factors.slice("color")] = value
        answers.append(opened.network.answers(opened.inverse_transform(z_tilde)).exp())
    found = network.answers(opened.inverse_transform(z_tilde)).exp()
    torch.testing.assert_close(found, torch.stack(answers).mean(0), atol=1e-5, rtol=1e-4)
    # The draws are part of the file.
    erase_factors(files.of_classes, Erasing(("color",), 3, 5), tmp_path / "e.safetensors", choice=DataChoice(n=4))
    again = open_network(tmp_path / "e.safetensors").answers(opened.inverse_transform(z_tilde)).exp()
    torch.testing.assert_close(again, found, atol=1e-6, rtol=0)


def test_images_are_drawn_without_the_factor_and_can_be_erased_twice(files, tmp_path):
    erase_factors(files.of_images, Erasing(("color",)), tmp_path / "a.safetensors", choice=DataChoice(n=4))
    second = save_translator(tmp_path / "t.safetensors", files, tmp_path / "a.safetensors")
    result = erase_factors(second, Erasing(("digit",), draws=2), tmp_path / "b.safetensors", choice=DataChoice(n=4))
    assert result.effect.changed is None
    assert result.effect.exchanged_after < 1e-4 < result.effect.exchanged_before
    drawn = open_network(tmp_path / "b.safetensors").answers(torch.randn(2, 8))
    assert drawn.shape == (2, 3, 32, 32)


def test_a_network_cut_at_a_layer(files, tmp_path):
    layer = "encoder.features.3"
    dims = {"color": 2, "residual": open_network(files.classifier, layer=layer).latent_dim - 2}
    given = save_translator(tmp_path / "t.safetensors", files, files.classifier, dims, layer)
    erase_factors(given, Erasing(("color",)), tmp_path / "e.safetensors", choice=DataChoice(n=4))
    opened, erased = open_translator(given), open_network(tmp_path / "e.safetensors")
    z = erased.encode(torch.rand(2, 3, 32, 32))
    assert opened.transform(z)[:, :2].abs().max() < 1e-3
    torch.testing.assert_close(erased.answers(z), opened.network.answers(z), atol=1e-3, rtol=1e-3)


def test_bad_input_leaves_nothing(files, tmp_path):
    out = tmp_path / "out"
    every = ("digit", "color", "residual")
    for factors, words in (((), "which factor"), (("digt",), "did you mean digit"), (every, "all factors")):
        with pytest.raises(UsageError, match=words):
            erase_factors(files.of_images, Erasing(factors), out)
    with pytest.raises(UsageError, match="without a backbone"):
        erase_factors(files.of_latents, Erasing(("digit",)), out)
    with pytest.raises(DataError, match="nowhere"):
        erase_factors(files.of_images, Erasing(("digit",)), out, choice=DataChoice("./nowhere"))
    assert not out.exists()


def test_a_translator_that_has_no_inverse_is_refused(files, tmp_path):
    erase_factors(files.of_classes, Erasing(("color",)), tmp_path / "e.safetensors", choice=DataChoice(n=4))
    found = checkpoint.load(tmp_path / "e.safetensors")
    found.tensors["eraser.translator.layers.0.scale"][1] = 0
    del found.metadata["digest"]
    checkpoint.save(tmp_path / "e.safetensors", found.tensors, found.metadata)
    with pytest.raises(CheckpointError, match="scale has a zero"):
        open_network(tmp_path / "e.safetensors")


def test_without_its_data_it_is_erased_and_says_so(files, tmp_path, heard):
    found = checkpoint.load(files.of_classes)
    found.metadata["data"] = {"name": "./gone", "root": None, "fingerprint": "0"}
    del found.metadata["digest"]
    checkpoint.save(tmp_path / "t.safetensors", found.tensors, found.metadata)
    result = erase_factors(tmp_path / "t.safetensors", Erasing(("color",)), tmp_path / "e.safetensors", report=heard)
    assert result.effect is None
    assert "not measured" in heard.warnings[-1]


def save_differing(path, files, pictures):
    """A translator of pictures whose colour is to be erased: of pairs with and without it."""
    given = save_translator(path, files, files.classifier)
    found = checkpoint.load(given)
    factors = Factors.of({"digit": 3, "greyscale": 2, "residual": 3}, relations={"greyscale": "differ"})
    metadata = {**found.metadata, "factors": factors.as_json(), "data": {"name": str(pictures), "root": None}}
    del metadata["digest"]
    metadata["data"]["fingerprint"] = "0"
    checkpoint.save(given, found.tensors, metadata)
    return given


def test_what_other_factors_keep_is_learned_from_the_data_saved_and_probed(files, pictures, tmp_path, cache):
    given = save_differing(tmp_path / "t.safetensors", files, pictures)
    how = Erasing(("greyscale",), seed=2)
    choice = DataChoice(split="all", seed=2)
    result = erase_factors(given, how, tmp_path / "a.safetensors", choice=choice)
    assert result.leftovers["twin_distance"] < 0.9 * result.leftovers["twin_distance_before"]
    (told,) = result.told
    # Half of the pictures are asked about as they are, the others without colour.
    assert (told.concept, told.unit, told.items) == ("greyscale", "accuracy", 96)
    assert 0.4 < told.chance < 0.6
    assert {name for name, _ in result.tables()} == {
        "what probes tell from latents",
        "what erasing does to answers",
    }
    # What is saved is what was measured, and erasing again changes nothing.
    opened, network = open_translator(given), open_network(tmp_path / "a.safetensors")
    z = network.encode(torch.rand(4, 3, 32, 32) * 2 - 1)
    torch.testing.assert_close(network.backbone.erased(z), z, atol=1e-4, rtol=1e-4)
    raw = opened.network.encode(torch.rand(4, 3, 32, 32) * 2 - 1)
    alone = erase(opened, how).backbone.erased(raw)
    assert (network.backbone.erased(raw) - alone).abs().max() > 1e-3
    # One seed, one file.
    again = erase_factors(given, how, tmp_path / "b.safetensors", choice=choice)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert again.told == result.told


def test_leftovers_of_another_shape_are_refused(files, pictures, tmp_path, cache):
    given = save_differing(tmp_path / "t.safetensors", files, pictures)
    opened = open_translator(given)
    network = erase(opened, Erasing(("greyscale",)), Leftovers(2, 6, hidden=4))
    metadata = describe_erased(opened, network, Erasing(("greyscale",)))
    metadata["config"]["leftovers"]["hidden"] = 5
    checkpoint.save(tmp_path / "e.safetensors", network.backbone.state_dict(), metadata)
    with pytest.raises(CheckpointError, match=r"leftovers\.net"):
        open_network(tmp_path / "e.safetensors")
