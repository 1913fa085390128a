"""Processes that encode the same: each does its parts, none is lost with a process, and all make the same entry."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from iin_cli.latents import cache as latents
from iin_cli.latents import sharing
from iin_cli.latents.sharing import Parts

pytestmark = pytest.mark.usefixtures("cache")

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), np.uint8)
# Holds byte 1 of a file, as a process does that encodes part 1.
HOLD = (
    "import fcntl, sys, time; fcntl.lockf(f := open(sys.argv[1], 'r+b'), fcntl.LOCK_EX, 1, 1); print(); time.sleep(60)"
)


class Encoder:
    """Counts the images it sees, and is stopped before image `until`."""

    def __init__(self, until=None):
        self.seen, self.until = 0, until

    def __call__(self, images):
        for _ in images:
            if self.seen == self.until:
                raise KeyboardInterrupt
            self.seen += 1
        return images.mean((2, 3)), images.mean((1, 3))


def encode(encoder, report=None):
    found = latents.cached({"a": 1}, np.arange(len(IMAGES)), IMAGES.__getitem__, encoder, batch=4, report=report)
    return found.mean[:].tobytes() + found.log_variance[:].tobytes()


@pytest.fixture
def whole(cache, monkeypatch, tmp_path):
    """The bytes that one process alone makes."""
    with monkeypatch.context() as patch:
        patch.setenv("IIN_CACHE", str(tmp_path / "alone"))
        return encode(Encoder())


def unfinished(cache):
    """The parts that were left."""
    return sorted(path.name for path in (cache / "latents" / "unfinished").rglob("*.done"))


def stopped(until=9):
    with pytest.raises(KeyboardInterrupt):
        encode(Encoder(until))


def test_a_stopped_encoding_goes_on_where_it_was(cache, whole, heard):
    stopped()
    assert unfinished(cache) == ["00000.done", "00001.done"]
    rest = Encoder()
    assert encode(rest, heard) == whole
    assert rest.seen == 2
    assert heard.notes == ["encoding: 8 of 10 images were done before the last run ended"]
    assert not list((cache / "latents" / "unfinished").iterdir())


@pytest.mark.parametrize("content", [b"", b"x" * 500, None])
def test_a_damaged_part_is_encoded_again(cache, whole, content):
    stopped()
    (part,) = cache.rglob("00001.done")
    part.write_bytes(part.read_bytes()[:-1] + b"x" if content is None else content)
    rest = Encoder()
    assert encode(rest) == whole
    assert rest.seen == 6


def test_a_part_that_another_process_has_is_waited_for_and_free_when_it_dies(cache, whole):
    stopped(3)
    seen, place = Encoder(), {}

    def read(positions):
        # Its folder is there now.
        if not place:
            (claims,) = cache.rglob("claims")
            place["other"] = subprocess.Popen([sys.executable, "-c", HOLD, str(claims)], stdout=subprocess.PIPE)
            with place["other"].stdout as said:
                said.readline()
        return IMAGES[positions]

    began = time.monotonic()
    killer = threading.Timer(1.0, lambda: place["other"].kill())
    killer.start()
    # Parts are claimed a little ahead of what is read: one at a time here.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("iin_cli.latents.reading_ahead.AHEAD", 1)
        found = latents.cached({"a": 1}, np.arange(len(IMAGES)), read, seen, batch=4)
    assert place["other"].wait() == -9
    assert time.monotonic() - began >= 1.0
    assert (found.mean[:].tobytes() + found.log_variance[:].tobytes(), seen.seen) == (whole, 10)


def test_without_locks_every_process_encodes_what_is_not_done(cache, whole, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    stopped()
    monkeypatch.setattr(fcntl, "lockf", none)
    rest = Encoder()
    assert encode(rest) == whole
    assert rest.seen == 2


def test_what_was_left_long_ago_is_removed_and_what_is_young_stays(cache):
    stopped()
    (young,) = (cache / "latents" / "unfinished").iterdir()
    old = young.with_name("old")
    old.mkdir()
    long_ago = time.time() - 2 * sharing.OLD_SECONDS
    os.utime(old, (long_ago, long_ago))
    latents.cached({"b": 1}, np.arange(2), IMAGES.__getitem__, Encoder())
    assert list((cache / "latents" / "unfinished").iterdir()) == [young]


def test_parts_that_outlived_their_entry_are_removed(cache, whole):
    stopped()
    (parts,) = (cache / "latents" / "unfinished").iterdir()
    kept = parts.rename(cache / "kept")
    encode(Encoder())
    kept.rename(parts)
    assert encode(Encoder(0)) == whole
    assert not parts.exists()


@pytest.mark.parametrize(("count", "batch", "rows"), [(1, 500, 500), (1000, 500, 500), (10_001, 4, 12)])
def test_parts_are_all_items_in_whole_batches(count, batch, rows):
    parts = Parts(count, batch)
    assert parts.rows == rows
    assert len(parts) <= sharing.MOST_PARTS
    batches = [each for part in range(len(parts)) for each in parts.batches(part, parts.batch)]
    np.testing.assert_array_equal(np.concatenate([each.positions for each in batches]), np.arange(count))
    assert max(len(each.positions) for each in batches) == min(batch, count)
    assert [each.part for each in batches if each.is_last] == list(range(len(parts)))
    assert sum(map(parts.size, range(len(parts)))) == count


def test_an_entry_is_of_the_form_that_it_always_had(cache, whole):
    encode(Encoder())
    (file,) = cache.rglob("mean.npy")
    variances = file.with_name("log_variance.npy")
    assert np.load(file).tobytes() + np.load(variances).tobytes() == whole
    np.testing.assert_array_equal(np.load(file.with_name("items.npy")), np.arange(len(IMAGES)))
    assert list(json.loads((file.parent / "digests.json").read_text())) == [file.name, variances.name, "items.npy"]
