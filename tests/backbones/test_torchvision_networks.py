"""Building torchvision's networks: all names, the published preprocessing, other image sizes."""

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from iin_cli.backbones.torchvision_networks import (
    Preprocessing,
    build_network,
    categories,
    check_side,
    fitted_to,
    head_name,
    model_names,
    starting_weights,
)
from iin_cli.distributed import seeded
from iin_cli.errors import UsageError


def test_every_classification_model_has_a_preprocessing_that_the_datasets_can_do():
    assert len(model_names()) >= 80
    for name in model_names():
        wanted = Preprocessing.published(name)
        assert wanted.image_size >= wanted.crop_size >= 224
        assert wanted.interpolation in ("bilinear", "bicubic")
        assert len(categories(name)) == 1000


def test_preprocessing_survives_json():
    wanted = Preprocessing.published("efficientnet_v2_l")
    assert wanted == Preprocessing(480, 480, (0.5,) * 3, (0.5,) * 3, "bicubic")
    assert Preprocessing.from_json(wanted.as_json()) == wanted


@pytest.mark.parametrize(
    ("model", "head"),
    [
        ("resnet18", "fc"),
        ("mobilenet_v3_small", "classifier.3"),
        ("squeezenet1_1", "classifier.1"),
        ("googlenet", "fc"),
    ],
)
def test_the_head_gives_the_wanted_classes(model, head):
    with seeded(0):
        network = build_network(model, 7, 64)
    assert head_name(network) == head
    assert len(network.get_submodule(head).weight) == 7
    # In training mode too: auxiliary heads would give a tuple.
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


def test_sides_that_a_network_cannot_take():
    with seeded(0):
        network = build_network("alexnet", 2, 64)
        check_side(network, "alexnet", 64)
        assert network.training
        with pytest.raises(UsageError, match=r"--image-size 32: alexnet cannot take .* its own size is 224"):
            check_side(network, "alexnet", 32)
        with pytest.raises(UsageError, match="--image-size 100: vit_b_32 cannot take"):
            build_network("vit_b_32", 2, 100)
        with pytest.raises(UsageError, match="--image-size 100: maxvit_t cannot take"):
            build_network("maxvit_t", 2, 100)


def test_a_vision_transformers_positions_follow_the_side(tmp_path):
    # 224 / 32 = 7 patches a side; at 96 there are 3. A constant stays one, and so do the class token's.
    positions = torch.full((1, 50, 8), 2.0)
    positions[:, 0] = 5
    torch.save({"encoder.pos_embedding": positions, "conv_proj.weight": torch.zeros(8, 3, 32, 32)}, tmp_path / "w.pth")
    found = starting_weights("vit_b_32", str(tmp_path / "w.pth"))
    assert "w.pth" in found.source
    with torch.device("meta"):
        network = build_network("vit_b_32", 2, 96)
    moved = fitted_to(network, found, "vit_b_32", 96).tensors["encoder.pos_embedding"]
    assert moved.shape == (1, 10, 8)
    assert (moved[:, 0] == 5).all()
    torch.testing.assert_close(moved[:, 1:], torch.full((1, 9, 8), 2.0))
    own = fitted_to(network, found, "vit_b_32", 224).tensors
    assert torch.equal(own["encoder.pos_embedding"], positions)


@pytest.mark.parametrize("model", ["resnet50", "efficientnet_b1", "swin_t"])
def test_the_preprocessing_is_the_transform_of_the_weights(model):
    wanted = Preprocessing.published(model)
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    image = Image.fromarray(pixels)
    expected = torchvision.models.get_model_weights(model).DEFAULT.transforms()(image)
    resized = image.resize((wanted.image_size,) * 2, Image.Resampling[wanted.interpolation.upper()])
    left = round((wanted.image_size - wanted.crop_size) / 2)
    box = (left, left, left + wanted.crop_size, left + wanted.crop_size)
    scaled = torch.from_numpy(np.array(resized.crop(box))).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(part).reshape(3, 1, 1) for part in (wanted.mean, wanted.std))
    torch.testing.assert_close((scaled - mean) / std, expected)
