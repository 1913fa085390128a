"""The cache: only what iin made is listed and removed, never what is in use, and nothing behind a link."""

import fcntl
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from iin_cli.commands.about.cache import cache as run
from iin_cli.errors import UsageError
from iin_cli.io import checkpoint
from iin_cli.io.holding import CLAIMS, PRESENT, is_at_work
from iin_cli.latents.cache import cached
from iin_cli.upkeep.entries import read_cache
from iin_cli.upkeep.in_use import STILL_WRITTEN, InUse
from iin_cli.upkeep.removing import named, outdated

LONG_AGO = time.time() - 40 * 86400


def encoded(name, count=6):
    """An entry of latents, as a command makes it."""
    pixels = np.zeros((count, 2, 2, 3), np.uint8)
    about = {"data": "digits", "network": "net"}
    encode = lambda x: (x.flatten(1)[:, :3], None)  # noqa: E731
    return cached({"name": name}, np.arange(count), pixels.__getitem__, encode, about=about)


def age(folder, seconds=LONG_AGO):
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (seconds, seconds), follow_symlinks=False)


@pytest.fixture
def full(cache):
    """A cache with an entry of every kind, long unused, and things that are not iin's."""
    encoded("a")
    checkpoint.save(
        cache / "statistics" / f"{'1' * 64}.safetensors",
        {"x": torch.ones(9)},
        {"kind": "statistics", "n": 9, "source": "faces"},
    )
    for name in ("images/" + "2" * 64 + ".npz", "precision/" + "3" * 64 + ".json", "vetted.json"):
        (cache / name).parent.mkdir(exist_ok=True)
        (cache / name).write_text("{}")
    stylizer = cache / "stylizers" / ("4" * 32) / "stylizer.safetensors"
    checkpoint.save(stylizer, {"x": torch.ones(9)}, {"kind": "stylizer", "data": {"name": "cats"}})
    for leftover in (
        "latents/ab/.part-x/mean.npy",
        ".layers-y/0.f32",
        f"latents/unfinished/{'9' * 64}/0",
        f"statistics/.{'5' * 64}.safetensors.0a1b2c3d.part",
    ):
        (cache / leftover).parent.mkdir(parents=True, exist_ok=True)
        (cache / leftover).write_text("half")
    for own in ("data/mnist/train", "notes.txt", "statistics/mine.safetensors", "latents/ab/readme", "images/x.npz"):
        (cache / own).parent.mkdir(parents=True, exist_ok=True)
        (cache / own).write_text("mine")
    age(cache)
    return cache


def kinds(entries):
    return sorted(entry.kind for entry in entries)


# As `SharedWork` does, without loading it.
AT_WORK = f"""
import fcntl, sys, time
with open(sys.argv[1], "r+") as file:
    fcntl.lockf(file, fcntl.LOCK_SH, 1, {PRESENT})
    print("held", flush=True)
    time.sleep(60)
"""
ALL = ["images", "latents", "plugins", "precision", "statistics", "stylizers", *["unfinished"] * 4]


def test_every_kind_is_listed_with_what_it_belongs_to(full):
    found = read_cache()
    assert kinds(found.entries) == ALL
    said = {entry.kind: entry.about for entry in found.entries}
    assert said["latents"] == "digits by net: 6 images, 3 latents each"
    assert said["statistics"] == "9 images of faces, for iin fid"
    assert said["stylizers"] == "a stylizer for cats"
    assert {*found.others} == {"notes.txt", "statistics/mine.safetensors", "latents/ab/readme", "images/x.npz"}
    assert found.data > 0
    result = run("ls")
    assert result.bytes == sum(entry["bytes"] for entry in result.entries)
    assert {entry["in_use"] for entry in result.entries} == {None}
    json.dumps(result.as_dict())


def test_an_older_entry_says_its_size_and_a_damaged_one_that_it_is(full):
    (folder,) = (path.parent for path in full.rglob("mean.npy") if not path.parent.name.startswith("."))
    folder.with_suffix(".json").unlink()
    (full / "statistics" / f"{'1' * 64}.safetensors").write_bytes(b"\x00")
    said = {entry.kind: entry.about for entry in read_cache().entries}
    assert said["latents"] == "6 images, 3 latents each"
    assert said["statistics"] == "damaged"
    (folder / "mean.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00(((")
    assert {entry.about for entry in read_cache().entries if entry.kind == "latents"} == {"damaged"}


def test_all_that_is_iins_goes_and_nothing_else(full):
    before = run("ls").bytes
    dry = run("rm", ["all"], dry=True)
    assert kinds(read_cache().entries) == ALL
    done = run("rm", ["all"])
    assert done.entries == dry.entries
    assert (done.removed_bytes, done.bytes) == (before, 0)
    left = {str(path.relative_to(full)) for path in full.rglob("*") if path.is_file()}
    assert left == {"data/mnist/train", "notes.txt", "statistics/mine.safetensors", "latents/ab/readme", "images/x.npz"}


