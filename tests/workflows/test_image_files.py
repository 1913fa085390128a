import errno

import numpy as np
import pytest
from PIL import Image

from iin_cli.errors import ResourceError
from iin_cli.workflows.image_files import ArrayFile, PngFolder

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)


def test_png_is_lossless_and_nothing_else_is_left(tmp_path):
    with PngFolder(tmp_path) as sink:
        sink.add([1, 2], IMAGES[:2])
        sink.add([1000000], IMAGES[2:])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000001.png", "000002.png", "1000000.png"]
    assert (np.asarray(Image.open(tmp_path / "000002.png")) == IMAGES[1]).all()


def test_a_full_disk_is_one_error_and_no_half_file(tmp_path, monkeypatch):
    def full(self, path, **options):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(ResourceError, match=r"00000\d\.png"), PngFolder(tmp_path) as sink:
        sink.add([0, 1], IMAGES[:2])
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_array_file_is_not_written(tmp_path):
    def interrupted():
        with ArrayFile(tmp_path / "images.npz", 3, 4) as sink:
            sink.add([0], IMAGES[:1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
