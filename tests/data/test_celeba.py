"""CelebA in torchvision's layout: lists and images that agree, and those that do not."""

import numpy as np
import pytest
from PIL import Image

from iin_cli.data.celeba import open_celeba
from iin_cli.errors import DataError

NAMES = [f"{number:06}.jpg" for number in range(1, 9)]
ATTRIBUTES = "8\nSmiling Young\n" + "\n".join(
    f"{name}  {1 if number % 2 else -1} {1 if number < 3 else -1}" for number, name in enumerate(NAMES)
)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        Image.new("RGB", (22, 28), (30 * number, 0, 255)).save(folder / "img_align_celeba" / name)
    (folder / "list_attr_celeba.txt").write_text(ATTRIBUTES + "\n")
    (folder / "list_eval_partition.txt").write_text(
        "".join(f"{name} {'00000122'[number]}\n" for number, name in enumerate(NAMES))
    )
    (folder / "identity_CelebA.txt").write_text("".join(f"{name} {2880 - i // 2}\n" for i, name in enumerate(NAMES)))
    return tmp_path


def test_attributes_identities_and_splits(root):
    dataset = open_celeba(root)
    assert dataset.name == "celeba"
    assert list(dataset.labels) == ["Smiling", "Young", "identity"]
    assert dataset.labels["Smiling"].names == ("no", "yes")
    assert dataset.labels["Smiling"].values.tolist() == [0, 1] * 4
    assert dataset.labels["Young"].values.tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert dataset.labels["identity"].names is None
    assert dataset.labels["identity"].values.tolist() == [3, 3, 2, 2, 1, 1, 0, 0]
    # Validation images train.
    assert dataset.splits["train"].tolist() == [0, 1, 2, 3, 4, 5]
    assert dataset.splits["test"].tolist() == [6, 7]
    assert dataset.native_size == 22


def test_items_are_the_lines_whatever_the_order_of_the_files(root):
    path = root / "celeba" / "list_attr_celeba.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:2] + lines[:1:-1]))
    dataset = open_celeba(root)
    assert dataset.path(0).endswith("000008.jpg")
    assert dataset.labels["Young"].values.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert dataset.splits["test"].tolist() == [0, 1]
    assert abs(int(dataset.images(np.array([0]), 8)[0, 4, 4, 0]) - 210) < 6


def test_identities_may_be_missing_and_the_fingerprint_tells(root):
    before = open_celeba(root).fingerprint
    assert open_celeba(root).fingerprint == before
    (root / "celeba" / "identity_CelebA.txt").unlink()
    dataset = open_celeba(root)
    assert list(dataset.labels) == ["Smiling", "Young"]
    assert dataset.fingerprint != before


def replace(name, old, new):
    def change(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: (folder / "img_align_celeba" / "000003.jpg").unlink(),
            r"list_attr_celeba.txt lists 000003\.jpg, which is not in .*img_align_celeba \(1 of 8",
        ),
        (
            lambda folder: Image.new("RGB", (4, 4)).save(folder / "img_align_celeba" / "000009.jpg"),
            r"list_attr_celeba.txt has no line for 000009\.jpg of .*img_align_celeba \(1 of 9",
        ),
        (replace("list_attr_celeba.txt", "8\n", "7\n"), "says 7 in line 1 and has 8 rows"),
        (replace("list_attr_celeba.txt", "Young", ""), "list_attr_celeba.txt, line 3: 3 words instead of 2"),
        (replace("list_attr_celeba.txt", "000004.jpg  1 -1", "000004.jpg  1"), "line 6: 2 words instead of 3"),
        (replace("list_attr_celeba.txt", "000004.jpg  1", "000004.jpg  0"), r"attribute of 000004\.jpg is '0'"),
        (replace("list_eval_partition.txt", "000002.jpg 0\n", ""), r"no line for 000002\.jpg of .*list_attr_celeba"),
        (replace("list_eval_partition.txt", "000002.jpg 0", "000002.jpg 5"), r"partition of 000002\.jpg is '5'"),
        (replace("identity_CelebA.txt", "000008.jpg", "000088.jpg"), r"identity_CelebA.txt lists 000088\.jpg"),
        (
            lambda folder: (folder / "img_align_celeba" / "000001.jpg").write_bytes(b""),
            r"000001\.jpg cannot be read \(it is empty",
        ),
    ],
)
def test_what_does_not_agree_is_named(root, change, message):
    change(root / "celeba")
    with pytest.raises(DataError, match=message) as caught:
        open_celeba(root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["list_attr_celeba.txt", "list_eval_partition.txt"])
def test_what_is_missing_is_named_with_its_source(root, part):
    (root / "celeba" / part).unlink()
    with pytest.raises(DataError, match=rf"celeba is not at .*{part}.*projects/CelebA"):
        open_celeba(root)


def test_images_that_cannot_be_read_are_all_named_or_left_out(root, heard):
    images = root / "celeba" / "img_align_celeba"
    for name in ("000002.jpg", "000007.jpg"):
        (images / name).write_bytes((images / name).read_bytes()[:200])
    with pytest.raises(DataError, match=r"2 of 8 images of .*000002\.jpg .*000007\.jpg .*--skip-bad"):
        open_celeba(root)
    dataset = open_celeba(root, heard, skip_bad=True)
    assert list(dataset.left_out) == ["000002.jpg", "000007.jpg"]
    assert "are left out" in heard.warnings[0]
    assert dataset.labels["identity"].values.tolist() == [3, 2, 2, 1, 1, 0]
    assert dataset.splits["test"].tolist() == [5]
    assert dataset.images(np.arange(6), 8).shape == (6, 8, 8, 3)


def test_the_fingerprint_tells_contents_of_one_size_apart(root):
    before, path = open_celeba(root).fingerprint, root / "celeba" / "img_align_celeba" / "000004.jpg"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert open_celeba(root).fingerprint != before
