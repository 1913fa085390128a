import math
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid import inception as published
from safetensors.torch import save_file

from iin_cli.commands.read.fid import fid
from iin_cli.errors import CheckpointError, DataError
from iin_cli.fid.feature_networks import FeatureChoice
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.metrics import inception
from iin_cli.metrics.fid import Moments, Statistics, frechet_distance
from iin_cli.metrics.inception import OFFICIAL_SHA256, InceptionFeatures, official_weights_path

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A full-size weights file with random weights that keep the activations' scale."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, value in inception._skeleton().state_dict().items():
        if value.ndim > 1:
            fan_in = math.prod(value.shape[1:])
            state[name] = torch.randn(value.shape, generator=generator) * math.sqrt(2 / fan_in)
        else:
            one = name.endswith(("running_var", "bn.weight"))
            state[name] = torch.full(value.shape, int(one), dtype=value.dtype)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(state, path)
    return path


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """An empty cache, and a network where every host is unknown."""
    asked = []

    def refuse(url, *rest, **options):
        asked.append(url.full_url)
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return asked


def photos(folder, count, seed, side=40):
    folder.mkdir()
    noise = np.random.default_rng(seed)
    images = [noise.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(count)]
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index}.png")
    return images


@pytest.mark.slow
def test_features_and_distance_are_those_of_pytorch_fid(weights, tmp_path, monkeypatch, no_network):
    sets = {name: photos(tmp_path / name, 3, seed) for seed, name in enumerate(("a", "b"))}
    features = InceptionFeatures(weights, CPU)
    ours = []
    for images in sets.values():
        moments = Moments()
        moments.add(features(images))
        ours.append(Statistics(moments.mean, moments.covariance(), moments.n))

    # pytorch-fid's constructor fetches: for this test it is handed the same file.
    monkeypatch.setattr(published, "load_state_dict_from_url", lambda *_, **__: torch.load(weights, weights_only=True))
    model = published.InceptionV3([3])
    theirs = [
        fid_score.compute_statistics_of_path(str(tmp_path / name), model, 3, 2048, "cpu", num_workers=0)
        for name in sets
    ]
    # Float32 rounds features, not their covariances, which are differences of their squares.
    for mine, (mu, sigma) in zip(ours, theirs, strict=True):
        assert np.abs(mine.mean.numpy() - mu).max() <= 2e-6 * np.abs(mu).max()
        assert np.abs(mine.covariance.numpy() - sigma).max() <= 1e-6 * np.square(mu).max()
    # The root of a product of rank 2 by its definition: the eigenvalues of Σ_a Σ_b, both of 2048 dimensions.
    (mu_a, cov_a), (mu_b, cov_b) = theirs
    values = np.sort(np.linalg.eigvals(_low_rank(cov_a, cov_b)).real)[-2:]
    wanted = ((mu_a - mu_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(values).sum()
    assert frechet_distance(*ours) == pytest.approx(wanted, rel=1e-6)
    assert wanted > 1e-3
    # The same from the folders themselves.
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    network = FeatureChoice(weights=weights, batch=3)
    found = fid(*(str(tmp_path / name) for name in sets), DataChoice(), network, device="cpu")
    assert found.value == pytest.approx(wanted, rel=1e-6)
    assert no_network == []


def _low_rank(cov_a, cov_b):
    """A 2 × 2 matrix with the non-zero eigenvalues of cov_a @ cov_b, cov_a being of rank 2."""
    values, vectors = np.linalg.eigh(cov_a)
    basis = vectors[:, -2:]
    return basis.T @ cov_b @ basis @ np.diag(values[-2:])


@pytest.mark.slow
def test_images_of_any_size_share_a_batch(weights):
    noise = np.random.default_rng(5)
    images = [noise.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in ((20, 31), (64, 48))]
    for image in images:
        # As Pillow's arrays are; torch warns of them, and warnings are errors here.
        image.flags.writeable = False
    features = InceptionFeatures(weights, CPU)
    together = features(images)
    assert together.shape == (2, 2048)
    alone = torch.cat([features([image]) for image in images])
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-5 * float(alone.abs().max()))
    assert not torch.allclose(alone[0], alone[1], rtol=1e-2)


def test_safetensors_and_half_precision_weights_are_read(weights, tmp_path):
    state = torch.load(weights, weights_only=True)
    save_file(
        {name: value.half() if value.is_floating_point() else value for name, value in state.items()},
        tmp_path / "w.safetensors",
    )
    features = InceptionFeatures(tmp_path / "w.safetensors", CPU)
    assert features.weights_sha256 != InceptionFeatures(weights, CPU).weights_sha256
    parameters = list(features.network.parameters())
    assert all(value.dtype == torch.float32 and not value.requires_grad for value in parameters)
    assert torch.equal(features.network[0].conv.weight, state["Conv2d_1a_3x3.conv.weight"].half().float())
    assert not features.network.training


def test_offline_says_which_file_to_put_where(no_network, tmp_path):
    features = InceptionFeatures(None, CPU)
    assert features.weights_sha256 == OFFICIAL_SHA256
    with pytest.raises(DataError, match="Name or service not known") as caught:
        features([np.zeros((8, 8, 3), np.uint8)])
    message = str(caught.value)
    assert "\n" not in message
    assert "--weights" in message
    assert str(tmp_path / "hub" / "checkpoints") in message
    assert no_network[0].endswith("pt_inception-2015-12-05-6726825d.pth")
    # Nothing half-written is left where pytorch-fid would pick it up.
    assert list((tmp_path / "hub" / "checkpoints").iterdir()) == []


def test_a_damaged_cached_file_is_never_used(no_network):
    path = official_weights_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a download")
    with pytest.raises(CheckpointError, match="is damaged"):
        _ = InceptionFeatures(None, CPU).network
    assert no_network == []


def test_the_official_name_carries_the_official_digest():
    assert published.FID_WEIGHTS_URL == inception.OFFICIAL_URL
    assert official_weights_path().name == Path(published.FID_WEIGHTS_URL).name
    assert official_weights_path().stem.endswith(f"-{OFFICIAL_SHA256[:8]}")


def test_unfit_weights_are_refused_by_name(tmp_path):
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "text.safetensors").write_text("no weights")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pth")
    torch.save({"Conv2d_1a_3x3.conv.weight": 3}, tmp_path / "number.pth")
    for name in ("text.pth", "text.safetensors", "tensor.pth", "other.pth", "number.pth"):
        with pytest.raises(CheckpointError, match=name.replace(".", r"\.")) as caught:
            _ = InceptionFeatures(tmp_path / name, CPU).network
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match=r"gone\.pth: No such file"):
        InceptionFeatures(tmp_path / "gone.pth", CPU)
