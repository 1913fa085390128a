"""The cache of latents: found again by content, whole or not at all."""

import numpy as np
import pytest
import torch

from iin_cli.data import latents
from iin_cli.errors import DataError, ResourceError

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


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


def encode(encoder, identity=None, **options):
    return latents.cached(identity or {"a": 1}, len(IMAGES), IMAGES.__getitem__, encoder, batch=4, **options)


def test_values_and_kinds():
    found = encode(Encoder())
    expected = IMAGES.mean((1, 2)) / 127.5 - 1
    np.testing.assert_allclose(found.mean, expected, atol=1e-6)
    np.testing.assert_allclose(found.log_variance, expected - 1, atol=1e-6)
    assert isinstance(found.mean, np.memmap)
    assert found.mean.dtype == np.float32
    assert not found.mean.flags.writeable
    assert encode(Encoder(stochastic=False), {"a": 2}).log_variance is None


def test_every_item_is_encoded_once():
    encoder = Encoder()
    first = encode(encoder)
    second = encode(encoder)
    assert encoder.seen == len(IMAGES)
    np.testing.assert_array_equal(first.mean, second.mean)
    encode(encoder, {"a": 2})
    assert encoder.seen == 2 * len(IMAGES)


def test_a_latent_that_is_not_finite_is_named(cache):
    with pytest.raises(DataError, match=r"mean that is not finite for item 6$"):
        encode(Encoder(break_at=6))
    with pytest.raises(DataError, match=r"for cat/6\.png$"):
        encode(Encoder(break_at=6), called="cat/{}.png".format)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("problem", [ValueError("x"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(cache, problem):
    with pytest.raises(type(problem)):
        encode(Encoder(break_at=5, problem=problem))
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
    encode(Encoder())
    (file,) = cache.rglob("mean.npy")
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(DataError, match="damaged"):
        encode(Encoder())
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
        latents.cached({}, 0, IMAGES.__getitem__, Encoder())


def test_images_and_digests():
    pixels = np.array([[[[0, 127, 255]]]], np.uint8)
    assert torch.allclose(latents.as_images(pixels).flatten(), torch.tensor([-1, 127 / 127.5 - 1, 1]))
    assert latents.index_digest(np.array([1, 2])) == latents.index_digest(np.array([1, 2], np.int32))
    assert latents.index_digest(np.array([1, 2])) != latents.index_digest(np.array([2, 1]))
