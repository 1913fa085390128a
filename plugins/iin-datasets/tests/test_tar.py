"""`tar:`: images are found in shards, looked at once, read at their places; what is broken is named."""

import gzip
import json
import os
import re
import tarfile

import numpy as np
import pytest
from iin_cli.data import open_dataset
from iin_cli.data.known_files import VERIFY
from iin_cli.errors import DataError, IinError, PluginError, UsageError
from PIL import Image


def members(digits, count=6):
    images, values, _ = digits
    return [pair for i in range(count) for pair in ((f"{i}.png", images[i]), (f"{i}.cls", str(values[i]).encode()))]


def test_shards_are_a_dataset(shards, digits, listener):
    _, values, pixels = digits
    dataset = open_dataset(shards, report=listener)
    order = [*range(0, 40, 2), *range(1, 40, 2)]
    np.testing.assert_array_equal(dataset.images(np.arange(40), 32), pixels[order])
    assert dataset.labels["class"].names == tuple("0123456789")
    np.testing.assert_array_equal(dataset.labels["class"].values, np.array(values)[order])
    assert dataset.name == shards
    assert dataset.native_size == 32
    assert dataset.path(21).endswith("digits-1.tar/003.png")
    # A tenth of every class, and one at least.
    assert [len(dataset.splits[split]) for split in ("train", "test")] == [30, 10]
    assert any("a tenth of every class is the test split" in note for note in listener.notes)


def test_known_shards_are_not_read_again(shards, monkeypatch):
    # Files that are new within the resolution of a clock are read again.
    monkeypatch.setattr("iin_datasets.seen.is_settled", lambda facts, now: True)
    before = open_dataset(shards)
    with monkeypatch.context() as patched:
        patched.setattr("iin_datasets.tar.read_shard", None)
        again = open_dataset(shards)
    assert again.fingerprint == before.fingerprint
    np.testing.assert_array_equal(again.images(np.arange(40), 8), before.images(np.arange(40), 8))
    assert {name: label.names for name, label in again.labels.items()} == {
        name: label.names for name, label in before.labels.items()
    }
    monkeypatch.setenv(VERIFY, "1")
    monkeypatch.setattr("iin_datasets.tar.read_shard", None)
    with pytest.raises(PluginError, match="not callable"):
        open_dataset(shards)


def test_the_fingerprint_is_of_the_content(shards, tmp_path, digits, write_tar):
    before = open_dataset(shards).fingerprint
    for shard in range(2):
        (tmp_path / f"digits-{shard}.tar").rename(tmp_path / f"moved-{shard}.tar")
    moved = f"tar:{tmp_path}/moved-*.tar"
    assert open_dataset(moved).fingerprint == before
    write_tar(tmp_path / "moved-1.tar", members(digits))
    assert open_dataset(moved).fingerprint != before


def test_fields_of_json_become_labels(tmp_path, digits, listener, write_tar):
    images, values, _ = digits
    rows = [
        {"parity": ["even", "odd"][values[i] % 2], "ink": i + 0.5, "box": [1], "id": i, "ok": i % 2 == 0, "late": None}
        for i in range(40)
    ]
    rows[7]["late"] = "x"
    content = [(f"a/{i}.png", images[i]) for i in range(40)]
    content += [(f"a/{i}.json", json.dumps(row).encode()) for i, row in enumerate(rows)]
    write_tar(tmp_path / "s.tar", content)
    dataset = open_dataset(f"tar:{tmp_path}/s.tar", report=listener)
    assert dataset.labels["parity"].names == ("even", "odd")
    assert dataset.labels["ok"].names == ("false", "true")
    np.testing.assert_array_equal(dataset.labels["ink"].values, np.arange(40) + 0.5)
    assert dataset.labels["ink"].continuous
    assert set(dataset.labels) == {"parity", "ink", "ok"}
    (note,) = (note for note in listener.notes if "no labels are" in note)
    assert "box (lists or parts of their own)" in note
    assert "id (hardly two images share a value)" in note
    assert "late (no value in 39 of 40 images)" in note


