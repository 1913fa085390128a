"""One pass over a set of images, whoever takes which part of it."""

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.fid import set_statistics
from iin_cli.fid.image_sets import ImageSet
from iin_cli.fid.set_statistics import measure, metric_name, warn_of_few
from iin_cli.io.paths import cache_dir
from iin_cli.metrics.inception import OFFICIAL_SHA256
from iin_cli.progress import Silent


class Pixels:
    """A stand-in network: the first three pixels' red; remembers its batches."""

    name, resize, weights_sha256 = "pixels", "none", "ab" * 32

    def __init__(self):
        self.batches = []

    def __call__(self, images):
        rows = np.stack([image.reshape(-1, 3)[:3, 0] for image in images]).astype(np.float32)
        self.batches.append(rows.tolist())
        return torch.from_numpy(rows)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))


def noise(count=23, side=4, identity=None):
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return images, ImageSet("noise", count, identity, lambda start, stop: iter(images[start:stop]))


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_ranks_take_whole_batches_and_the_joined_result_is_that_of_one(monkeypatch, ranks):
    images, entry = noise()
    alone = Pixels()
    expected = measure(entry, alone, 5, Silent(), keep=12)
    wanted = torch.from_numpy(images.reshape(23, -1, 3)[:, :3, 0].astype(np.float64))
    assert torch.allclose(expected.statistics.covariance, torch.cov(wanted.T), rtol=1e-12)

    monkeypatch.setattr(set_statistics, "world_size", lambda: ranks)
    shares, together = [], Pixels()
    for rank in range(ranks):
        monkeypatch.setattr(set_statistics, "rank", lambda rank=rank: rank)
        shares.append(set_statistics._pass(entry, together, 5, 12, Silent()))
    got = set_statistics._joined(shares, entry, together)
    assert together.batches == alone.batches
    assert torch.equal(got.features, wanted[:12].float())
    assert torch.equal(expected.features, wanted[:12].float())
    assert torch.allclose(got.statistics.mean, expected.statistics.mean, rtol=1e-13)
    assert torch.allclose(got.statistics.covariance, expected.statistics.covariance, rtol=1e-12)
    assert (got.statistics.n, got.statistics.image_size) == (23, 4)


def test_only_the_main_rank_holds_the_result(monkeypatch):
    _, entry = noise()
    share = set_statistics._pass(entry, Pixels(), 5, 0, Silent())
    monkeypatch.setattr(set_statistics, "is_main_rank", lambda: False)
    monkeypatch.setattr(set_statistics, "gather", lambda value: [value if isinstance(value, bool) else share])
    assert measure(entry, Pixels(), 5, Silent()) is None


def test_features_are_kept_with_the_statistics():
    _, entry = noise(identity={"noise": 0})
    first = measure(entry, Pixels(), 5, Silent(), keep=7)
    again = Pixels()
    found = measure(entry, again, 5, Silent(), keep=7)
    assert again.batches == []
    assert torch.equal(found.features, first.features)
    assert torch.equal(found.statistics.covariance, first.statistics.covariance)
    # More features than were kept cost another pass, and so do other weights.
    assert len(measure(entry, again, 5, Silent(), keep=100).features) == 23
    assert again.batches != []
    other = Pixels()
    other.weights_sha256 = "cd" * 32
    measure(entry, other, 5, Silent(), keep=7)
    assert other.batches != []


def test_images_of_unknown_origin_are_measured_every_time():
    _, entry = noise(identity=None)
    for _ in range(2):
        features = Pixels()
        measure(entry, features, 5, Silent())
        assert features.batches != []
    assert not (cache_dir() / "statistics").exists()


def test_one_image_is_too_few():
    _, entry = noise(1)
    with pytest.raises(DataError, match="noise has 1 image: a Fréchet distance needs at least 2"):
        measure(entry, Pixels(), 5, Silent())


def test_the_name_of_the_metric_and_how_many_images_it_needs(heard):
    assert (metric_name(OFFICIAL_SHA256), metric_name("1" * 64), metric_name(None)) == ("fid", "fd", "fd")
    warn_of_few("fid", 2048, 2048, heard)
    assert heard.warnings == []
    warn_of_few("fid", 2047, 2048, heard)
    assert "fid from 2,047 images is biased upwards: use at least 2,048" in heard.warnings[0]
