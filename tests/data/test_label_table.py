"""labels.csv: what is read and what is refused."""

import os
import unicodedata

import numpy as np
import pytest

from iin_cli.data.label_table import has_table, read_table
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
        ("file|mood\na.png|sad\n", r"'file\|mood' was found"),
        ("file,split,Split\na.png,train,test\n", "name of its own"),
        ("file,mood,mood\n", "name of its own"),
        ("file,mood,\n", "name of its own"),
        ("file,mood\na.png,sad\n", r"no row for sub/b\.png \(1 of 2"),
        ("file,mood\na.png\n", "row 2: 'a.png' does not fill"),
        ("file,mood\na.png,\n", "row 2: 'a.png,' does not fill"),
        ("file,mood\na.png,sad,x\n", "row 2: .* does not fill"),
        ("file,mood\nc.png,sad\n", r"row 2: c\.png is not in the folder"),
        ("file,mood\nnotes.txt,sad\n", r"row 2: notes\.txt is not an image"),
        ("file,mood\na.png,sad\na.png,sad\n", r"row 3: a\.png already has row 2"),
        ("file,split\na.png,train\nsub/b.png,vla\n", r"split of sub/b\.png is 'vla': write train, val or test"),
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


def column(folder, text, name, files=FILES):
    (folder / "labels.csv").write_text(text)
    label = read_table(folder, files).columns[name]
    return [label.names[value] for value in label.values] if label.names else label.values.tolist()


@pytest.mark.parametrize(("first", "second"), [("0.0", "1.0"), ("0", "1.0"), ("+0.", "1"), ("-0.0", "1.000")])
def test_whole_numbers_written_as_decimals_are_classes(folder, first, second):
    assert column(folder, f"file,class\na.png,{first}\nsub/b.png,{second}\n", "class") == ["0", "1"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_semicolons_and_tabs_separate_columns(folder, separator):
    text = "file,mood,note\na.png,sad,so\nsub/b.png,glad,so\n".replace(",", separator)
    assert column(folder, text, "mood") == ["sad", "glad"]
    assert column(folder, text.replace("sad", '"a, b"'), "mood") == ["a, b", "glad"]


def test_decimal_commas_go_with_semicolons(folder):
    assert column(folder, "file;heat\na.png;0,5\nsub/b.png;2\n", "heat") == [0.5, 2.0]
    assert column(folder, "file;class\na.png;0,0\nsub/b.png;1,0\n", "class") == ["0", "1"]
    assert column(folder, "file;mood\na.png;x,y\nsub/b.png;1,0\n", "mood") == ["x,y", "1,0"]


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        ("Split", "test", "train"),
        ("SPLIT", "Testing", "TRAIN"),
        ("split", "VAL", "training"),
        ("split", "dev", "Train"),
    ],
)
def test_a_split_column_is_the_split_in_any_case(folder, header, first, second):
    (folder / "labels.csv").write_text(f"file,{header}\na.png,{first}\nsub/b.png,{second}\n")
    table = read_table(folder, FILES)
    assert table.columns == {}
    assert {split: items.tolist() for split, items in table.splits.items()} == {"train": [1], "test": [0]}


def test_validation_images_train_where_there_are_test_images(folder):
    files = ["a.png", "b.png", "c.png"]
    (folder / "labels.csv").write_text("file,split\na.png,train\nb.png,val\nc.png,test\n")
    splits = read_table(folder, files).splits
    assert {split: items.tolist() for split, items in splits.items()} == {"train": [0, 1], "test": [2]}


def test_absolute_paths_name_files_of_the_folder(folder, tmp_path_factory):
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    link.symlink_to(folder)
    text = f"file,mood\n{link}/a.png,sad\n{folder}/./sub/../sub/b.png,glad\n"
    assert column(folder, text, "mood") == ["sad", "glad"]
    # The folder itself may be given by the link.
    assert column(link, text, "mood") == ["sad", "glad"]
    with pytest.raises(DataError, match="is not in the folder"):
        column(folder, "file,mood\n/elsewhere/a.png,sad\n", "mood")


def test_two_spellings_of_one_letter_are_one_name(folder):
    files = [unicodedata.normalize("NFD", "café.JPG"), "tea.png"]
    text = "file,mood\n" + unicodedata.normalize("NFC", "café.jpg") + ",sad\ntea.PNG,glad\n"
    assert column(folder, text, "mood", files) == ["sad", "glad"]


def test_a_file_is_found_by_its_own_spelling_first(folder):
    files = ["a.JPG", "a.jpg"]
    assert column(folder, "file,mood\na.jpg,sad\na.JPG,glad\n", "mood", files) == ["glad", "sad"]
    with pytest.raises(DataError, match="is not in the folder"):
        column(folder, "file,mood\na.Jpg,sad\n", "mood", files)


def test_bytes_that_are_no_text_name_files_and_nothing_else(folder):
    file = os.fsdecode(b"caf\xe9.png")
    (folder / "labels.csv").write_bytes(b"file,mood\ncaf\xe9.png,sad\n")
    assert read_table(folder, [file]).columns["mood"].names == ("sad",)


def test_names_of_classes_are_printable(folder):
    text = 'file,mood\na.png,"two\nlines"\nsub/b.png,bell\a\n'
    assert column(folder, text, "mood") == ["two\\nlines", "bell\\x07"]


def test_rows_of_files_that_are_left_out_are_left_out(folder):
    (folder / "labels.csv").write_text("file,mood\na.png,sad\nsub/b.png,glad\n")
    assert read_table(folder, ["a.png"], {"sub/b.png"}).columns["mood"].names == ("sad",)


def test_another_encoding_is_named_before_the_header(folder):
    (folder / "labels.csv").write_bytes("file,class\na.png,x\nsub/b.png,y\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"labels.csv is not UTF-8: save it as UTF-8"):
        read_table(folder, FILES)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.symlink_to("gone.csv"), "is a link to nothing"),
        (os.mkfifo, "is no regular file"),
        (lambda path: path.mkdir(), "is no regular file"),
    ],
)
def test_a_table_that_cannot_be_one_is_not_passed_over(folder, make, said):
    assert not has_table(folder)
    make(folder / "labels.csv")
    with pytest.raises(DataError, match=f"labels.csv {said}: put the table of labels there, or remove it"):
        has_table(folder)
