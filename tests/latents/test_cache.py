"""The cache of latents: found again by content, whole or not at all."""

import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError, ResourceError
from iin_cli.latents import cache as latents
from iin_cli.progress import Silent

pytestmark = pytest.mark.usefixtures("cache")

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), np.uint8)


class Encoder:
    """Counts the images it sees; z is the mean colour."""

    def __init__(self, stochastic=True, break_at=None, problem=None):
        self.seen, self.stochastic, self.break_at, self.problem = 0, stochastic, break_at, problem

    def __call__(self, images):
        assert -1 <= images.min() <= images.max() <= 1
        mean = images.mean((2, 3))
        for row in mean:
            if self.seen == self.break_at:
                if self.problem is not None:
                    raise self.problem
                row[1] = float("nan")
            self.seen += 1
        return mean, (mean - 1 if self.stochastic else None)


ITEMS = np.arange(len(IMAGES))


def encode(encoder, identity=None, items=ITEMS, **options):
    return latents.cached(identity or {"a": 1}, items, IMAGES.__getitem__, encoder, batch=4, **options)


def test_values_and_kinds():
    found = encode(Encoder())
    expected = IMAGES.mean((1, 2)) / 127.5 - 1
    np.testing.assert_allclose(found.mean, expected, atol=1e-6)
    np.testing.assert_allclose(found.log_variance, expected - 1, atol=1e-6)
    assert isinstance(found.mean, latents.MappedRows)
    assert found.mean[np.array([3, 1])].dtype == np.float32
    assert encode(Encoder(stochastic=False), {"a": 2}).log_variance is None


def test_every_item_is_encoded_once():
    encoder = Encoder()
    first = encode(encoder)
    second = encode(encoder)
    assert encoder.seen == len(IMAGES)
    np.testing.assert_array_equal(first.mean, second.mean)
    encode(encoder, {"a": 2})
    assert encoder.seen == 2 * len(IMAGES)


def test_what_was_encoded_to_its_end_is_known_to_be_there():
    assert not latents.is_cached({"a": 1}, ITEMS)
    with pytest.raises(DataError):
        encode(Encoder(break_at=9))
    assert not latents.is_cached({"a": 1}, ITEMS)
    encode(Encoder())
    assert latents.is_cached({"a": 1}, ITEMS)
    assert not latents.is_cached({"a": 2}, ITEMS)


def test_a_latent_that_is_not_finite_is_named(cache):
    with pytest.raises(DataError, match=r"mean that is not finite for item 6$"):
        encode(Encoder(break_at=6))
    with pytest.raises(DataError, match=r"for cat/6\.png$"):
        encode(Encoder(break_at=6), called="cat/{}.png".format)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("problem", "at"), [(ValueError("x"), 5), (KeyboardInterrupt(), 3)])
def test_a_failure_leaves_nothing(cache, problem, at):
    with pytest.raises(type(problem)):
        encode(Encoder(break_at=at, problem=problem))
    assert [path for path in cache.rglob("*") if path.is_file() or path.name.startswith(".part")] == []
    assert len(encode(Encoder()).mean) == len(IMAGES)


def test_a_racing_process_may_win(cache):
    class Racer(Encoder):
        def __call__(self, images):
            if self.seen == 0:
                encode(Encoder())
            return super().__call__(images)

    assert len(encode(Racer()).mean) == len(IMAGES)
    assert not list(cache.rglob(".part*"))


def test_a_cache_that_cannot_be_used_says_so(tmp_path, cache, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(ResourceError, match="IIN_CACHE"):
        encode(Encoder())


def test_a_full_disk_is_noticed_beforehand(monkeypatch):
    monkeypatch.setattr(latents.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 8})())
    with pytest.raises(ResourceError, match="no space"):
        encode(Encoder())


def test_nothing_to_encode():
    with pytest.raises(DataError, match="no items"):
        latents.cached({}, ITEMS[:0], IMAGES.__getitem__, Encoder())


def test_images_and_digests():
    pixels = np.array([[[[0, 127, 255]]]], np.uint8)
    assert torch.allclose(latents.as_images(pixels).flatten(), torch.tensor([-1, 127 / 127.5 - 1, 1]))
    assert latents.index_digest(np.array([1, 2])) == latents.index_digest(np.array([1, 2], np.int32))
    assert latents.index_digest(np.array([1, 2])) != latents.index_digest(np.array([2, 1]))


def resident(file):
    """How many KiB of `file` this process holds in memory."""
    kibibytes, mine = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            mine = line.rstrip().endswith(str(file))
        elif mine and line.startswith("Rss:"):
            kibibytes += int(line.split()[1])
    return kibibytes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int16])
