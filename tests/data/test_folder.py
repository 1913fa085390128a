"""Folders of images: what is found, how it is read and split, and what is refused."""

import io

import numpy as np
import pytest
from PIL import Image

from iin_cli.data.folder import open_folder, read_image
from iin_cli.errors import DataError


def picture(seed, width=12, height=12):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def save(path, seed=0, **size):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, **size).save(path, format=None if path.suffix.lower() != ".jfif" else "JPEG")
    return path


@pytest.fixture
def classes(tmp_path):
    for number in range(20):
        save(tmp_path / "cat" / f"{number:02}.png", number)
    for number in range(3):
        save(tmp_path / "dog" / "young" / f"{number}.png", 100 + number)
    save(tmp_path / "owl" / "only.png", 200)
    return tmp_path


def test_classes_are_the_first_level_however_deep(classes):
    dataset = open_folder(classes)
    label = dataset.labels["class"]
    assert label.names == ("cat", "dog", "owl")
    assert np.bincount(label.values).tolist() == [20, 3, 1]
    assert dataset.path(20) == str(classes / "dog" / "young" / "0.png")
    assert (dataset.name, dataset.native_size) == (str(classes), 12)


def test_a_tenth_of_every_class_is_the_test_split(classes):
    dataset = open_folder(classes)
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert np.bincount(dataset.labels["class"].values[test], minlength=3).tolist() == [2, 1, 0]
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(24))
    np.testing.assert_array_equal(test, open_folder(classes).splits["test"])


def test_a_flat_folder_has_no_labels(tmp_path):
    for number in range(10):
        save(tmp_path / f"{number}.png", number)
    save(tmp_path / "more" / "deeper" / "10.png", 10)
    dataset = open_folder(tmp_path)
    assert dict(dataset.labels) == {}
    assert len(dataset.sources) == 11
    assert len(dataset.splits["test"]) == 1


