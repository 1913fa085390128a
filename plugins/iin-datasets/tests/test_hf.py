"""`hf:`: tables of the library `datasets`, of local files, are found, looked at once, and read as bytes."""

import errno
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from iin_cli.data import open_dataset
from iin_cli.errors import DataError, IinError, ResourceError, UsageError
from PIL import Image


@pytest.fixture
def table(library, digits):
    """The digits as a table with declared columns."""
    images, values, _ = digits
    features = library.Features(
        {
            "image": library.Image(),
            "label": library.ClassLabel(names=[f"digit {number}" for number in range(11)]),
            "parity": library.Value("string"),
            "ink": library.Value("float32"),
            "tags": library.Sequence(library.Value("int64")),
        }
    )
    columns = {
        "image": [{"bytes": image, "path": f"{number}.png"} for number, image in enumerate(images)],
        "label": values,
        "parity": [["even", "odd"][value % 2] for value in values],
        "ink": [number / 2 for number in range(40)],
        "tags": [[1, 2]] * 40,
    }
    return library.Dataset.from_dict(columns, features=features)


def save(table, library, folder, form):
    splits = library.DatasetDict({"train": table.select(range(0, 40, 2)), "validation": table.select(range(1, 40, 2))})
    if form == "saved":
        splits.save_to_disk(str(folder))
    else:
        folder.mkdir()
        for split, rows in splits.items():
            rows.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return f"hf:{folder}"


@pytest.mark.parametrize("form", ["saved", "parquet"])
def test_a_folder_with_splits(table, library, tmp_path, digits, listener, form):
    _, values, pixels = digits
    name = save(table, library, tmp_path / "set", form)
    dataset = open_dataset(name, report=listener)
    order = [*range(0, 40, 2), *range(1, 40, 2)]
    np.testing.assert_array_equal(dataset.images(np.arange(40), 32), pixels[order])
    np.testing.assert_array_equal(dataset.labels["class"].values, np.array(values)[order])
    # All declared names are kept, also of a class without images.
    assert dataset.labels["label"].names == tuple(f"digit {number}" for number in range(11))
    assert dataset.labels["parity"].names == ("even", "odd")
    assert dataset.labels["ink"].continuous
    assert {split: len(items) for split, items in dataset.splits.items()} == {"train": 20, "test": 20}
    assert dataset.path(0) == f"{name} train[0] 0.png"
    assert any("no labels are tags (lists or parts of their own)" in note for note in listener.notes)


def test_equal_rows_have_one_fingerprint(table, library, tmp_path):
    first = open_dataset(save(table, library, tmp_path / "a", "saved"))
    assert open_dataset(save(table, library, tmp_path / "b", "parquet")).fingerprint == first.fingerprint


def test_an_arrow_file(table, tmp_path):
    table.save_to_disk(str(tmp_path / "saved"))
    (arrow,) = (tmp_path / "saved").glob("*.arrow")
    dataset = open_dataset(f"hf:{arrow}")
    assert len(dataset.sources) == 40
    assert open_dataset(f"hf:{tmp_path / 'saved'}").fingerprint == dataset.fingerprint


def test_a_mapped_file_that_becomes_shorter_is_named(table, tmp_path):
    table.save_to_disk(str(tmp_path / "saved"))
    dataset = open_dataset(f"hf:{tmp_path / 'saved'}")
    (arrow,) = (tmp_path / "saved").glob("*.arrow")
    os.truncate(arrow, 1000)
    # Reading would end the process by a signal.
    with pytest.raises(DataError, match=r"arrow became shorter while it was read"):
        dataset.images(np.arange(40), 8)


def test_a_damaged_column_is_named(library, tmp_path, digits):
    library.Dataset.from_dict({"image": digits[0][:9], "kind": ["abc"] * 9}).save_to_disk(str(tmp_path / "set"))
    (arrow,) = (tmp_path / "set").glob("*.arrow")
    offsets = np.arange(0, 30, 3, dtype=np.int32).tobytes()
    content = arrow.read_bytes()
    assert content.count(offsets) == 1
    arrow.write_bytes(content.replace(offsets, np.arange(10, dtype=np.int32).tobytes()[:20] + b"\x7f" * 20))
    # Reading it would end the process by a signal.
    with pytest.raises(DataError, match=r"its column kind is damaged \("):
        open_dataset(f"hf:{tmp_path / 'set'}")


