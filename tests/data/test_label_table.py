"""labels.csv: what is read and what is refused."""

import numpy as np
import pytest

from iin_cli.data.label_table import read_table
from iin_cli.errors import DataError

FILES = ["a.png", "sub/b.png"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for file in FILES:
        (tmp_path / file).write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("")
    return tmp_path


def test_rows_are_put_in_the_order_of_the_files(folder):
    text = '\ufefffilename, mood ,note\r\n./sub\\b.png,glad,"one, two"\r\n\r\na.png, sad ,three\r\n'
    (folder / "labels.csv").write_bytes(text.encode())
    table = read_table(folder, FILES)
    assert {name: label.names for name, label in table.columns.items()} == {
        "mood": ("glad", "sad"),
        "note": ("one, two", "three"),
    }
    assert table.columns["mood"].values.tolist() == [1, 0]
    assert table.splits is None


def test_the_split_column_is_no_label(folder):
    (folder / "labels.csv").write_text("file,split\na.png,test\nsub/b.png,train\n")
    table = read_table(folder, FILES)
    assert table.columns == {}
    assert {split: indices.tolist() for split, indices in table.splits.items()} == {"train": [1], "test": [0]}


@pytest.mark.parametrize(
    ("cells", "continuous"),
    [
        (("0.5", "-2"), True),
        (("1e-3", ".25"), True),
        (("+1.", "7"), True),
        (("10", "-9"), False),
        (("0.5", "warm"), False),
        (("1_0.5", "2.5"), False),
        (("nan", "warm"), False),
        (("0x10", "0.5"), False),
    ],
)
def test_numbers_that_are_not_all_whole_are_continuous(folder, cells, continuous):
    (folder / "labels.csv").write_text(f"file,heat\na.png,{cells[0]}\nsub/b.png,{cells[1]}\n")
    label = read_table(folder, FILES).columns["heat"]
    assert label.continuous is continuous
    if continuous:
        assert label.names is None
        assert label.values.dtype == np.float64
        assert label.values.tolist() == [float(cell) for cell in cells]
    else:
        assert [label.names[value] for value in label.values] == list(cells)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing was found"),
        ("name,mood\na.png,sad\n", "'name' was found"),
        ("file;mood\na.png;sad\n", "'file;mood' was found"),
        ("file,mood,mood\n", "name of its own"),
        ("file,mood,\n", "name of its own"),
        ("file,mood\na.png,sad\n", r"no row for sub/b\.png \(1 of 2"),
        ("file,mood\na.png\n", "row 2: 'a.png' does not fill"),
        ("file,mood\na.png,\n", "row 2: 'a.png,' does not fill"),
        ("file,mood\na.png,sad,x\n", "row 2: .* does not fill"),
        ("file,mood\nc.png,sad\n", r"row 2: c\.png is not in the folder"),
        ("file,mood\nnotes.txt,sad\n", r"row 2: notes\.txt is not an image"),
        ("file,mood\na.png,sad\na.png,sad\n", r"row 3: a\.png already has row 2"),
        ("file,split\na.png,train\nsub/b.png,val\n", r"split of sub/b\.png is 'val': write train or test"),
        ('file,mood\na.png,"sad\n', "cannot be read"),
        ("file,age\na.png,1.5\nsub/b.png,nan\n", "row 3: age is nan, not a finite number"),
        ("file,age\nsub/b.png,-inf\na.png,3\n", "row 2: age is -inf, not a finite number"),
        ("file,age\nsub/b.png,1.0\na.png,1e999\n", "row 3: age is 1e999, not a finite number"),
    ],
)
def test_an_unfit_table_is_refused_in_one_line(folder, text, message):
    (folder / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_table(folder, FILES)
    assert "\n" not in str(caught.value)
    assert "labels.csv" in str(caught.value)


def test_another_encoding_is_refused(folder):
    (folder / "labels.csv").write_bytes("file,mood\na.png,fröhlich\n".encode("latin-1"))
    with pytest.raises(DataError, match="UTF-8"):
        read_table(folder, FILES)