def test_mapped_rows_are_those_of_the_file(tmp_path, dtype):
    values = (100 * torch.randn(7, 3, generator=torch.Generator().manual_seed(0))).to(dtype)
    # An odd offset, as foreign files may have.
    (tmp_path / "rows").write_bytes(b"abc" + values.view(torch.uint8).numpy().tobytes())
    rows = latents.MappedRows(tmp_path / "rows", 3, (7, 3), dtype)
    expected = values.float().numpy()
    assert (len(rows), rows.shape) == (7, (7, 3))
    for chosen in (np.array([5, 0, 5]), slice(2, 6), np.array([], np.int64), np.arange(7) % 2 == 0, slice(None)):
        np.testing.assert_array_equal(rows[chosen], expected[chosen])
        assert rows[chosen].dtype == np.float32
    np.testing.assert_array_equal(np.concatenate(list(rows.blocks())), expected)
    np.testing.assert_array_equal(np.concatenate([rows, rows]), np.concatenate([expected, expected]))


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the memory of a file is read from /proc")
def test_mapped_rows_keep_nothing_in_memory(tmp_path):
    file = tmp_path / "rows.npy"
    np.save(file, np.ones((4096, 1024), np.float32))
    plain = np.load(file, mmap_mode="r")
    assert plain[:].sum() == 2**22
    assert resident(file) > 8000
    del plain
    rows = latents.MappedRows.of_npy(file)
    assert sum(block.sum() for block in rows.blocks()) == 2**22
    assert rows[np.arange(0, 4096, 2)].sum() == 2**21
    assert resident(file) < 100


def test_many_scattered_rows_are_let_go_of_on_the_way(tmp_path, monkeypatch):
    np.save(tmp_path / "rows.npy", np.ones((100, 4), np.float32))
    monkeypatch.setattr(latents, "READ_ROWS", 8)
    rows = latents.MappedRows.of_npy(tmp_path / "rows.npy")
    let_go = []

    class Watched:
        def madvise(self, advice):
            let_go.append(advice)

    rows._map = Watched()
    assert rows[np.arange(0, 100, 3)].sum() == 34 * 4
    # As often as there are parts of 8 among 34 rows.
    assert len(let_go) == 5


def test_a_file_of_another_kind_is_not_mapped(tmp_path):
    for number, array in enumerate(
        (np.zeros(4, np.float32), np.zeros((2, 2)), np.zeros((2, 3), np.float32, order="F"))
    ):
        np.save(tmp_path / f"{number}.npy", array)
        with pytest.raises(ValueError, match="it holds"):
            latents.MappedRows.of_npy(tmp_path / f"{number}.npy")


def test_encoding_takes_the_time_of_the_slower_of_reading_and_computing():
    images = np.zeros((80, 4, 4, 3), np.uint8)

    def slowly(work):
        def run(part):
            time.sleep(0.03)
            return work(part)

        return run

    def took(read, encoder):
        began = time.monotonic()
        latents.cached({"of": str((read, encoder))}, np.arange(len(images)), read, encoder, batch=4)
        return time.monotonic() - began

    read, encoder = images.__getitem__, Encoder(stochastic=False)
    reading, computing = took(slowly(read), encoder), took(read, slowly(encoder))
    both = took(slowly(read), slowly(encoder))
    assert min(reading, computing) > 20 * 0.03
    assert both < 0.75 * (reading + computing)


@pytest.mark.usefixtures("two_cores")
def test_each_core_encodes_images_of_its_own(cache):
    both, encoder, sizes = threading.Barrier(2, timeout=10), Encoder(), []

    def met(images):
        sizes.append(len(images))
        # Without a second thread nobody comes to the barrier.
        both.wait()
        return encoder(images)

    items = np.arange(8)
    found = encode(met, items=items, at_once=2, is_concurrent=True)
    alone = encode(Encoder(), {"a": 2}, items)
    assert sizes == [2] * 4
    np.testing.assert_array_equal(found.mean, alone.mean)
    np.testing.assert_array_equal(found.log_variance, alone.log_variance)


@pytest.mark.parametrize("is_concurrent", [False, True])
def test_progress_comes_to_its_end(cache, is_concurrent):
    told = []

    class Counting(Silent):
        @contextmanager
        def task(self, description, total, unit="it"):
            yield SimpleNamespace(advance=lambda count, **figures: told.append(count))

    # What is done in quick succession is not looked at each time.
    encode(Encoder(), at_once=2, is_concurrent=is_concurrent, report=Counting())
    assert sum(told) == len(IMAGES)


@pytest.mark.usefixtures("two_cores")
def test_a_failure_of_one_core_leaves_nothing(cache):
    sixth = latents.as_images(IMAGES[6:7])

    def broken(images):
        mean = images.mean((2, 3))
        mean[(images == sixth).flatten(1).all(1)] = float("nan")
        return mean, None

    with pytest.raises(DataError, match="a mean that is not finite for item 6"):
        encode(broken, items=np.arange(8), at_once=2, is_concurrent=True)
    assert not list(cache.rglob("*.npy"))
    assert torch.get_num_threads() == 2


def test_a_reader_that_dies_names_what_it_read(cache):
    def read(positions):
        if 5 in positions:
            raise ValueError("the disk\nis gone")
        return IMAGES[positions]

    message = r"^reading 4 images, 4\.png to 7\.png, failed: ValueError: the disk is gone$"
    with pytest.raises(DataError, match=message):
        latents.cached({"a": 1}, ITEMS, read, Encoder(), batch=4, called="{}.png".format)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_reader_without_memory_is_no_fault_of_the_data():
    def read(positions):
        raise MemoryError

    with pytest.raises(MemoryError):
        latents.cached({"a": 1}, ITEMS, read, Encoder())
