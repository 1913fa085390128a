"""Which files are images, which are the same, what is left out and said."""

import os
import unicodedata

import pytest
from PIL import Image

from iin_cli.data.scanning import one_source, scan
from iin_cli.errors import DataError


def save(*paths):
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (number, 0, 0)).save(path)


def test_files_come_sorted_with_forward_slashes(tmp_path):
    save(*(tmp_path / name for name in ("b/2.png", "a.PNG", "b/1.jpg", "b/c/3.webp")))
    (tmp_path / "b" / "notes.txt").write_text("")
    assert [*scan(tmp_path).files] == ["a.PNG", "b/1.jpg", "b/2.png", "b/c/3.webp"]


def test_a_source_is_shared_through_any_chain_of_equal_keys():
    assert one_source(["x", "y", "x"]).tolist() == [0, 1, 0]
    # 3 is 2 by the first key, 2 is 1 by the second, 1 is 0 by the first.
    assert one_source(["a", "a", "b", "b", "c"], ["p", "q", "q", "r", "s"]).tolist() == [0, 0, 0, 0, 4]
    assert one_source(["a", "b"], ["p", "q"]).tolist() == [0, 1]


def test_the_real_folder_keeps_its_images(heard, tmp_path):
    save(tmp_path / "ant" / "1.png", tmp_path / "cow" / "2.png")
    # A name that sorts before the real folder, and a link inside a class.
    (tmp_path / "ant" / "more").symlink_to("../cow")
    (tmp_path / "bull").symlink_to("cow")
    assert [*scan(tmp_path, heard).files] == ["ant/1.png", "cow/2.png"]
    assert len([note for note in heard.notes if "cow alone" in note]) == 2


def test_of_two_links_to_nested_folders_each_keeps_its_own(heard, tmp_path):
    save(tmp_path / "store" / "all" / "1.png", tmp_path / "store" / "all" / "dogs" / "2.png")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "animals").symlink_to(tmp_path / "store" / "all")
    (folder / "dogs").symlink_to(tmp_path / "store" / "all" / "dogs")
    assert [*scan(folder, heard).files] == ["animals/1.png", "dogs/2.png"]


def test_of_two_links_to_one_folder_the_one_nearer_to_the_top_wins(heard, tmp_path):
    save(tmp_path / "store" / "1.png", tmp_path / "set" / "a" / "0.png")
    (tmp_path / "set" / "a" / "deep").symlink_to(tmp_path / "store")
    (tmp_path / "set" / "z").symlink_to(tmp_path / "store")
    assert [*scan(tmp_path / "set", heard).files] == ["a/0.png", "z/1.png"]
    assert any("a/deep is a link" in note for note in heard.notes)


def test_folders_of_systems_are_no_classes(heard, tmp_path):
    vendors = ("@eaDir", "__MACOSX", ".thumbnails", "$RECYCLE.BIN", ".git", "#recycle", "lost+found", "cat/@eadir")
    save(tmp_path / "cat" / "1.png", *(tmp_path / vendor / "x.png" for vendor in vendors))
    assert [*scan(tmp_path, heard).files] == ["cat/1.png"]


def test_files_that_are_not_read_are_counted_by_their_endings(heard, tmp_path):
    save(tmp_path / "1.png")
    for name in ("a.heic", "b.HEIC", "c.dng", "notes.txt", "labels.csv", "LICENSE"):
        (tmp_path / name).write_bytes(b"x")
    scan(tmp_path, heard)
    (warning,) = heard.warnings
    assert "2 .heic, 1 .dng left out" in warning
    (note,) = heard.notes
    assert "1 without ending, 1 .txt left out" in note


def test_a_folder_of_unreadable_photographs_says_so(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"has no images.*1 \.heic"):
        scan(tmp_path)


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_only_regular_files_are_images(heard, tmp_path):
    save(tmp_path / "1.png")
    os.mkfifo(tmp_path / "zz.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    assert [*scan(tmp_path, heard).files] == ["1.png"]
    (warning,) = heard.warnings
    assert "2 left out that are no regular files" in warning


def test_a_link_to_itself_is_no_folder(tmp_path):
    save(tmp_path / "1.png")
    (tmp_path / "round").symlink_to("round")
    assert [*scan(tmp_path).files] == ["1.png"]


def test_names_keep_their_bytes(tmp_path):
    names = [os.fsdecode(b"caf\xe9"), unicodedata.normalize("NFD", "café")]
    try:
        save(*(tmp_path / name / "1.png" for name in names))
    except OSError:
        pytest.skip("this disk takes no such names")
    assert [*scan(tmp_path).files] == sorted(f"{name}/1.png" for name in names)
