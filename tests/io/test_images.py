import errno
import io
import threading
import time
import zipfile

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load

from iin_cli.errors import ResourceError
from iin_cli.io.images import PngFolder, WritingPool, encode_npz, encode_png, encode_safetensors

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
SEEDS = np.array([1, 2, 2**62], np.int64)


def test_png_is_lossless_and_nothing_else_is_left(tmp_path):
    with PngFolder(tmp_path) as sink:
        sink.add([1, 2], IMAGES[:2])
        sink.add([1000000], IMAGES[2:])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000001.png", "000002.png", "1000000.png"]
    assert (np.asarray(Image.open(tmp_path / "000002.png")) == IMAGES[1]).all()
    assert (tmp_path / "000002.png").read_bytes() == encode_png(IMAGES[1])


@pytest.mark.parametrize("shape", [(1, 1, 3), (32, 32, 3), (5, 9, 3), (64, 64, 3), (200, 100, 3)])
def test_a_png_of_any_size_is_read_by_others(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    encoded = encode_png(image)
    with Image.open(io.BytesIO(encoded)) as found:
        # Reads all parts and their checksums.
        found.verify()
    with Image.open(io.BytesIO(encoded)) as found:
        assert (found.mode, found.format) == ("RGB", "PNG")
        assert (np.asarray(found) == image).all()


def test_arrays_are_whole_and_their_bytes_know_no_clock(monkeypatch):
    first = encode_npz(images=IMAGES, seeds=SEEDS), encode_safetensors(images=IMAGES, seeds=SEEDS)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert (encode_npz(images=IMAGES, seeds=SEEDS), encode_safetensors(images=IMAGES, seeds=SEEDS)) == first
    dates = {entry.date_time[0] for entry in zipfile.ZipFile(io.BytesIO(first[0])).infolist()}
    assert dates == {1980}
    for found in (np.load(io.BytesIO(first[0])), load(first[1])):
        assert (found["images"] == IMAGES).all()
        assert (found["seeds"] == SEEDS).all()


def test_a_full_disk_is_one_error_and_no_half_file(tmp_path, monkeypatch):
    def full(path, content):
        with open(path, "wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("iin_cli.io.images._write_bytes", full)
    with pytest.raises(ResourceError, match=r"00000\d\.png"), PngFolder(tmp_path) as sink:
        sink.add([0, 1], IMAGES[:2])
    assert list(tmp_path.iterdir()) == []


def test_whoever_is_faster_than_the_writers_waits():
    go, begun = threading.Event(), []

    def work(number):
        begun.append(number)
        go.wait(10)

    def bring(pool):
        for number in range(6):
            pool.submit(work, number)
            brought.append(number)

    brought = []
    with WritingPool(threads=1, waiting=2) as pool:
        bringer = threading.Thread(target=bring, args=(pool,))
        bringer.start()
        while len(brought) < 2:
            time.sleep(0.01)
        time.sleep(0.2)
        assert brought == [0, 1]
        go.set()
        bringer.join(10)
    assert begun == brought == list(range(6))


def test_a_failure_is_raised_and_what_was_not_begun_is_left_out():
    begun = []

    def fail():
        raise ResourceError("full")

    def run():
        with WritingPool(threads=1, waiting=2) as pool:
            pool.submit(fail)
            for number in range(1000):
                pool.submit(begun.append, number)

    with pytest.raises(ResourceError, match="full"):
        run()
    assert len(begun) < 1000
