"""cueconflict: labels from the files' names, and a test split of other outlines."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iin_cli.data import open_dataset
from iin_cli.data.cue_conflict import IMAGENET, imagenet_groups, open_cueconflict
from iin_cli.errors import DataError

REAL = Path(__file__).parents[3] / "shared" / "data"


def pictures(folder, nested=False):
    """Five pictures of each of three shapes, in two textures of either of two other things."""
    generator = np.random.default_rng(0)
    for shape in ("bear", "cat", "dog"):
        for number in range(1, 6):
            for texture in ("bear2", "clock1", "clock3"):
                place = folder / shape if nested else folder
                place.mkdir(parents=True, exist_ok=True)
                pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{shape}{number}-{texture}.png")
    return folder


@pytest.mark.parametrize("nested", [False, True])
def test_labels_are_those_of_the_names(tmp_path, nested):
    pictures(tmp_path / "cueconflict", nested)
    dataset = open_dataset("cueconflict", tmp_path)
    assert list(dataset.labels) == ["shape", "texture", "shape_image", "texture_image"]
    # Equal names make the two comparable.
    assert dataset.labels["shape"].names == dataset.labels["texture"].names == ("bear", "cat", "clock", "dog")
    item = next(i for i in range(len(dataset.sources)) if dataset.path(i).endswith("dog4-clock3.png"))
    named = {name: column.names[column.values[item]] for name, column in dataset.labels.items()}
    assert named == {"shape": "dog", "texture": "clock", "shape_image": "dog4", "texture_image": "clock3"}


def test_no_outline_is_in_both_splits_and_every_kind_is(tmp_path):
    dataset = open_cueconflict(pictures(tmp_path / "cueconflict").parent)
    outline, kind = (dataset.labels[name].values for name in ("shape_image", "shape"))
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert not set(outline[train]) & set(outline[test])
    assert set(kind[train]) == set(kind[test])
    assert sorted([*train, *test]) == list(range(45))


def test_what_is_missing_or_called_otherwise_is_one_line(tmp_path):
    with pytest.raises(DataError, match=re.escape(f"cueconflict is not at {tmp_path / 'cueconflict'}: get it from")):
        open_cueconflict(tmp_path)
    Image.new("RGB", (8, 8)).save(pictures(tmp_path / "cueconflict") / "portrait.png")
    with pytest.raises(DataError, match=r"portrait\.png is not called like cat7-clock2\.png"):
        open_cueconflict(tmp_path)


def test_the_sixteen_kinds_are_disjoint_classes_of_imagenet():
    classes = ["tench", *map(str, range(1, 1000))]
    groups = imagenet_groups(sorted(IMAGENET), classes)
    numbers = [number for group in groups for number in group]
    assert len(groups) == 16
    assert len(set(numbers)) == len(numbers)
    # The dogs of ImageNet lie at 151 to 268; 207 classes are counted by the authors, in a newer version 1 more or less.
    assert {len(group) for group in groups} >= {1, 2, 3, 4}
    assert all(151 <= number <= 268 for number in imagenet_groups(["dog"], classes)[0])
    assert imagenet_groups(["dog", "unicorn"], classes) is None
    assert imagenet_groups(["dog"], classes[1:]) is None


def test_the_kinds_are_called_so_by_torchvision():
    from torchvision.models import ResNet18_Weights

    classes = ResNet18_Weights.DEFAULT.meta["categories"]
    for kind, word in (("airplane", "airliner"), ("clock", "wall clock"), ("cat", "Persian cat"), ("knife", "cleaver")):
        assert word in [classes[number] for number in imagenet_groups([kind], classes)[0]]
    elephants = {classes[number] for number in imagenet_groups(["elephant"], classes)[0]}
    assert elephants == {"Indian elephant", "African elephant"}


@pytest.mark.skipif(not (REAL / "cueconflict").is_dir(), reason="the real images lie beside the repository, not in it")
def test_the_real_set_is_named_as_its_own_table_says():
    dataset = open_cueconflict(REAL)
    assert len(dataset.sources) == 1280
    assert len(dataset.labels["shape"].names) == 16
    assert len(np.unique(dataset.labels["shape_image"].values)) == 160
