"""`--layer` for timm's models, and models without a head: they are read, and every command that needs G says so."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from iin_timm import Timm
from PIL import Image

from iin_cli.cutting.hooked import HookedCut
from iin_cli.errors import UsageError
from iin_cli.interpretation.opening import open_network
from iin_cli.interpretation.random_weights import with_random_weights

# Both have no classifier: one of masked image modelling, and a tower of CLIP, whose last layer is no classifier.
ENCODERS = {"eva02_tiny_patch14_224": 192, "vit_xsmall_patch16_clip_224": 512}


def pixels(network, count=3):
    size = network.image_size
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        ("test_convnext", "stages.2"),
        ("test_efficientnet", "blocks.4"),
        ("test_resnet", "layer4"),
        # Its code branches on the size of the images, so that it is cut by hooks.
        ("test_vit", "blocks.3"),
        ("test_vit", "norm"),
    ],
)
def test_a_model_is_cut_at_a_layer(model, layer):
    network = open_network(f"timm:{model}", weights="none", layer=layer)
    images = pixels(network)
    z = network.encode_pixels(images)
    assert (network.layer, network.latent_dim, z.shape[1]) == (layer, z.shape[1], z.shape[1])
    whole = open_network(f"timm:{model}", weights="none")
    assert network.sha256 == whole.sha256
    with torch.inference_mode():
        first = whole.backbone.net.get_submodule(layer)
        kept = []
        hook = first.register_forward_hook(lambda _m, _i, value: kept.append(value))
        logits = whole.backbone(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1)
        hook.remove()
    value = kept[-1].flatten(1) if kept[-1][0].numel() <= 4096 else kept[-1].mean((2, 3) if kept[-1].ndim == 4 else 1)
    torch.testing.assert_close(z, value, rtol=1e-4, atol=1e-5)
    if kept[-1][0].numel() <= 4096:
        torch.testing.assert_close(network.answers(z), logits.log_softmax(1), rtol=1e-4, atol=1e-4)


def test_a_model_is_built_again_with_random_weights():
    network = open_network("timm:test_efficientnet", weights="none")
    images = torch.rand(8, 3, network.image_size, network.image_size) * 2 - 1
    twin = with_random_weights(network, images)
    assert (twin.layers(), twin.name) == (network.layers(), network.name)
    norm = twin.backbone.net.get_submodule("bn1")
    assert int(norm.num_batches_tracked) == 1


def test_a_model_that_cannot_be_traced_has_layers_too():
    network = open_network("timm:test_vit", weights="none")
    layers = network.layers()
    assert {"blocks.0", "blocks.5", "norm", "head"} <= set(layers)
    assert "blocks.0.attn" not in layers
    assert isinstance(network.at_layer("blocks.0").backbone._cut, HookedCut)


@pytest.mark.parametrize(
    ("model", "layer", "says"),
    [
        ("test_convnext", "stage.2", "timm:test_convnext has no such layer; did you mean stages.2"),
        ("test_vit", "blocks.99", "timm:test_vit has no such layer; did you mean blocks"),
        ("test_vit", "blocks.0.attn", "a branch bypasses that layer"),
    ],
)
def test_a_layer_that_cannot_be_cut_is_one_line(model, layer, says):
    with pytest.raises(UsageError, match=f"--layer {layer}: .*{says}") as refused:
        open_network(f"timm:{model}", weights="none", layer=layer)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("model", "width"), ENCODERS.items())
def test_a_model_without_a_classifier_has_no_head(model, width):
    backbone = Timm.pretrained(model, "none")
    assert (backbone.has_head, backbone.latent_dim, backbone.classes) == (False, width, None)
    network = open_network(f"timm:{model}", weights="none")
    images = pixels(network)
    z = network.encode_pixels(images)
    assert z.shape == (3, width)
    with torch.inference_mode():
        given = backbone(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1)
    torch.testing.assert_close(z, given, rtol=1e-4, atol=1e-5)
    with pytest.raises(UsageError, match=f"timm:{model} is an encoder without a head: it has no G"):
        network.answers(z)
    assert network.at_layer("blocks.2.attn").encode_pixels(images).shape == (3, backbone.net.embed_dim)


@pytest.fixture
def iin(tmp_path):
    """Run the program in a new folder."""

    def run(*words):
        command = [sys.executable, "-m", "iin_cli", *map(str, words), "--device", "cpu"]
        environment = {**os.environ, "IIN_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)

    return run


@pytest.fixture
def photographs(tmp_path):
    generator = np.random.default_rng(0)
    for label, mean in (("dark", 60), ("light", 190)):
        folder = tmp_path / "photographs" / label
        folder.mkdir(parents=True)
        for number in range(110):
            noise = generator.normal(mean, 40, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noise).save(folder / f"{number}.png")
    return tmp_path / "photographs"


@pytest.mark.slow
def test_the_command_line_cuts_at_a_layer(iin, photographs):
    words = ("--backbone", "timm:test_vit", "--weights", "none", "--layer", "blocks.1", "--data", photographs)
    done = iin("estimate-dims", *words, "--concept", "class", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["latent_dim"] == 64


@pytest.mark.slow
def test_an_encoder_s_features_measure_distances(iin, photographs):
    words = ("--features", "timm:eva02_tiny_patch14_224", "--weights", "none", "-n", 8)
    done = iin("fid", photographs / "dark", photographs / "light", *words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["metric"], found["network"]) == ("fd", "timm:eva02_tiny_patch14_224")
    # Dark and light are apart, whatever the weights.
    assert found["kernel"]["low"] > 0
    assert found["coverage"]["value"] < 0.5


@pytest.mark.slow
def test_the_command_line_reads_an_encoder(iin, photographs):
    words = ("--backbone", "timm:eva02_tiny_patch14_224", "--weights", "none", "--data", photographs, "--seed", 0)
    small = ("--blocks", 1, "--hidden", 8, "--depth", 0, "--steps", 2, "--out", "t")
    done = iin("fit-translator", *words, "--concept", "class", *small)
    assert done.returncode == 0, done.stderr
    assert "encoder without a head" in done.stderr
    swapped = iin("swap", "--translator", "t", "--factor", "class", "--out", "swap")
    assert (swapped.returncode, swapped.stdout) == (2, "")
    assert "timm:eva02_tiny_patch14_224 is an encoder without a head: it has no G" in swapped.stderr
    audited = iin("audit", "--translator", "t", "-n", 20, "--out", "audit", "--json")
    assert audited.returncode == 0, audited.stderr
    assert "no G" in json.loads(audited.stdout)["skipped"]["transfer"]
