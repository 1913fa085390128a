"""Folders of images: what is found, how it is read and split, and what is refused."""

import io
import struct
import zlib

import numpy as np
import PIL
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
        # No icon is smaller.
        save(tmp_path / name, width=16, height=16)
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


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda pixels: pixels),
        (2, lambda pixels: pixels[:, ::-1]),
        (3, lambda pixels: np.rot90(pixels, 2)),
        (4, lambda pixels: pixels[::-1]),
        (5, lambda pixels: pixels.transpose(1, 0, 2)),
        (6, lambda pixels: np.rot90(pixels, -1)),
        (7, lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2)),
        (8, lambda pixels: np.rot90(pixels)),
    ],
)
@pytest.mark.parametrize("end", ["png", "jpg", "tif"])
def test_orientation_is_applied(tmp_path, orientation, upright, end):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{end}"
    # Taller than wide, and smooth enough for JPEG: the centre square is another one when it is turned too late.
    pixels = np.linspace(0, 255, 16 * 12 * 3).reshape(16, 12, 3).astype(np.uint8)
    Image.fromarray(pixels).save(path, exif=exif, **({"quality": 100, "subsampling": 0} if end == "jpg" else {}))
    wanted = upright(pixels)
    top, left = ((length - 12) // 2 for length in wanted.shape[:2])
    error = read_image(path, 12).astype(int) - wanted[top : top + 12, left : left + 12]
    assert np.abs(error).max() <= (3 if end == "jpg" else 0)


def test_alpha_lies_over_white(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", 4)
    assert read[:2].max() == 0
    assert read[2:].min() == 255


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA", "YCbCr", "I;16"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    if mode == "YCbCr" and int(PIL.__version__.partition(".")[0]) < 13:
        pytest.skip("Pillow before 13 writes this file cut short")
    if mode == "I;16":
        image = Image.fromarray(np.full((4, 4), 204 * 257, np.uint16))
    else:
        image = Image.new("RGB", (4, 4), (255, 255, 255) if mode == "1" else (204, 204, 204)).convert(mode)
    image.save(tmp_path / "a.tif", compression=None)
    wanted = 255 if mode == "1" else 204
    assert np.abs(read_image(tmp_path / "a.tif", 4).astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("end", ["jpg", "tif"])
def test_cmyk_keeps_its_colours(tmp_path, end):
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:8, :, 1:3] = 255  # magenta over yellow is red
    inks[8:, :, 0] = 255
    Image.fromarray(inks, "CMYK").save(tmp_path / f"a.{end}", **({"quality": 100} if end == "jpg" else {}))
    read = read_image(tmp_path / f"a.{end}", 16).astype(int)
    assert np.abs(read[:7] - [255, 0, 0]).max() <= 8
    assert np.abs(read[9:] - [0, 255, 255]).max() <= 8


@pytest.mark.parametrize("end", ["png", "tif"])
def test_sixteen_bits_of_grey_become_eight(tmp_path, end):
    ramp = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / f"a.{end}")
    read = read_image(tmp_path / f"a.{end}", 16)
    assert np.abs(read - np.arange(256).reshape(16, 16, 1)).max() <= 1
    assert (read[..., :1] == read).all()


def test_sixteen_bits_of_colour_become_eight(tmp_path):
    colors = np.random.default_rng(0).integers(0, 65536, (6, 6, 3), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png_of_16_bits(colors))
    read = read_image(tmp_path / "a.png", 6)
    assert np.abs(read - colors / 257).max() <= 1


def png_of_16_bits(colors):
    """Pillow writes no such file, and reads it."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, _ = colors.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in colors)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


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


def test_numbers_in_the_table_are_continuous_and_split_nothing(tmp_path):
    lines = ["file,class"]
    for number in range(20):
        save(tmp_path / f"{number:02}.png", number)
        lines.append(f"{number:02}.png,{number / 8}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    dataset = open_folder(tmp_path)
    assert dataset.labels["class"].values.tolist() == [number / 8 for number in range(20)]
    assert len(dataset.splits["test"]) == 2


def split_classes(folder, *names):
    for number, name in enumerate(names):
        for kind in range(2):
            for item in range(3):
                save(folder / name / "ab"[kind] / f"{item}.png", 100 * number + 10 * kind + item)
    return folder


@pytest.mark.parametrize(
    ("names", "test"),
    [
        (("train", "test"), {"test"}),
        (("train", "val"), {"val"}),
        (("Train", "TEST"), {"TEST"}),
        (("train", "test", "valid"), {"test"}),
    ],
)
def test_train_and_test_folders_are_the_splits(heard, tmp_path, names, test):
    dataset = open_folder(split_classes(tmp_path, *names), heard)
    label = dataset.labels["class"]
    assert label.names == ("a", "b")
    assert np.bincount(label.values).tolist() == [3 * len(names)] * 2
    found = {dataset.path(index).split("/")[-3] for index in dataset.splits["test"]}
    assert found == test
    assert len(dataset.splits["train"]) + len(dataset.splits["test"]) == len(dataset.sources)
    assert heard.warnings == []


@pytest.mark.parametrize("names", [("train", "tiger"), ("test", "val"), ("train",)])
def test_other_folders_are_classes(tmp_path, names):
    dataset = open_folder(split_classes(tmp_path, *names))
    assert dataset.labels["class"].names == tuple(sorted(names))


def test_split_folders_without_classes_give_splits_alone(tmp_path):
    for number, name in enumerate(["train/0", "train/1", "test/2"]):
        save(tmp_path / f"{name}.png", number)
    dataset = open_folder(tmp_path)
    assert dict(dataset.labels) == {}
    assert [dataset.path(index)[-10:] for index in dataset.splits["test"]] == ["test/2.png"]


def test_a_test_image_that_is_a_training_image_too_is_left_out_and_named(heard, tmp_path):
    save(split_classes(tmp_path, "train", "test") / "test" / "a" / "0.png", 1)
    dataset = open_folder(tmp_path, heard)
    assert len(dataset.splits["test"]) == 5
    assert not set(dataset.sources[dataset.splits["test"]]) & set(dataset.sources[dataset.splits["train"]])
    (warning,) = heard.warnings
    assert "1 of 6 test images" in warning
    assert "test/a/0.png" in warning


def test_a_table_wins_over_split_folders_only_where_it_declares_splits(tmp_path):
    split_classes(tmp_path, "train", "test")
    rows = [
        f"{name}/{kind}/{item}.png,{kind}{item},{'train' if item else 'test'}"
        for name in ("train", "test")
        for kind in "ab"
        for item in range(3)
    ]
    (tmp_path / "labels.csv").write_text("file,mood\n" + "\n".join(row.rpartition(",")[0] for row in rows))
    dataset = open_folder(tmp_path)
    assert list(dataset.labels) == ["mood"]
    assert all("/test/" in dataset.path(index) for index in dataset.splits["test"])
    (tmp_path / "labels.csv").write_text("file,mood,split\n" + "\n".join(rows))
    assert all(dataset.path(index).endswith("/0.png") for index in open_folder(tmp_path).splits["test"])