def test_a_full_disk_is_told(library, parquet, digits, monkeypatch):
    def prepare(builder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(library.DatasetBuilder, "download_and_prepare", prepare)
    with pytest.raises(ResourceError, match=r"no space for hf:.*free some, or set HF_HOME"):
        open_dataset(parquet(image=digits[0]))


def test_a_known_set_is_not_looked_at_again(table, library, tmp_path, monkeypatch):
    monkeypatch.setattr("iin_datasets.seen.is_settled", lambda facts, now: True)
    name = save(table, library, tmp_path / "set", "saved")
    before = open_dataset(name)
    monkeypatch.setattr("iin_datasets.hf.look_at", None)
    assert open_dataset(name).fingerprint == before.fingerprint


def test_a_plain_file_of_parquet(library, parquet, digits, listener):
    images, values, pixels = digits
    dataset = open_dataset(parquet(picture=images, kind=list(map(str, values))), report=listener)
    np.testing.assert_array_equal(dataset.images(np.arange(40), 32), pixels)
    assert dataset.labels["class"].names == tuple("0123456789")
    assert any("a tenth of every class is the test split" in note for note in listener.notes)


def test_columns_of_every_type(library, parquet, digits, listener):
    import pyarrow

    images = digits[0][:6]
    name = parquet(
        image=images,
        other=images,
        flag=[True, False] * 3,
        whole=[1.0, 2.0] * 3,
        part=[1.5, 2.0] * 3,
        hole=["a", None, "b"] * 2,
        nan=[float("nan"), 1.0, 2.0] * 2,
        nothing=[None] * 6,
        day=pyarrow.array([0] * 6, pyarrow.timestamp("s")),
        many=[[1], [2]] * 3,
    )
    labels = open_dataset(name, report=listener).labels
    assert labels["flag"].names == ("false", "true")
    assert labels["whole"].names == ("1", "2")
    assert labels["part"].continuous
    assert set(labels) == {"flag", "whole", "part"}
    (note,) = (note for note in listener.notes if "no labels are" in note)
    assert "hole, nan (no value in 2 of 6 images)" in note
    assert any("the images are those of image, not of other" in note for note in listener.notes)


def test_pixels_are_images(library, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8)).astype(np.uint8)
    features = library.Features({"pixels": library.Array2D((8, 8), "uint8")})
    library.Dataset.from_dict({"pixels": list(pixels)}, features=features).save_to_disk(str(tmp_path / "set"))
    np.testing.assert_array_equal(open_dataset(f"hf:{tmp_path / 'set'}").images(np.arange(4), 8)[..., 1], pixels)


def test_a_folder_of_images(library, tmp_path, digits):
    images, values, _ = digits
    for number, (image, value) in enumerate(zip(images[:20], values[:20], strict=True)):
        place = tmp_path / "set" / ("test" if number % 4 == 0 else "train") / f"kind {value}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(image)
    dataset = open_dataset(f"hf:{tmp_path / 'set'}")
    assert dataset.labels["class"].names == tuple(f"kind {value}" for value in range(5))
    assert {split: len(items) for split, items in dataset.splits.items()} == {"train": 15, "test": 5}
    # The images stay in their files, and one of them changes.
    assert dataset.path(0).endswith("1.png")
    (tmp_path / "set" / "train" / "kind 0" / "1.png").write_bytes(images[30])
    with pytest.raises(DataError, match=r"1.png changed after it was opened"):
        dataset.images(np.arange(3), 8)


def test_splits_that_withhold_the_class_are_left_out(table, library, tmp_path, listener):
    hidden = table.select(range(4)).map(lambda row: {"label": -1})
    splits = {"train": table.select(range(0, 40, 2)), "validation": table.select(range(1, 40, 2)), "test": hidden}
    library.DatasetDict({**splits, "extra": table.select(range(3))}).save_to_disk(str(tmp_path / "set"))
    dataset = open_dataset(f"hf:{tmp_path / 'set'}", report=listener)
    assert {split: len(items) for split, items in dataset.splits.items()} == {"train": 20, "test": 20}
    assert any("its split test has no label: left out" in note for note in listener.notes)
    assert any("its splits extra are neither train nor test" in note for note in listener.notes)