def test_links_are_not_followed(full, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "ab" / ("6" * 64)).mkdir(parents=True)
    precious = elsewhere / "ab" / ("6" * 64) / "mean.npy"
    precious.write_text("precious")
    inside = next(path.parent for path in full.rglob("mean.npy") if not path.parent.name.startswith("."))
    for link in ("latents/cd", "latents/ab/" + "7" * 64, "images/" + "8" * 64 + ".npz", ".part-z"):
        (full / link).symlink_to(elsewhere)
    (inside / "extra").symlink_to(elsewhere)
    age(full)
    names = {entry["name"] for entry in run("rm", ["all"]).entries}
    assert not [name for name in names if "666" in name or "777" in name or "888" in name]
    assert precious.read_text() == "precious"
    assert not inside.exists()
    # The folder itself may be a link: that is where the user wants it.
    os.symlink(full, tmp_path / "link")
    assert read_cache(tmp_path / "link").path == full.resolve()


def test_what_is_used_stays(full):
    (folder,) = (path.parent for path in full.rglob("mean.npy") if not path.parent.name.startswith("."))
    latents = encoded("a")
    age(full)
    (entry,) = [entry for entry in read_cache().entries if entry.kind == "latents"]
    assert InUse(full).why(entry) is not None
    with pytest.raises(UsageError, match="stays: a running command"):
        run("rm", [entry.name])
    # Of several, the others go.
    done = run("rm", ["all"])
    assert [kept["name"] for kept in done.kept] == [entry.name]
    assert len(done.entries) == len(ALL) - 1
    assert latents.mean[0:1].shape == (1, 3)
    del latents
    assert InUse(full).why(entry) is None
    assert [gone["name"] for gone in run("rm", [entry.name]).entries] == [entry.name]
    assert not folder.exists()


def test_locks_are_seen_without_proc(full, monkeypatch):
    monkeypatch.setattr("iin_cli.upkeep.in_use._opened_below", lambda folder: [])
    latents = encoded("a")
    age(full)
    (entry,) = [entry for entry in read_cache().entries if entry.kind == "latents"]
    assert InUse(full).why(entry) == "a running command holds it"
    del latents
    handle = os.open(entry.path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    assert InUse(full).why(entry) == "a running command holds it"
    os.close(handle)
    assert InUse(full).why(entry) is None


def test_a_leftover_stays_as_long_as_it_may_be_written(full):
    age(full / ".layers-y", time.time() - STILL_WRITTEN / 2)
    done = run("prune")
    assert [kept["kind"] for kept in done.kept] == ["unfinished"]
    # Whoever waits a few seconds only would be told the same again.
    with pytest.raises(UsageError, match=r"in the last hour.*an hour after it was killed"):
        run("rm", [done.kept[0]["name"]])
    assert kinds(read_cache().entries) == sorted(set(ALL))


def test_an_encoding_that_was_killed_is_in_use_no_longer(full):
    """Its locks have gone with it, and say so sooner than the clock."""
    folder = full / "latents" / "unfinished" / ("9" * 64)
    handle = os.open(folder / CLAIMS, os.O_RDWR | os.O_CREAT)
    age(folder, time.time() - STILL_WRITTEN / 2)
    (entry,) = [entry for entry in read_cache().entries if entry.path == folder]
    at_work = subprocess.Popen([sys.executable, "-c", AT_WORK, folder / CLAIMS], stdout=subprocess.PIPE)
    try:
        assert at_work.stdout.readline() == b"held\n"
        assert is_at_work(folder)
        use = InUse(full)
        use._open_files = set
        assert use.why(entry) == "a running command holds it"
    finally:
        at_work.kill()
        at_work.communicate()
    os.close(handle)
    assert not is_at_work(folder)
    assert InUse(full).why(entry) is None
    assert [gone["name"] for gone in run("rm", [entry.name]).entries] == [entry.name]


def test_pruning_takes_the_longest_unused_first(cache):
    for number, name in enumerate("abcd"):
        encoded(name, 5000)
        newest = read_cache().entries[-1]
        age(newest.path, LONG_AGO + number * 86400)
    found = read_cache()
    order = [entry.name for entry in found.entries]
    each = found.entries[0].bytes
    assert [entry.name for entry in outdated(found, None, 2 * each)] == order[:2]
    assert [entry.name for entry in outdated(found, 38.5 * 86400, None)] == order[:2]
    assert [entry.name for entry in outdated(found, 39.5 * 86400, 3 * each)] == order[:1]
    assert outdated(found, None, None) == []
    # What is opened again was used last.
    encoded("a", 5000)
    assert read_cache().entries[-1].name == order[0]


def test_names_are_beginnings_of_one_key(full):
    found = read_cache()
    assert kinds(named(found, ["latents", "1111", "statistics/1111"])) == ["latents", "statistics"]
    for wrong in ("1", "nothing", "latents/", "../etc"):
        with pytest.raises(UsageError, match="iin cache ls"):
            named(found, [wrong])


def test_the_command_lists_prunes_and_refuses(command_line, cache):
    encoded("a")
    age(cache)
    code, out, _ = command_line("cache")
    assert (code, "digits by net" in out) == (0, True)
    code, out, _ = command_line("cache", "prune", "--older-than", "30d", "--dry-run", "--json")
    assert len(json.loads(out)["entries"]) == 1
    for words, why in (
        (["rm"], "name what to remove"),
        (["ls", "latents"], "name what to remove"),
        (["rm", "latents", "--max-size", "1GB"], "go with prune"),
        (["remove"], "choose from"),
        (["prune", "--max-size", "lots"], "is no size"),
    ):
        code, out, err = command_line("cache", *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert why in err
    assert len(read_cache().entries) == 1
