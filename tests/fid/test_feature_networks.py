"""The network in whose features images are compared."""

import numpy as np
import pytest
import torch
from PIL import Image

from iin_cli.data.folder import read_image
from iin_cli.errors import CheckpointError, UsageError
from iin_cli.fid.feature_networks import FeatureChoice
from iin_cli.interpretation.opening import open_network
from iin_cli.io import checkpoint
from iin_cli.metrics.inception import OFFICIAL_SHA256
from iin_cli.progress import Silent

CPU = torch.device("cpu")


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_backbones_encoder_sees_images_as_its_training_did(files, tmp_path):
    features = FeatureChoice(str(files.classifier)).open(CPU, Silent())
    assert (features.name, features.resize) == ("classifier", "bicubic-32")
    assert features.weights_sha256 == checkpoint.digest(files.classifier)
    images = [noise(32, 32), noise(64, 64, 1), noise(50, 70, 2), noise(20, 11, 3)]
    got = features(images)
    read = []
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        read.append(read_image(tmp_path / f"{number}.png", 32))
    # Where the square is cut by half a pixel, a folder's is not rounded.
    pixels = torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        wanted = open_network(str(files.classifier)).backbone.encode(pixels)
    assert torch.allclose(got[:3], wanted[:3], rtol=1e-4, atol=1e-5)
    assert got.shape == wanted.shape
    assert got.dtype == torch.float32


def test_without_a_backbone_it_is_inception():
    features = FeatureChoice().open(CPU, Silent())
    assert (features.name, features.resize, features.weights_sha256) == ("inception", "bilinear-299", OFFICIAL_SHA256)


def test_a_named_network_takes_a_weights_file(tmp_path):
    from torchvision.models import shufflenet_v2_x0_5

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(shufflenet_v2_x0_5().state_dict(), tmp_path / "w.pth")
    features = FeatureChoice("shufflenet_v2_x0_5", tmp_path / "w.pth").open(CPU, Silent())
    assert features.name == "shufflenet_v2_x0_5"
    assert features([noise(40, 40), noise(30, 50)]).shape == (2, features.backbone.latent_dim)


def test_what_cannot_be_a_feature_network_is_refused(files, tmp_path):
    with pytest.raises(UsageError, match="is a checkpoint with weights of its own"):
        FeatureChoice(str(files.classifier), tmp_path / "w.pth").open(CPU, Silent())
    with pytest.raises(UsageError, match="nonesuch"):
        FeatureChoice("nonesuch").open(CPU, Silent())
    with pytest.raises(CheckpointError, match="is a translator, expected a backbone"):
        FeatureChoice(str(files.of_images)).open(CPU, Silent())
