"""Weights of the encoder from torch's cache, from files, at random; what cannot be used is said in one line."""

import pickle
import urllib.error

import pytest
import torch
from iin_cli.errors import CheckpointError, UsageError
from safetensors.torch import save_file

from iin_sketch.encoder_weights import default_file, open_encoder
from iin_sketch.networks import Encoder


@pytest.fixture
def state():
    """Weights of a VGG-19 four channels wide, with a classifier that is not needed."""
    torch.manual_seed(0)
    return {**Encoder(4).state_dict(), "classifier.0.weight": torch.zeros(2, 2)}


@pytest.mark.parametrize("name", ["vgg.pth", "vgg.safetensors"])
def test_a_file(tmp_path, state, say, name):
    path = tmp_path / name
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    opened = open_encoder(str(path), 16, say)
    assert opened.provenance == {"source": str(path), "sha256": opened.sha256, "width": 4}
    assert torch.equal(opened.encoder.features[2].weight, state["features.2.weight"])
    assert opened.encoder.gains == (1,) * 5
    assert "not torchvision's VGG-19" in say.warnings[0]


def test_the_default_is_found_in_torchs_cache(tmp_path, state, say):
    assert default_file() == tmp_path / "torch" / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth"
    default_file().parent.mkdir(parents=True)
    torch.save(state, default_file())
    opened = open_encoder("default", 16, say)
    assert opened.source == "default"
    assert not say.warnings


def test_without_network_one_line_says_what_to_place_where(monkeypatch, say):
    def offline(*arguments, **options):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(UsageError, match=r"place vgg19-dcbb9e9d\.pth in .*checkpoints, or use .* random") as told:
        open_encoder("default", 16, say)
    assert len(str(told.value).splitlines()) == 1


def test_random_weights_are_the_same_everywhere_and_said_aloud(say):
    one, other = open_encoder("random", 4, say), open_encoder("random", 4, say)
    assert one.sha256 == other.sha256
    assert one.encoder.gains[0] > 1
    assert "random weights, not VGG-19's" in say.warnings[0]


class Evil:
    def __reduce__(self):
        return (exit, (9,))


def test_unfit_files(tmp_path, state, say):
    def refused(value, match):
        torch.save(value, tmp_path / "w.pth")
        with pytest.raises(CheckpointError, match=match) as told:
            open_encoder(str(tmp_path / "w.pth"), 16, say)
        assert len(str(told.value).splitlines()) == 1

    refused({"conv1.weight": torch.zeros(1)}, "no VGG-19: it has no features.0.weight")
    refused({**state, "features.5.weight": torch.zeros(3, 3, 3, 3)}, r"another shape \(features\.5\.weight")
    refused({name: value for name, value in state.items() if name != "features.28.bias"}, "features.28.bias")
    refused([1, 2], "does not hold a network's weights")
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(CheckpointError, match=r"cannot be read.*: beside tensors it holds _sitebuiltins\.Quitter"):
        open_encoder(str(tmp_path / "w.pth"), 16, say)
    (tmp_path / "w.safetensors").write_bytes(b"short")
    with pytest.raises(CheckpointError, match=r"cannot be read.*: it is damaged, or holds more than tensors"):
        open_encoder(str(tmp_path / "w.safetensors"), 16, say)
    with pytest.raises(UsageError, match="no such file; write default, random"):
        open_encoder("nowhere.pth", 16, say)