def test_names_of_shards_say_the_splits(tmp_path, digits, listener, write_tar):
    images, _, _ = digits
    write_tar(tmp_path / "mnist-train-000.tar", [(f"{i}.png", images[i]) for i in range(8)])
    write_tar(tmp_path / "mnist-val-000.tar", [(f"{i}.png", images[i]) for i in (7, 8, 9)])
    dataset = open_dataset(f"tar:{tmp_path}", report=listener)
    # The eighth image is in both.
    assert (dataset.splits["train"].tolist(), dataset.splits["test"].tolist()) == ([*range(8)], [9, 10])
    assert "1 of 3 test images" in listener.warnings[0]


def test_every_mode_is_read_as_from_a_file(tmp_path, png, write_tar):
    generator = np.random.default_rng(0)
    deep = Image.fromarray(generator.integers(0, 4096, (16, 16)).astype(np.uint16))
    colors = Image.fromarray(generator.integers(0, 256, (16, 20, 3)).astype(np.uint8))
    files = {"deep.png": png(deep), "cmyk.jpg": png(colors.convert("CMYK"), "JPEG"), "rgb.png": png(colors)}
    files |= {f"{mode}.png": png(colors.convert(mode)) for mode in ("L", "LA")}
    (tmp_path / "folder").mkdir()
    for name, content in files.items():
        (tmp_path / "folder" / name).write_bytes(content)
    write_tar(tmp_path / "s.tar", sorted(files.items()))
    folder, shard = open_dataset(str(tmp_path / "folder")), open_dataset(f"tar:{tmp_path}/s.tar")
    np.testing.assert_array_equal(shard.images(np.arange(5), 16), folder.images(np.arange(5), 16))
    assert shard.remembered == folder.remembered == {"greys": {"whole": [0.0, 4095.0]}}


@pytest.fixture
def broken(tmp_path, digits, png, write_tar):
    return lambda kind: broken_shard(tmp_path, digits, kind, png, write_tar)


def broken_shard(path, digits, kind, png, write_tar):
    whole = write_tar(path / "whole.tar", members(digits)).read_bytes()
    if kind == "json":
        write_tar(path / "s.tar", [*members(digits), ("9.png", digits[0][9]), ("9.json", b"{nope")])
    elif kind == "image":
        write_tar(path / "s.tar", [*members(digits), ("9.png", b"nope"), ("8.png", b""), ("7.cls", b"3")])
    elif kind == "two":
        write_tar(path / "s.tar", [*members(digits), ("3.jpg", png(np.zeros((8, 8), np.uint8), "JPEG"))])
    elif kind == "twice":
        write_tar(path / "s.tar", [*members(digits), members(digits)[0]])
    else:
        with tarfile.open(path / "whole.tar") as tar:
            second = tar.getmember("1.png").offset
        (path / "s.tar").write_bytes(whole[: second + {"boundary": 0, "header": 300, "content": 600}[kind]])
    return f"tar:{path}/s.tar"


@pytest.mark.parametrize(
    ("kind", "said", "left"),
    [
        ("json", r"image .*s.tar/9.png cannot be read \(its .json is no JSON\).*--skip-bad", 6),
        (
            "image",
            r"2 of 8 images of .*9.png \(not an image that Pillow knows\); .*8.png \(it is empty",
            6,
        ),
        ("two", r"3.jpg cannot be read \(its key has 2 images: .jpg and .png", 5),
        ("twice", r"two members are called 0.png", 5),
        ("content", r"shard .*s.tar is not whole: it ends within or after 1.png", 1),
        ("header", r"shard .*s.tar is not whole: it ends within or after 0.cls", 1),
    ],
)
def test_what_is_broken_is_named_or_left_out(broken, listener, kind, said, left):
    name = broken(kind)
    with pytest.raises(DataError) as error:
        open_dataset(name)
    assert re.search(said, str(error.value)), error.value
    dataset = open_dataset(name, report=listener, skip_bad=True)
    assert len(dataset.sources) == left
    assert listener.warnings
    assert dataset.remembered["left_out"]


