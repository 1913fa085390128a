"""Items as a translator sees them."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from iin_cli.data import open_dataset
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation import data_choice
from iin_cli.interpretation.data_choice import DataChoice, choose_items, describe_data, split_items
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData, Inputs
from iin_cli.progress import Silent


def chosen(translator, seed=1, report=None):
    return ChosenData(open_translator(translator), DataChoice(seed=seed), report or Silent())


def read(translator, n=None, **given):
    return chosen(translator, **given).read(n)


def test_latents_and_images_of_the_recorded_data(files):
    reading = read(files.of_images, n=60)
    assert len(reading) == len(reading.items) == 60
    assert set(reading.items) <= set(reading.dataset.splits["test"])
    assert reading.images.shape == (60, 32, 32, 3)
    assert torch.equal(reading.z_tilde, reading.opened.transform(reading.z))
    assert torch.allclose(reading.opened.inverse_transform(reading.z_tilde), reading.z, atol=1e-5)
    walks = reading.z_tilde[:6].view(2, 3, -1)
    assert torch.equal(
        reading.opened.inverse_transform(walks), reading.opened.inverse_transform(reading.z_tilde[:6]).view(2, 3, -1)
    )


def test_all_items_where_there_are_fewer_than_asked(files):
    assert len(read(files.of_images, n=10**6)) == len(read(files.of_images).dataset.splits["test"])
    assert np.array_equal(read(files.of_images, n=5).items, read(files.of_images, n=9).items[:5])


def test_few_items_are_told(heard, files):
    read(files.of_images, n=49, report=heard)
    assert heard.warnings == ["49 images of digits in test: intervals from so few are rough"]
    read(files.of_images, n=50, report=heard)
    assert len(heard.warnings) == 1


def test_it_needs_a_backbone(files):
    with pytest.raises(UsageError, match="without a backbone"):
        read(files.of_latents)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, color in enumerate(["red", "blue", "lime"]):
        Image.new("RGB", (50, 40), color).save(folder / f"{index}.png")
    return folder


def test_files_and_folders_in_the_order_given(files, photos):
    data = chosen(files.of_images)
    targets, sources = data.targets_and_sources([photos / "2.png", photos], [photos], 4)
    assert targets.pixels.shape == (4, 32, 32, 3)
    assert [name.rsplit("/")[-1] for name in targets.names] == ["2.png", "0.png", "1.png", "2.png"]
    assert (targets.pixels[0] == [0, 255, 0]).all()
    assert (sources.pixels[1] == [0, 0, 255]).all()


def test_what_is_not_given_comes_from_the_recorded_data(files, photos):
    data = chosen(files.of_images)
    targets, sources = data.targets_and_sources([], [], 4)
    assert len(targets) == len(sources) == 4
    assert len({*targets.names, *sources.names}) == 8
    digits = open_dataset("digits")
    items = [int(name[len("digits[") : -1]) for name in sources.names]
    assert set(items) <= set(digits.splits["test"].tolist())
    assert (digits.images(np.array(items), 32) == sources.pixels).all()
    again, _ = data.targets_and_sources([], [], 4)
    assert again.names == targets.names
    mine, drawn = data.targets_and_sources([photos], [], 4)
    assert (len(mine), len(drawn)) == (3, 3)
    assert drawn.names[0].startswith("digits[")


def test_without_a_number_there_are_as_many_as_the_data_has(files, pictures):
    data = chosen(files.of_images)
    here = data.split_items()
    data.dataset.splits = {**data.dataset.splits, "test": here[:7]}
    targets, sources = data.targets_and_sources([], [], None, 8)
    assert (len(targets), len(sources), len(data.starts([], None, 8))) == (3, 3, 7)
    assert len(data.starts([], None, 5)) == 5
    assert not {*targets.names} & {*sources.names}
    # A number that the user gave is taken as it is.
    with pytest.raises(DataError, match="fewer than the 8 needed"):
        data.starts([], 8, 5)


def test_items_of_a_split():
    digits = open_dataset("digits")
    assert len(split_items(digits, "all")) == 1797
    few, many = (choose_items(digits, "train", count, 5) for count in (3, 30))
    assert (many[:3] == few).all()
    assert len(set(many.tolist())) == 30
    with pytest.raises(UsageError, match="train, test, and all"):
        split_items(digits, "validation")
    with pytest.raises(DataError, match="fewer than the 5000"):
        choose_items(digits, "test", 5000, 0)


def test_missing_and_corrupt_images_are_named(files, tmp_path):
    data = chosen(files.of_images)
    with pytest.raises(DataError, match=r"no such image: .*gone\.png"):
        data.targets_and_sources([tmp_path / "gone.png"], [], 4)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG but not really")
    with pytest.raises(DataError, match=r"bad\.png"):
        data.targets_and_sources([tmp_path / "bad.png"], [], 4)


def test_deep_greys_are_read_as_in_the_recorded_data_else_by_themselves(heard, files, tmp_path):
    Image.fromarray(np.full((32, 32), 819, np.uint16)).save(tmp_path / "a.tif")
    network = open_translator(files.of_images).require_network()
    recorded = {"name": "x", "greys": {"whole": [0.0, 4095.0]}}
    assert (Inputs.of_files(network, [tmp_path / "a.tif"], recorded, heard).pixels == 51).all()
    assert heard.warnings == []
    assert (Inputs.of_files(network, [tmp_path / "a.tif"], report=heard).pixels == 204).all()
    (warning,) = heard.warnings
    assert "1023 as white" in warning


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_no_image(files, tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="not a regular file"):
        chosen(files.of_images).starts([tmp_path / "a.png"], 1)


def test_what_was_left_out_is_recorded_and_left_out_again(heard, photos, tmp_path):
    (photos / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="--skip-bad"):
        DataChoice(str(photos)).open(None)
    dataset = DataChoice(str(photos), skip_bad=True).open(None)
    recorded = describe_data(dataset, tmp_path)
    assert recorded["left_out"] == {"1.png": "not an image that Pillow knows"}
    assert json.loads(json.dumps(recorded)) == recorded
    assert DataChoice().open(recorded, heard).fingerprint == dataset.fingerprint
    assert "left out" in heard.warnings[0]
    # Data that the user names are other data.
    with pytest.raises(DataError, match="--skip-bad"):
        DataChoice(str(photos)).open(recorded)


def test_drawn_images_continue_one_order(files):
    data = chosen(files.of_images)
    assert data.draw(2).names + data.draw(3, skip=2).names == data.draw(5).names
    assert data.starts([], 2).names == data.draw(2).names


def test_the_data_is_opened_once_and_only_when_needed(files, photos, monkeypatch):
    opened = []
    monkeypatch.setattr(data_choice, "open_dataset", lambda *given: opened.append(given) or open_dataset(*given))
    data = chosen(files.of_images)
    data.targets_and_sources([photos], [photos], 4)
    data.starts([photos], 4)
    assert not opened
    data.draw(2), data.read(3), data.split_items()
    assert len(opened) == 1
