import csv
import json

import numpy as np
import pytest
from PIL import Image

from iin_cli.commands.edit.swap import swap
from iin_cli.errors import CheckpointError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.opening import open_translator

ALL = ["digit", "color", "residual"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for index in range(3):
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    return folder


def test_all_factors_give_the_source_itself(files, photos, tmp_path):
    """T⁻¹(T(z)) = z, so the image drawn must be the source's reconstruction."""
    out = tmp_path / "one.png"
    result = swap(files.of_images, ALL, [photos / "0.png"], [photos / "1.png"], out)
    opened = open_translator(files.of_images)
    z = opened.network.encode_pixels(np.asarray(Image.open(photos / "1.png"))[None])
    expected = opened.network.draw(z)[0]
    assert np.abs(np.asarray(Image.open(out)).astype(int) - expected).max() <= 1
    assert (result.out, result.count) == (str(out), 1)


def test_pairs_a_grid_of_all_combinations_and_a_record(files, photos, tmp_path):
    result = swap(files.of_images, ["digit"], [photos], [photos], tmp_path / "out", choice=DataChoice(seed=4))
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["grid.png", "pair-000.png", "pair-001.png", "pair-002.png", "swap.json"]
    grid = np.asarray(Image.open(tmp_path / "out" / "grid.png"))
    pair = np.asarray(Image.open(tmp_path / "out" / "pair-002.png"))
    # The last cell of the grid is target 2 with the factor of source 2, enlarged twice.
    assert (grid[-66:-2:2, -66:-2:2] == pair).all()
    record = json.loads((tmp_path / "out" / "swap.json").read_text())
    assert record["factors"] == ["digit"]
    assert record["seed"] == 4
    assert [edit["file"] for edit in record["edits"]] == names[1:4]
    assert result.count == 3


def test_unequal_counts_combine_all(files, photos, tmp_path):
    result = swap(files.of_images, ["digit"], [photos / "0.png", photos / "1.png"], [photos], tmp_path / "out")
    assert result.count == 6
    assert (tmp_path / "out" / "target-001-source-002.png").is_file()
    swap(files.of_images, ["digit"], [photos / "0.png"], [photos], tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.width > 4 * 64


def test_a_classifier_gives_predictions(files, tmp_path):
    result = swap(files.of_classes, ALL, out=tmp_path / "out", choice=DataChoice(n=5, seed=0))
    for edit in result.edits:
        assert sum(edit["after"].values()) == pytest.approx(1, abs=1e-5)
        assert edit["predicted_after"] == max(edit["after"], key=edit["after"].get)
        # With all factors swapped the target is the source.
        assert edit["predicted_after"] == edit["predicted_source"]
    flips = [edit["predicted_before"] != edit["predicted_after"] for edit in result.edits]
    assert result.changed == pytest.approx(np.mean(flips))
    with open(tmp_path / "out" / "swap.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert float(rows[0]["after.a"]) == pytest.approx(result.edits[0]["after"]["a"])
    assert not list((tmp_path / "out").glob("*.png"))


def test_bad_input_leaves_nothing(files, photos, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="which factor"):
        swap(files.of_images, [], out=out)
    with pytest.raises(UsageError, match="did you mean digit"):
        swap(files.of_images, ["digt"], out=out)
    with pytest.raises(UsageError, match="table of predictions"):
        swap(files.of_classes, ["digit"], out=tmp_path / "a.png")
    with pytest.raises(CheckpointError, match=r"gone\.safetensors"):
        swap(tmp_path / "gone.safetensors", ["digit"], out=out)
    assert list(tmp_path.iterdir()) == []


def test_a_moved_backbone_is_found_and_another_is_refused(files, photos, tmp_path):
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(files.autoencoder.read_bytes())
    result = swap(files.of_images, ["digit"], [photos], [photos], tmp_path / "out", backbone=moved)
    assert result.count == 3
    with pytest.raises(CheckpointError, match="is not the backbone"):
        swap(files.of_images, ["digit"], [photos], [photos], tmp_path / "no", backbone=files.classifier)


@pytest.mark.parametrize(("targets", "sources"), [(3, 3), (2, 3), (1, 1)])
@pytest.mark.parametrize("name", ["out", "out.png"])
def test_each_combination_is_decoded_once(files, photos, tmp_path, monkeypatch, targets, sources, name):
    decoded, draw = [], Network.draw
    monkeypatch.setattr(Network, "draw", lambda network, z, report=None: decoded.extend(z) or draw(network, z, report))
    images = [photos / f"{number}.png" for number in range(3)]
    swap(files.of_images, ["digit"], images[:targets], images[:sources], tmp_path / name)
    assert len(decoded) == targets * sources