def test_a_shard_without_an_end_is_said(broken, listener):
    dataset = open_dataset(broken("boundary"), report=listener)
    assert len(dataset.sources) == 1
    assert "no mark of their end, and may be cut off" in listener.warnings[0]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda whole: b"", "is empty, 0 bytes"),
        (lambda whole: b"no tar" * 999, "is no tar file"),
        (gzip.compress, r"is compressed \(gzip\)"),
        (lambda whole: whole + whole, "more follows its end"),
        (lambda whole: whole[:512] + b"\1" * 512 + whole[512:], "it is damaged after|is not whole"),
        (lambda whole: bytes(10240), "no key has a member that Pillow reads"),
    ],
)
def test_a_file_that_is_no_shard(tmp_path, digits, write_tar, make, said):
    whole = write_tar(tmp_path / "whole.tar", members(digits)).read_bytes()
    (tmp_path / "s.tar").write_bytes(make(whole))
    with pytest.raises(DataError, match=said):
        open_dataset(f"tar:{tmp_path}/s.tar")


def test_links_and_hidden_members(tmp_path, digits, listener, write_tar):
    path = tmp_path / "s.tar"
    write_tar(path, [*members(digits), ("._0.png", b"x"), ("__MACOSX/0.png", b"x"), ("0.seg.png", digits[0][3])])
    with tarfile.open(path, "a") as tar:
        links = [("h.png", tarfile.LNKTYPE, "1.png"), ("s.png", tarfile.SYMTYPE, "/etc/passwd")]
        for name, kind, target in (*links, ("f.png", tarfile.FIFOTYPE, "")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
    dataset = open_dataset(f"tar:{path}", report=listener)
    assert len(dataset.sources) == 7
    # The hard link shows the image that it leads to, and stands where that does.
    assert dataset.sources.tolist() == [0, 1, 1, 3, 4, 5, 6]
    assert "not used: 2 hidden, 2 links and special files, 1 .seg.png" in listener.notes[0]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "s.tar")
    with pytest.raises(DataError, match="not a regular file"):
        open_dataset(f"tar:{tmp_path}/s.tar")


@pytest.mark.parametrize(
    ("argument", "kind", "said"),
    [
        ("", UsageError, "no shard is named"),
        ("no.tar", DataError, "no.tar is missing"),
        ("digits-{0..3}.tar", DataError, "2 of 4 shards are missing, such as .*digits-2.tar"),
        ("digits-{0..9999999}.tar", UsageError, "more than 100,000 files"),
        ("http://a/b.tar", UsageError, "only files of this machine"),
        ("pipe:cat a.tar", UsageError, "only files of this machine"),
        ("none", DataError, "has no shard"),
    ],
)
def test_names_that_lead_nowhere(shards, tmp_path, monkeypatch, argument, kind, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(IinError, match=said) as error:
        open_dataset(f"tar:{argument}")
    assert type(error.value) is kind


def test_shards_lie_here_or_in_the_data_root(shards, tmp_path, monkeypatch):
    assert open_dataset("tar:digits-{0..1}.tar", tmp_path).name == shards
    monkeypatch.chdir(tmp_path)
    assert open_dataset("tar:digits-{0..1}.tar").name == shards


def test_a_shard_that_changes_after_it_was_opened(shards, tmp_path):
    dataset = open_dataset(shards)
    path = tmp_path / "digits-0.tar"
    content = path.read_bytes()
    # A copy of the same bytes is the same.
    path.unlink()
    path.write_bytes(content)
    assert dataset.images(np.arange(2), 8).shape == (2, 8, 8, 3)
    path.write_bytes(content[:700])
    with pytest.raises(DataError, match=r"000.png changed after it was opened .*run the command again"):
        dataset.images(np.arange(2), 8)
    path.unlink()
    with pytest.raises(DataError, match=r"changed after it was opened \(No such file"):
        dataset.images(np.arange(2), 8)


def test_a_shard_that_changes_while_it_is_read(shards, tmp_path, monkeypatch):
    from iin_datasets import shard_index

    def slow(contents, count, advance):
        with (tmp_path / "digits-0.tar").open("ab") as more:
            more.write(b"x")
        return look(contents, count, advance)

    look = shard_index.look_at
    monkeypatch.setattr(shard_index, "look_at", slow)
    with pytest.raises(DataError, match=r"digits-0.tar changed while it was read"):
        open_dataset(shards)
