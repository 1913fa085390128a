import numpy as np
import pytest
from PIL import Image

from iin_cli.data import open_dataset
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.data_choice import choose_items, split_items
from iin_cli.interpretation.opening import open_translator

FROM_DATA = {"data": None, "data_root": None, "split": "test", "n": 4, "seed": 1}


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, color in enumerate(["red", "blue", "lime"]):
        Image.new("RGB", (50, 40), color).save(folder / f"{index}.png")
    return folder


def test_files_and_folders_in_the_order_given(files, photos):
    opened = open_translator(files.of_images)
    targets, sources = targets_and_sources(opened, [photos / "2.png", photos], [photos], **FROM_DATA)
    assert targets.pixels.shape == (4, 32, 32, 3)
    assert [name.rsplit("/")[-1] for name in targets.names] == ["2.png", "0.png", "1.png", "2.png"]
    assert (targets.pixels[0] == [0, 255, 0]).all()
    assert (sources.pixels[1] == [0, 0, 255]).all()


def test_what_is_not_given_comes_from_the_recorded_data(files, photos):
    opened = open_translator(files.of_images)
    targets, sources = targets_and_sources(opened, [], [], **FROM_DATA)
    assert len(targets) == len(sources) == 4
    assert len({*targets.names, *sources.names}) == 8
    digits = open_dataset("digits")
    items = [int(name[len("digits[") : -1]) for name in sources.names]
    assert set(items) <= set(digits.splits["test"].tolist())
    assert (digits.images(np.array(items), 32) == sources.pixels).all()
    again, _ = targets_and_sources(opened, [], [], **FROM_DATA)
    assert again.names == targets.names
    mine, drawn = targets_and_sources(opened, [photos], [], **FROM_DATA)
    assert (len(mine), len(drawn)) == (3, 3)
    assert drawn.names[0].startswith("digits[")


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
    opened = open_translator(files.of_images)
    with pytest.raises(DataError, match=r"no such image: .*gone\.png"):
        targets_and_sources(opened, [tmp_path / "gone.png"], [], **FROM_DATA)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG but not really")
    with pytest.raises(DataError, match=r"bad\.png"):
        targets_and_sources(opened, [tmp_path / "bad.png"], [], **FROM_DATA)
