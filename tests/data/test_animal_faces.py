"""AnimalFaces: class folders under the data root, faces of one photograph together."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iin_cli.data.animal_faces import find_animalfaces, open_animalfaces
from iin_cli.data.folder import FolderDataset
from iin_cli.errors import DataError

REAL = Path(__file__).parents[3] / "shared" / "data"


def save(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (10, 10, 3), dtype=np.uint8)).save(path)


def faces(folder, photographs=12):
    """Two faces cut out of every photograph of two kinds."""
    for place, kind in enumerate(("n02128757", "n02129165")):
        for number in range(photographs):
            for cut in range(2):
                save(folder / kind / f"{kind}_{number}.JPEG_{cut}_0_10_10.jpg", 100 * number + 10 * place + cut)
    return folder


@pytest.mark.parametrize("name", ["animalfaces", "AnimalFaces", "animalfaces10"])
def test_class_folders_under_any_of_its_names(tmp_path, name):
    faces(tmp_path / name)
    dataset = open_animalfaces(tmp_path)
    assert dataset.name == "animalfaces"
    # FID compares a user's folder whole, and of this only a split.
    assert not isinstance(dataset, FolderDataset)
    assert dataset.labels["class"].names == ("n02128757", "n02129165")
    assert dataset.images(np.arange(3), 8).shape == (3, 8, 8, 3)
    assert dataset.path(0).endswith("n02128757_0.JPEG_0_0_10_10.jpg")


def test_the_whole_set_wins_over_ten_kinds(tmp_path):
    faces(tmp_path / "animalfaces10", 2)
    assert find_animalfaces(tmp_path) == tmp_path / "animalfaces10"
    faces(tmp_path / "animalfaces", 2)
    assert find_animalfaces(tmp_path) == tmp_path / "animalfaces"


def test_faces_of_one_photograph_share_source_and_split(tmp_path):
    faces(tmp_path / "animalfaces")
    dataset = open_animalfaces(tmp_path)
    assert len(np.unique(dataset.sources)) == 24
    train, test = (set(dataset.sources[dataset.splits[split]]) for split in ("train", "test"))
    assert not train & test
    assert len(test) == 2
    assert len(dataset.splits["test"]) == 4


def test_train_and_test_above_the_kinds(tmp_path):
    faces(tmp_path / "animalfaces" / "train")
    save(tmp_path / "animalfaces" / "test" / "n02128757" / "n02128757_99.JPEG_0_0_9_9.jpg", 9999)
    dataset = open_animalfaces(tmp_path)
    assert dataset.labels["class"].names == ("n02128757", "n02129165")
    assert [dataset.path(index).split("_")[-5] for index in dataset.splits["test"]] == ["99.JPEG"]


def test_without_the_set_one_line_says_what_to_do(tmp_path):
    assert find_animalfaces(tmp_path) is None
    with pytest.raises(DataError, match="FUNIT") as caught:
        open_animalfaces(tmp_path)
    assert str(tmp_path / "animalfaces") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(find_animalfaces(REAL) is None, reason="the real images lie beside the repository, not in it")
def test_the_real_ten_kinds():
    dataset = open_animalfaces(REAL)
    assert len(dataset.labels["class"].names) == 10
    assert len(dataset.sources) == 898
    assert len(np.unique(dataset.sources)) == 895
    images = dataset.images(dataset.splits["test"][:20], 64)
    assert images.std() > 30