def test_every_format_and_case_is_found_and_other_files_are_not(tmp_path):
    names = ["a.PNG", "b.JPeG", "c.webp", "d.BMP", "e.Tiff", "f.gif", "g.ppm", "h.jfif", "i.TGA", "j.jp2", "k.ico"]
    for name in names:
        save(tmp_path / name)
    for name in ["notes.txt", ".hidden.png", "video.mpg", "table.h5", ".thumbs/x.png", "__MACOSX/a.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"not an image")
    dataset = open_folder(tmp_path)
    assert [dataset.path(index).rsplit("/", 1)[1] for index in range(len(dataset.sources))] == names
    assert dataset.images(np.arange(len(names)), 8).shape == (len(names), 8, 8, 3)


def test_images_come_back_in_the_order_asked_for(classes):
    dataset = open_folder(classes)
    images = dataset.images(np.array([20, 3]), 12)
    np.testing.assert_array_equal(images, np.stack([np.asarray(picture(100)), np.asarray(picture(3))]))


@pytest.mark.parametrize(("width", "height"), [(20, 10), (10, 20), (21, 10), (10, 10)])
def test_the_centre_square_is_kept(tmp_path, width, height):
    path = save(tmp_path / "a.png", width=width, height=height)
    pixels = np.asarray(Image.open(path))
    top, left = (height - 10) // 2, (width - 10) // 2
    np.testing.assert_array_equal(read_image(path, 10), pixels[top : top + 10, left : left + 10])


def test_mixed_sizes_share_a_batch(tmp_path):
    for number, side in enumerate([5, 40, 200]):
        save(tmp_path / f"{number}.png", number, width=side, height=side + number)
    dataset = open_folder(tmp_path)
    assert dataset.images(np.arange(3), 32).shape == (3, 32, 32, 3)


def test_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to stand upright
    picture(0).save(tmp_path / "a.png", exif=exif)
    upright = np.rot90(np.asarray(picture(0)), k=-1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", 12), upright)


def test_alpha_lies_over_white(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", 4)
    assert read[:2].max() == 0
    assert read[2:].min() == 255


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA", "YCbCr", "I;16"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    if mode == "I;16":
        image = Image.fromarray(np.full((4, 4), 204 * 257, np.uint16))
    else:
        image = Image.new("RGB", (4, 4), (255, 255, 255) if mode == "1" else (204, 204, 204)).convert(mode)
    image.save(tmp_path / "a.tif", compression=None)
    wanted = 255 if mode == "1" else 204
    assert np.abs(read_image(tmp_path / "a.tif", 4).astype(int) - wanted).max() <= 1


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif cannot be read .*floating-point"):
        read_image(tmp_path / "a.tif", 4)


def truncated():
    stream = io.BytesIO()
    picture(0, width=64, height=64).save(stream, "PNG")
    return stream.getvalue()[:3000]


@pytest.mark.parametrize("content", [truncated(), b"no image at all", b"\x89PNG\r\n\x1a\n"])
def test_a_corrupt_image_is_named_and_never_replaced(tmp_path, content):
    for number in range(70):
        save(tmp_path / f"{number:02}.png", number, width=64, height=64)
    dataset = open_folder(tmp_path)
    (tmp_path / "33.png").write_bytes(content)
    assert dataset.images(np.array([32, 34]), 16).shape == (2, 16, 16, 3)
    with pytest.raises(DataError, match=r"33\.png cannot be read") as caught:
        dataset.images(np.arange(70), 16)
    assert "\n" not in str(caught.value)


def test_an_image_that_vanished_is_named(classes):
    dataset = open_folder(classes)
    (classes / "owl" / "only.png").unlink()
    with pytest.raises(DataError, match=r"only\.png cannot be read"):
        dataset.images(np.array([23]), 16)


def test_an_empty_file_is_named_at_once(classes):
    (classes / "cat" / "07.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"cat/07\.png is empty"):
        open_folder(classes)


def test_a_dangling_link_is_named(classes):
    (classes / "cat" / "gone.png").symlink_to(classes / "nowhere.png")
    with pytest.raises(DataError, match=r"gone\.png cannot be read"):
        open_folder(classes)


def test_linked_folders_are_followed_but_not_for_ever(tmp_path):
    save(tmp_path / "elsewhere" / "1.png", 1)
    save(tmp_path / "set" / "cat" / "2.png", 2)
    (tmp_path / "set" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "cat" / "loop").symlink_to(tmp_path / "set")
    assert open_folder(tmp_path / "set").labels["class"].names == ("cat", "dog")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_text(""), "is a file"),
        (lambda path: path.mkdir(), "has no images"),
    ],
)
def test_a_folder_that_cannot_serve_is_refused(tmp_path, make, message):
    make(tmp_path / "pictures")
    with pytest.raises(DataError, match=message):
        open_folder(tmp_path / "pictures")


def test_equal_bytes_share_source_and_split(tmp_path):
    for number in range(30):
        save(tmp_path / "a" / f"{number:02}.png", number % 10)
        save(tmp_path / "b" / f"{number:02}.png", number % 10)
    dataset = open_folder(tmp_path)
    assert dataset.sources.tolist() == [number % 10 for number in range(30)] * 2
    train, test = (set(dataset.sources[dataset.splits[split]]) for split in ("train", "test"))
    assert not train & test
    assert len(test) == 1


def test_fingerprint_follows_content_and_names(classes):
    first = open_folder(classes).fingerprint
    assert open_folder(classes).fingerprint == first
    save(classes / "cat" / "03.png", 999)
    second = open_folder(classes).fingerprint
    (classes / "cat" / "03.png").rename(classes / "cat" / "99.png")
    assert len({first, second, open_folder(classes).fingerprint}) == 3


def test_one_image_trains(tmp_path):
    save(tmp_path / "a.png")
    splits = open_folder(tmp_path).splits
    assert (splits["train"].tolist(), splits["test"].tolist()) == ([0], [])


def test_a_declared_split_may_not_share_an_image(tmp_path):
    save(tmp_path / "a.png", 1)
    save(tmp_path / "b.png", 1)
    (tmp_path / "labels.csv").write_text("file,split\na.png,train\nb.png,test\n")
    with pytest.raises(DataError, match=r"a\.png \(train\) and b\.png \(test\) are the same image"):
        open_folder(tmp_path)


def test_labels_csv_gives_labels_and_splits(tmp_path):
    for number in range(4):
        save(tmp_path / "sub" / f"{number}.png", number)
    (tmp_path / "labels.csv").write_text(
        "file,mood,count,split\nsub/3.png,sad,10,test\nsub/0.png,glad,9,train\nsub/1.png,sad,9,train\nsub/2.png,sad,9,train\n"
    )
    dataset = open_folder(tmp_path)
    assert dataset.labels["mood"].names == ("glad", "sad")
    assert dataset.labels["mood"].values.tolist() == [0, 1, 1, 1]
    assert dataset.labels["count"].names == ("9", "10")
    assert dataset.splits["test"].tolist() == [3]
    before = dataset.fingerprint
    table = (tmp_path / "labels.csv").read_text()
    (tmp_path / "labels.csv").write_text(table.replace("glad", "sad"))
    assert open_folder(tmp_path).fingerprint != before
