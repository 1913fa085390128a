"""Folders of images: what is found, how it is read and split, and what is refused."""

import io
import os
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
    with pytest.raises(DataError, match=r"cat/07\.png cannot be read \(it is empty"):
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
        (("training", "testing"), {"testing"}),
        (("Training", "Validation"), {"Validation"}),
        (("train", "dev", "eval"), {"eval"}),
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
def test_other_folders_are_classes_and_that_is_said(heard, tmp_path, names):
    dataset = open_folder(split_classes(tmp_path, *names), heard)
    assert dataset.labels["class"].names == tuple(sorted(names))
    assert any("read as classes" in text for text in heard.notes + heard.warnings)


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


def test_all_bad_images_are_named_at_once(classes):
    (classes / "cat" / "03.png").write_bytes(truncated())
    (classes / "cat" / "05.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="2 of 24 images") as caught:
        open_folder(classes)
    text = str(caught.value)
    assert "03.png (image file is truncated" in text
    assert "05.png (not an image that Pillow knows)" in text
    assert "--skip-bad" in text
    assert "\n" not in text


@pytest.mark.parametrize("end", ["jpg", "png", "tif", "webp", "bmp", "gif"])
def test_a_truncated_image_of_any_format_is_found_at_the_start(tmp_path, end):
    save(tmp_path / "a.png")
    path = save(tmp_path / f"b.{end}", width=64, height=64)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with pytest.raises(DataError, match=rf"b\.{end} cannot be read"):
        open_folder(tmp_path)


def test_bad_images_are_left_out_if_so_wished(heard, classes):
    (classes / "cat" / "03.png").write_bytes(truncated())
    dataset = open_folder(classes, heard, skip_bad=True)
    assert len(dataset.sources) == 23
    assert not any(dataset.path(item).endswith("03.png") for item in range(23))
    assert list(dataset.left_out) == ["cat/03.png"]
    (warning,) = heard.warnings
    assert "1 of 24 images" in warning
    assert "03.png (image file is truncated" in warning
    # Other images are other data.
    save(classes / "cat" / "03.png", 3)
    assert open_folder(classes).fingerprint != dataset.fingerprint


def test_a_folder_of_bad_images_alone_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot be read"):
        open_folder(tmp_path, skip_bad=True)


def test_images_known_to_be_good_are_not_decoded_again(cache, monkeypatch, classes):
    first = open_folder(classes)
    monkeypatch.setattr("iin_cli.io.image_files.extent_of", None)
    assert open_folder(classes).fingerprint == first.fingerprint
    # One that has changed is.
    save(classes / "cat" / "03.png", 999)
    with pytest.raises(DataError, match=r"03\.png"):
        open_folder(classes)
    for file in (cache / "images").iterdir():
        file.write_text("{damaged")
    monkeypatch.undo()
    assert open_folder(classes).fingerprint != first.fingerprint


def test_names_that_are_no_text_are_escaped_where_they_are_shown(tmp_path):
    root = tmp_path / os.fsdecode(b"root\xff")
    try:
        save(root / "two\nlines" / os.fsdecode(b"caf\xe9.png"), 1)
        save(root / "dog" / "1.png", 2)
    except OSError:
        pytest.skip("this disk takes no such names")
    dataset = open_folder(root)
    assert dataset.name == f"{tmp_path}/root\\xff"
    assert dataset.labels["class"].names == ("dog", "two\\nlines")
    assert dataset.path(1) == f"{tmp_path}/root\\xff/two\\nlines/caf\\xe9.png"
    assert dataset.images(np.arange(2), 12).shape == (2, 12, 12, 3)
    assert dataset.file(1).is_file()


def grey(path, numbers, **saved):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(numbers).save(path, **saved)
    return path


def test_equal_greys_are_equal_in_any_number_of_bits(heard, tmp_path):
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    twelve = np.rint(ramp / 255 * 4095)
    stored = {
        "8.png": ramp.astype(np.uint8),
        "16.png": ramp * 257,
        "12in16.tif": twelve.astype(np.uint16),
        "12in32.tif": twelve.astype(np.int32),
        "16in32.tif": (ramp.astype(np.int32) * 257),
        "unit.tif": (ramp / 255).astype(np.float32),
        "signed.tif": (ramp / 127.5 - 1).astype(np.float32),
        "bytes.tif": ramp.astype(np.float32),
        "8in16.png": ramp,
    }
    for name, numbers in stored.items():
        folder = grey(tmp_path / name.partition(".")[0] / name, numbers).parent
        dataset = open_folder(folder, heard)
        read = dataset.images(np.arange(1), 16)[0]
        assert np.abs(read.astype(int) - ramp[..., None]).max() <= 1, name
        assert (dataset.whole_image(0) == read).all(), name
    # All but 8 bits are said aloud; that 65,535 is white is no guess.
    assert len(heard.warnings) == 6
    assert len(heard.notes) == 2
    assert any("from 0 to 4095: 0 is read as black and 4095 as white" in text for text in heard.warnings)


def test_all_images_of_a_folder_have_one_black_and_one_white(tmp_path):
    grey(tmp_path / "dark.tif", np.full((4, 4), 819, np.uint16))
    grey(tmp_path / "light.tif", np.full((4, 4), 4095, np.uint16))
    dataset = open_folder(tmp_path)
    assert dataset.images(np.arange(2), 4)[:, 0, 0, 0].tolist() == [51, 255]
    assert dataset.greys.as_dict() == {"whole": [0.0, 4095.0]}


def test_eight_bits_scaled_to_sixteen_stay_dark_however_dark_they_are(tmp_path):
    grey(tmp_path / "a.png", np.full((4, 4), 10 * 257, np.uint16))
    grey(tmp_path / "b.png", np.full((4, 4), 11 * 257, np.uint16))
    assert open_folder(tmp_path).images(np.arange(2), 4)[:, 0, 0, 0].tolist() == [10, 11]


def test_what_a_file_declares_holds(heard, tmp_path):
    numbers = np.full((4, 4), 512, np.uint16)
    grey(tmp_path / "a.tif", numbers, tiffinfo={281: 1023})
    (tmp_path / "b.pgm").write_bytes(b"P5 4 4 1023\n" + numbers.astype(">u2").tobytes())
    grey(tmp_path / "c.tif", numbers, tiffinfo={281: 1023, 262: 0})
    dataset = open_folder(tmp_path, heard)
    assert dataset.images(np.arange(3), 4)[:, 0, 0, 0].tolist() == [128, 128, 127]
    assert heard.warnings == []


def test_colours_that_use_few_of_their_bits_are_said_to_be_dark(heard, tmp_path):
    colors = np.random.default_rng(0).integers(0, 4096, (6, 6, 3), dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png_of_16_bits(colors))
    open_folder(tmp_path, heard)
    (warning,) = heard.warnings
    assert "1 images have colours of 16 bits" in warning
    (tmp_path / "b.png").write_bytes(png_of_16_bits(colors * 16))
    heard.warnings.clear()
    open_folder(tmp_path, heard)
    assert heard.warnings == []


def test_numbers_below_zero_are_scaled_between_the_least_and_the_largest(tmp_path):
    grey(tmp_path / "a.tif", np.array([[-1000, 0], [500, 1000]], np.int32))
    assert read_image(tmp_path / "a.tif", 2)[..., 0].tolist() == [[0, 128], [191, 255]]


def test_pixels_that_are_not_finite_are_refused(tmp_path):
    grey(tmp_path / "a.tif", np.full((4, 4), np.nan, np.float32))
    with pytest.raises(DataError, match=r"a\.tif cannot be read .*not finite"):
        open_folder(tmp_path)


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="not a regular file"):
        read_image(tmp_path / "a.png", 4)