def test_images_that_cannot_be_read(library, parquet, digits, png, listener):
    deep = png(Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 16))
    name = parquet(image=[*digits[0][:5], deep, b"nope", None])
    with pytest.raises(
        DataError, match=r"2 of 8 images .* train\[6\] \(not an image .* train\[7\] \(it has no image\)"
    ):
        open_dataset(name)
    dataset = open_dataset(name, report=listener, skip_bad=True)
    assert len(dataset.sources) == 6
    assert set(dataset.remembered) == {"left_out", "greys"}


def test_paths_in_a_table_open_nothing_but_images(library, parquet, digits):
    rows = [{"bytes": None, "path": path} for path in ("/etc/passwd", "https://a/b.png")]
    rows.append({"bytes": digits[0][0], "path": "a"})
    with pytest.raises(DataError, match=r"2 of 3 images .*its path is none of an image on this machine"):
        open_dataset(parquet(image=rows))


@pytest.mark.parametrize(
    ("argument", "kind", "said"),
    [
        ("", UsageError, "name a data set"),
        ("./no", DataError, "no is missing"),
        ("no.parquet", DataError, "no.parquet is missing"),
        ("{a,b}.parquet", DataError, "2 of 2 files are missing"),
        ("a/b/c", UsageError, "neither on this machine nor a name of the Hub"),
        ("owner/name:config@v1", DataError, "Couldn't reach 'owner/name' on the Hub.*HF_HUB_OFFLINE"),
        ("good.parquet@v1", UsageError, "only data sets of the Hub have revisions"),
        ("good.parquet:config", UsageError, "a file has no configurations"),
        ("text:config", UsageError, "BuilderConfig 'config' not found"),
        ("rows.parquet", DataError, "it has 0 rows"),
        ("plain.parquet", DataError, r"no column of images; it has: a \(int64\), b \(lists"),
        ("cut.parquet", DataError, r"cut.parquet cannot be opened \(.*cut.parquet: Parquet magic bytes not found"),
        ("{good,rot}.parquet", DataError, r"\(/.*rot.parquet: "),
        ("text", DataError, r"no column of images; it has: text \(string\)"),
        ("sounds", DataError, "is read by audiofolder, and only these formats are read.*no code of a data set is run"),
    ],
)
def test_what_cannot_be_opened(library, parquet, digits, tmp_path, monkeypatch, capfd, argument, kind, said):
    import pyarrow

    monkeypatch.chdir(tmp_path)
    parquet("good.parquet", image=digits[0])
    parquet("rows.parquet", image=pyarrow.array([], pyarrow.binary()))
    parquet("plain.parquet", a=[1, 2], b=[[1], [2]])
    content = (tmp_path / "good.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[:-100])
    (tmp_path / "rot.parquet").write_bytes(content[:100] + bytes(2000) + content[2100:])
    for folder, file in (("text", "a.txt"), ("sounds", "a.wav")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text("a = 1")
    with pytest.raises(IinError, match=said) as error:
        open_dataset(f"hf:{argument}")
    assert type(error.value) is kind
    assert len(str(error.value).splitlines()) == 1
    # The library says nothing of its own.
    assert capfd.readouterr() == ("", "")


def test_nothing_is_imported_before_a_name_is_opened():
    heavy = "{'datasets', 'pyarrow', 'pandas', 'torch'}"
    program = f"import sys, iin_datasets.hf, iin_datasets.tar; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr


def test_a_file_that_changes_is_read_again(library, parquet, digits, tmp_path):
    before = open_dataset(parquet(image=digits[0][:20]))
    shutil.copy(tmp_path / "set.parquet", tmp_path / "copy.parquet")
    assert open_dataset(f"hf:{tmp_path / 'copy.parquet'}").fingerprint == before.fingerprint
    assert len(open_dataset(parquet(image=digits[0])).sources) == 40
