"""One pass over the images gives every layer what `--layer` gives it, and scores that follow what a layer knows."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from iin_cli.data import open_dataset
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation import grouping
from iin_cli.interpretation.opening import open_network
from iin_cli.io import checkpoint
from iin_cli.latents.cache import as_images
from iin_cli.progress import Silent
from iin_cli.registry import find
from iin_cli.sizing import evidence
from iin_cli.sizing import layers as layer_sweep
from iin_cli.sizing.estimate_dims import estimate_dims
from iin_cli.sizing.layer_features import LayerFeatures, read_layers
from iin_cli.sizing.layers import sweep_layers

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(layer_sweep, "RESAMPLES", 5)
    monkeypatch.setattr(evidence.weigh, "__defaults__", (5, 99))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A squeezenet for images of 32², the smallest of torchvision, in a checkpoint."""
    config = {"model": "squeezenet1_1", "classes": ["a", "b", "c"], "image_size": 32, "crop_size": 32}
    found = find("backbones", "squeezenet1_1")
    full = found.factory.pretrained(found.argument, "none").config
    model = found.factory.from_config({**full, **config})
    path = tmp_path_factory.mktemp("network") / "net.safetensors"
    data = {"name": None, "root": None, "fingerprint": "0"}
    metadata = {"kind": "backbone", "name": "squeezenet1_1", "config": model.config, "data": data}
    checkpoint.save(path, model.state_dict(), metadata)
    return path


def test_every_layer_gives_in_one_pass_what_it_gives_alone(network, pictures):
    backbone = open_network(str(network)).backbone
    layers = backbone.layers()
    dataset = open_dataset(str(pictures))
    batches = [dataset.images(np.arange(start, start + 3), 32) for start in (0, 3)]
    with Silent().task("", 1) as task, read_layers(backbone, layers, iter(batches), CPU, task) as features:
        assert tuple(features.widths) == layers
        images = as_images(np.concatenate(batches))
        for layer in layers:
            expected = backbone.at_layer(layer).encode(images)
            assert expected.shape == (6, features.widths[layer])
            np.testing.assert_allclose(features[layer], expected, atol=1e-5, rtol=1e-4)
        folder = features._folder
    assert not folder.exists()
    assert not any(module._forward_hooks for module in backbone.modules())


@pytest.fixture
def sweep(network, pictures, monkeypatch):
    """Sweep every fifth layer."""
    factory = find("backbones", "squeezenet1_1").factory
    every = factory.layers
    monkeypatch.setattr(factory, "layers", lambda backbone: every(backbone)[::5])

    def run(*concepts, **options):
        return sweep_layers(str(network), concepts, **{"data": str(pictures), "seed": 0, "n": 60, **options})

    return run


def test_a_sweep_scores_plots_and_keeps(sweep, tmp_path):
    result = sweep("color", "greyscale", out=tmp_path / "out")
    assert list(result.evidence) == list(result.widths)
    first = next(iter(result.evidence.values()))
    assert set(first) == {"color", "greyscale"}
    # Bars of four colours, in any layer of a network that keeps colours at all.
    assert first["color"].found
    assert first["greyscale"].score.items == 30
    with Image.open(tmp_path / "out" / "layers.png") as picture:
        assert min(picture.size) > 300
    kept = json.loads((tmp_path / "out" / "layers.json").read_text())
    assert kept == json.loads(json.dumps(result.as_dict()))
    assert kept["layers"] == list(result.widths)
    ((title, rows),) = result.tables()
    assert title == "layers"
    assert len(rows) == 2 * len(result.widths)


def test_a_sweep_agrees_with_one_layer_and_with_itself(sweep, network, pictures, tmp_path, monkeypatch):
    result = sweep("class", n=96, out=tmp_path / "one.json")
    again = sweep("class", n=96, out=tmp_path / "two.json")
    assert json.loads((tmp_path / "one.json").read_text())["n"] == 96
    assert result.evidence == again.evidence
    monkeypatch.setattr(grouping, "MOST_NEEDED", 4)
    layer = list(result.widths)[1]
    alone = estimate_dims(str(network), ["class"], data=str(pictures), layer=layer, seed=0)
    # Theirs leaves the held-out images out.
    assert alone.evidence["class"].score.value == pytest.approx(result.evidence[layer]["class"].score.value, abs=0.05)


def test_one_file_holds_the_plot(sweep, tmp_path):
    sweep("class", out=tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.format == "PNG"
    with pytest.raises(UsageError, match=r"ends in \.png or \.json"):
        sweep("class", out=tmp_path / "table.csv")


def test_a_dead_layer_is_recorded_and_the_others_are_scored(sweep, tmp_path, monkeypatch):
    def dead(features, layer):
        values = original(features, layer)
        return values * 0 if layer == list(features.widths)[1] else values

    original = LayerFeatures.__getitem__
    monkeypatch.setattr(LayerFeatures, "__getitem__", dead)
    result = sweep("class", out=tmp_path / "out")
    name = list(result.widths)[1]
    assert result.failed == {name: {"class": "the latents do not vary: every item has the same z"}}
    assert "class" in result.evidence[list(result.widths)[2]]
    assert json.loads((tmp_path / "out" / "layers.json").read_text())["failed"] == result.failed


def test_a_layer_that_one_image_dominates_is_named(heard, sweep, tmp_path, monkeypatch):
    def stretched(features, layer):
        values = original(features, layer).copy()
        if layer in list(features.widths)[1:3]:
            values[4] *= 200
        return values

    assert sweep("class", out=tmp_path / "clean").dominance == {}
    original = LayerFeatures.__getitem__
    monkeypatch.setattr(LayerFeatures, "__getitem__", stretched)
    result = sweep("class", out=tmp_path / "out", report=heard)
    names = list(result.widths)
    assert list(result.dominance) == names[1:3]
    kept = json.loads((tmp_path / "out" / "layers.json").read_text())["dominance"]
    assert {layer: list(found["items"]) for layer, found in kept.items()} == {
        layer: list(found.items) for layer, found in result.dominance.items()
    }
    lines = [line for line in heard.warnings if "dominated" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"the scores of 2 of {len(names)} layers are dominated by few items; ")
    assert ".png (" in lines[0]


def test_what_cannot_be_swept(files, pictures, sweep):
    with pytest.raises(UsageError, match="autoencoder has one latent only; leave --all-layers out"):
        sweep_layers(str(files.autoencoder), ["class"], data=str(pictures))
    with pytest.raises(DataError, match="needs the label 'digit'"):
        sweep("digit")
