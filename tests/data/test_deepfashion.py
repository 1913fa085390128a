"""DeepFashion's in-shop layout, with its list and without."""

import numpy as np
import pytest
from PIL import Image

from iin_cli.data.deepfashion import open_deepfashion
from iin_cli.errors import DataError

POSES = ("1_front", "2_side", "3_back", "7_additional")


def items():
    """Name and class of every item."""
    for number in range(24):
        yield f"id_{number:08}", ("WOMEN/Dresses", "MEN/Denim")[number % 2]


def build(root, images="Img/img"):
    for number, (item, category) in enumerate(items()):
        for place, pose in enumerate(POSES[: 2 + number % 3]):
            path = root / images / category / item / f"0{1 + number % 2}_{pose}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (10 * number, 60 * place, 99)).save(path)
    return root


def write_list(root, folder="Eval", images="Img/img"):
    rows = []
    for path in sorted((root / images).rglob("*.jpg")):
        item = path.parent.name
        number = int(item[3:])
        status = "train" if number < 16 else ("query", "gallery")[int(path.stem.split("_")[1]) % 2]
        rows.append(f"img/{path.relative_to(root / images).as_posix()}     {item}   {status}")
    (root / folder).mkdir(exist_ok=True)
    text = f"{len(rows)}\nimage_name item_id evaluation_status\n" + "\n".join(rows) + "\n"
    (root / folder / "list_eval_partition.txt").write_text(text)
    return root / folder / "list_eval_partition.txt"


@pytest.fixture
def set_of(tmp_path):
    return build(tmp_path / "deepfashion")


def labels_of(dataset):
    return {name: [label.names[value] for value in label.values] for name, label in dataset.labels.items()}


def test_labels_come_from_list_and_path(set_of, tmp_path):
    write_list(set_of)
    dataset = open_deepfashion(tmp_path)
    assert dataset.name == "deepfashion"
    found = labels_of(dataset)
    assert list(found) == ["item", "class", "pose"]
    for index in range(len(dataset.sources)):
        category, item, name = dataset.path(index).split("/img/")[1].rsplit("/", 2)
        assert (found["class"][index], found["item"][index]) == (category, item)
        assert found["pose"][index] == name.split("_")[2].removesuffix(".jpg")
    assert dataset.labels["pose"].names == ("additional", "back", "front", "side")
    assert dataset.images(np.arange(2), 8).shape == (2, 8, 8, 3)


def test_queries_and_gallery_are_the_test_split(set_of, tmp_path):
    write_list(set_of)
    dataset = open_deepfashion(tmp_path)
    item = dataset.labels["item"].values
    assert set(item[dataset.splits["train"]]) == set(range(16))
    assert set(item[dataset.splits["test"]]) == set(range(16, 24))
    together = np.sort(np.concatenate(list(dataset.splits.values())))
    np.testing.assert_array_equal(together, np.arange(len(item)))


def test_without_the_list_a_tenth_of_the_items_of_every_class_is_held_out(set_of, tmp_path):
    dataset = open_deepfashion(tmp_path)
    item, category = dataset.labels["item"].values, dataset.labels["class"].values
    train, test = (set(item[dataset.splits[split]]) for split in ("train", "test"))
    assert not train & test
    assert len(test) == 2
    assert set(category[dataset.splits["test"]]) == {0, 1}
    write_list(set_of)
    listed = open_deepfashion(tmp_path)
    assert labels_of(listed) == labels_of(dataset)
    assert listed.fingerprint != dataset.fingerprint


@pytest.mark.parametrize(
    ("images", "folder"), [("img", "Anno"), ("Img/img_highres", "Eval"), ("img_highres", "."), ("Img/img", ".")]
)
def test_other_places_of_images_and_list(tmp_path, images, folder):
    root = build(tmp_path / "DeepFashion", images)
    write_list(root, folder, images)
    assert len(open_deepfashion(tmp_path).splits["train"]) == 47


def test_what_does_not_agree_is_named(set_of, tmp_path):
    path = write_list(set_of)
    whole = path.read_text()
    path.write_text(whole.replace("query", "lookup"))
    with pytest.raises(DataError, match=r"list_eval_partition\.txt: .* is 'lookup', not train, query or gallery"):
        open_deepfashion(tmp_path)
    path.write_text(whole.replace("   train", "", 1))
    with pytest.raises(DataError, match=r"list_eval_partition\.txt, line \d+: 2 words instead of 3"):
        open_deepfashion(tmp_path)
    path.write_text(whole)
    (set_of / "Img" / "img" / "MEN" / "Denim" / "id_00000001" / "02_1_front.jpg").unlink()
    with pytest.raises(DataError, match=r"lists MEN/Denim/id_00000001/02_1_front\.jpg, which is not in"):
        open_deepfashion(tmp_path)


def test_another_layout_is_refused(set_of, tmp_path):
    Image.new("RGB", (4, 4)).save(set_of / "Img" / "img" / "stray.jpg")
    with pytest.raises(DataError, match=r"stray\.jpg does not follow the layout img/WOMEN/Dresses"):
        open_deepfashion(tmp_path)


def test_without_the_set_one_line_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="InShopRetrieval") as caught:
        open_deepfashion(tmp_path)
    assert str(tmp_path / "deepfashion" / "Img" / "img") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("listed", [True, False])
def test_images_that_cannot_be_read_are_named_or_left_out(set_of, heard, listed):
    if listed:
        write_list(set_of)
    (bad, *rest) = sorted((set_of / "Img/img").rglob("*.jpg"))
    bad.write_bytes(b"no image")
    with pytest.raises(DataError, match=rf"{bad.name} cannot be read"):
        open_deepfashion(set_of.parent)
    dataset = open_deepfashion(set_of.parent, heard, skip_bad=True)
    assert list(dataset.left_out) == [str(bad.relative_to(set_of / "Img/img"))]
    assert len(dataset.sources) == len(rest)
    assert "left out" in heard.warnings[0]
