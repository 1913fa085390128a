"""List files of published sets: what is read, and what is refused by line."""

from pathlib import Path

import pytest

from iin_cli.data.checking import Checked
from iin_cli.data.list_files import check_against, first_there, listed_fingerprint, not_placed, read_list
from iin_cli.data.packed import Paths
from iin_cli.errors import DataError


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "list.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_headed_list(written):
    listed = read_list(written("2\nSmiling Young\na.jpg  1 -1\nb.jpg -1  1\n\n"))
    assert listed.header == ("Smiling", "Young")
    assert listed.rows == {"a.jpg": ("1", "-1"), "b.jpg": ("-1", "1")}


def test_a_list_without_header(written):
    listed = read_list(written("a.jpg 0\r\nb.jpg 2\r\n"), words=1, headed=False)
    assert listed.rows == {"a.jpg": ("0",), "b.jpg": ("2",)}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("3\nA\na 1\nb 1\n", {}, "says 3 in line 1 and has 2 rows"),
        ("A\na 1\n", {}, "line 1"),
        ("", {}, "says nothing in line 1 and has 0 rows"),
        ("1\nA B\na 1\n", {}, "line 3: 2 words instead of 3"),
        ("a 1\nb\n", {"words": 1, "headed": False}, "line 2: 1 words instead of 2"),
        ("a 1\na 2\n", {"words": 1, "headed": False}, "line 2: a is named twice"),
        (b"\xff\xfe", {}, "cannot be read as text"),
    ],
)
def test_an_unfit_list_is_refused(written, text, options, message):
    with pytest.raises(DataError, match=message) as caught:
        read_list(written(text), **options)
    assert "list.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lists_and_images_must_agree(written):
    listed = read_list(written("a 1\nb 2\n"), words=1, headed=False)
    check_against(listed, ["b", "a"], Path("images"))
    with pytest.raises(DataError, match=r"lists b, which is not in images \(1 of 2 are not\)"):
        check_against(listed, ["a"], Path("images"))
    with pytest.raises(DataError, match=r"no line for c of images \(1 of 3 have none\)"):
        check_against(listed, ["a", "b", "c"], Path("images"))


def test_the_fingerprint_follows_lists_names_and_contents(written):
    listed = read_list(written("a 1\nb 2\n"), words=1, headed=False)
    checked = Checked(Paths.of(["a", "b"]), ["12", "123"])
    found = {listed_fingerprint(checked, ["a", "b"], [listed])}
    found.add(listed_fingerprint(checked, ["b", "a"], [listed]))
    found.add(listed_fingerprint(checked, ["a", "b"], []))
    found.add(listed_fingerprint(Checked(Paths.of(["a", "b"]), ["1", "123"]), ["a", "b"], [listed]))
    assert len(found) == 4


def test_where_a_set_lies_and_what_to_do_where_it_does_not(tmp_path):
    (tmp_path / "Img" / "img").mkdir(parents=True)
    assert first_there(tmp_path, ("img", "Img/img")) == tmp_path / "Img" / "img"
    assert first_there(tmp_path, ("img",)) is None
    text = str(not_placed("faces", tmp_path / "faces", "the project", "faces/*.jpg"))
    for part in ("faces is not at", "the project", "faces/*.jpg", "--data-root"):
        assert part in text
    assert "\n" not in text
