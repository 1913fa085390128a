"""The recipes of `iin estimate-dims`: what is opened, refused and written; scores are tested in tests/sizing."""

import json

import pytest
from PIL import Image

from iin_cli.commands.make.estimate_dims import estimate_dims, estimate_layers
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.network_choice import NetworkChoice
from iin_cli.metrics.bootstrap import Resampling
from iin_cli.registry import find

pytestmark = pytest.mark.usefixtures("cache")

QUICK = Resampling(5, 99)


@pytest.fixture
def sweep(tmp_path, pictures, monkeypatch):
    """Sweep every tenth layer of a random squeezenet."""
    factory = find("backbones", "squeezenet1_1").factory
    every = factory.layers
    monkeypatch.setattr(factory, "layers", lambda backbone: every(backbone)[::10])
    network = NetworkChoice("squeezenet1_1", "none")

    def run(*concepts, out=None, n=24):
        data = DataChoice(str(pictures), n=n, seed=0)
        return estimate_layers(network, concepts, data, out, resampling=QUICK, device="cpu")

    return run


def test_one_latent(files, pictures):
    network, data = NetworkChoice(str(files.autoencoder)), DataChoice(str(pictures), seed=3)
    result = estimate_dims(network, ["class"], data, resampling=QUICK, device="cpu")
    assert (result.seed, result.estimator, result.latent_dim) == (3, "variance", 8)
    assert list(result.factors) == ["class", "residual"]
    assert result.images == result.available


def test_a_part_of_the_images_is_said(files, pictures, heard):
    network, data = NetworkChoice(str(files.autoencoder)), DataChoice(str(pictures), n=40, seed=3)
    result = estimate_dims(network, ["greyscale"], data, resampling=QUICK, device="cpu", report=heard)
    assert result.images == 40 < result.available < 96
    assert f"40 of {result.available} training images, drawn by seed 3; --n for more" in heard.notes
    assert result.facts()["estimated from"] == f"40 of {result.available} training images"
    assert "dominance" not in result.facts()


def test_what_cannot_be_estimated(files, pictures):
    network, data = NetworkChoice(str(files.autoencoder)), DataChoice(str(pictures))
    with pytest.raises(UsageError, match="did you mean variance"):
        estimate_dims(network, ["class"], data, estimator="varianc")
    with pytest.raises(DataError, match="needs the label 'digit'"):
        estimate_dims(network, ["digit"], data)
    with pytest.raises(UsageError, match="unknown concept 'hue'"):
        estimate_dims(network, ["hue"], data)
    with pytest.raises(UsageError, match="--layer x: --all-layers looks at every layer"):
        estimate_layers(NetworkChoice(str(files.autoencoder), layer="x"), ["class"], data)


def test_a_sweep_is_plotted_and_kept(sweep, tmp_path):
    result = sweep("color", out=tmp_path / "out")
    with Image.open(tmp_path / "out" / "layers.png") as picture:
        assert min(picture.size) > 300
    kept = json.loads((tmp_path / "out" / "layers.json").read_text())
    assert kept == json.loads(json.dumps(result.as_dict()))
    assert kept["layers"] == list(result.widths)
    assert (kept["n"], kept["out"]) == (24, str(tmp_path / "out"))


def test_one_file_holds_the_plot_or_the_table(sweep, tmp_path):
    sweep("class", out=tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.format == "PNG"
    sweep("class", out=tmp_path / "one.json", n=30)
    assert json.loads((tmp_path / "one.json").read_text())["n"] == 30
    with pytest.raises(UsageError, match=r"ends in \.png or \.pdf or \.svg or \.json"):
        sweep("class", out=tmp_path / "table.csv")
