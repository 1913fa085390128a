"""Torchvision's networks as backbones: the names, f = G∘E to the bit, weights of every origin, training."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file

from iin_cli.backbones import torchvision_models
from iin_cli.backbones.torchvision_models import TorchvisionBackbone
from iin_cli.data.folder import read_image
from iin_cli.errors import CheckpointError, DataError, UsageError
from iin_cli.guests.declared import torchvision_names
from iin_cli.latents.cache import as_images
from iin_cli.plugin_api import DataFacts
from iin_cli.registry import find

SMALL = {
    "image_size": 72,
    "crop_size": 64,
    "mean": [0.4, 0.5, 0.6],
    "std": [0.2, 0.3, 0.4],
    "interpolation": "bilinear",
}


def backbone(model, classes=5, **changes):
    config = {"model": model, "classes": [str(number) for number in range(classes)], **SMALL, **changes}
    return TorchvisionBackbone.from_config(config).eval().requires_grad_(False)


def images(rows=3, side=72):
    return torch.rand(rows, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def facts(classes=("a", "b"), size=64, wished=True):
    return DataFacts(size, classes, 100, wished)


# ------------------------------------------------------------------------------------------------------------- names
def test_every_classification_model_is_a_name_and_none_an_entry_point():
    points = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["entry-points"]
    mine = {name for name, target in points["iin.backbones"].items() if "torchvision" in target}
    assert mine == {"torchvision"}
    known = TorchvisionBackbone.names()
    assert known == sorted(torchvision.models.list_models(module=torchvision.models))
    assert not {*known} & {*points["iin.backbones"]}


def test_the_names_are_read_off_the_source_as_torchvision_registers_them():
    assert sorted(torchvision_names()) == TorchvisionBackbone.names()


@pytest.mark.parametrize(("written", "full"), [("resnet18", "resnet18"), ("torchvision:resnet18",) * 2])
def test_a_name_alone_and_in_full_are_one_network(written, full):
    found = find("backbones", written)
    assert (found.factory, found.argument, found.full_name) == (TorchvisionBackbone, "resnet18", full)
    module = found.factory.pretrained(found.argument, "none")
    assert (module.name, module.config["model"]) == ("resnet18", "resnet18")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, r"--backbone torchvision needs the name of a model: --backbone torchvision:resnet50"),
        ("", r"needs the name of a model"),
        ("resnet51", r"no classification model 'resnet51': did you mean resnet"),
        ("fasterrcnn_resnet50_fpn", "no classification model"),
    ],
)
def test_models_that_torchvision_does_not_have(model, message):
    with pytest.raises(UsageError, match=message):
        TorchvisionBackbone.pretrained(model, "none")
    with pytest.raises(UsageError, match=message):
        TorchvisionBackbone.for_training(model, facts(), None, "none")


# ------------------------------------------------------------------------------------------------------------ f = G∘E
@pytest.mark.parametrize(
    ("model", "dim"),
    [
        ("resnet18", 512),
        ("shufflenet_v2_x0_5", 1024),
        ("mobilenet_v3_small", 1024),
        ("mnasnet0_5", 1280),
        ("swin_t", 768),
    ],
)
def test_f_is_g_of_e_to_the_bit(model, dim):
    module = backbone(model)
    z = module.encode(images())
    assert (module.latent_dim, z.shape, z.dtype) == (dim, (3, dim), torch.float32)
    assert torch.isfinite(z).all()
    assert z.std() > 0
    assert torch.equal(module.decode(z), module(images()))


def test_f_is_the_network_on_normalised_crops():
    module = backbone("resnet18")
    cropped = (images()[:, :, 4:68, 4:68] + 1) / 2
    mean, std = (torch.tensor(SMALL[name]).reshape(3, 1, 1) for name in ("mean", "std"))
    torch.testing.assert_close(module(images()), module.network((cropped - mean) / std), rtol=1e-4, atol=1e-4)


def test_an_image_is_seen_as_the_transform_of_the_weights_would_show_it(tmp_path):
    module = TorchvisionBackbone.pretrained("shufflenet_v2_x0_5", "none").eval()
    pixels = np.random.default_rng(0).integers(0, 256, (310, 310, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    seen = module._prepared(as_images(read_image(tmp_path / "x.png", module.image_size, module.interpolation)[None]))
    wanted = torchvision.models.ShuffleNet_V2_X0_5_Weights.DEFAULT.transforms()(Image.fromarray(pixels))
    torch.testing.assert_close(seen[0], wanted, rtol=0, atol=1e-5)


def test_many_images_are_encoded_a_few_at_a_time(monkeypatch):
    module = backbone("shufflenet_v2_x0_5")
    whole = module.encode(images(5))
    monkeypatch.setitem(torchvision_models.PIXELS_AT_ONCE, "cpu", 2 * 64**2)
    rows = []
    module.network.register_forward_pre_hook(lambda *_: rows.append(None))
    run = module.cut._before.run
    monkeypatch.setattr(module.cut._before, "run", lambda part: rows.append(len(part)) or run(part))
    torch.testing.assert_close(module.encode(images(5)), whole, rtol=1e-4, atol=1e-5)
    assert rows == [2, 2, 1]


# ------------------------------------------------------------------------------------------------------------- layers
def test_at_a_layer_the_weights_are_shared_and_f_stays():
    module = backbone("resnet18")
    f = module(images())
    other = module.at_layer("layer4")
    assert (module.latent_dim, other.latent_dim) == (512, 512 * 2 * 2)
    assert torch.equal(other.decode(other.encode(images())), f)
    assert torch.equal(other(images()), f)
    # Before convolutions too, whose sums depend on how a map lies in memory.
    early = module.at_layer("layer3.0")
    assert torch.equal(early.decode(early.encode(images())), f)
    assert other.network is module.network
    assert {"maxpool", "layer4", "avgpool"} <= set(module.layers())
    with pytest.raises(UsageError, match="did you mean layer4"):
        module.at_layer("layer_4")


def test_without_a_linear_head_a_layer_is_needed():
    module = backbone("squeezenet1_1")
    with pytest.raises(UsageError, match=r"squeezenet1_1 does not end in a linear layer: .*--layer features or"):
        _ = module.latent_dim
    cut = module.at_layer("classifier")
    assert cut.latent_dim == 5
    assert torch.equal(cut.decode(cut.encode(images())), module(images()))


# ------------------------------------------------------------------------------------------------------------ weights
def test_random_weights_are_always_the_same_and_leave_the_generator():
    before = torch.get_rng_state()
    one, two = (TorchvisionBackbone.pretrained("shufflenet_v2_x0_5", "none") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert one.classes[:2] == ("tench", "goldfish")
    assert (one.image_size, one.interpolation, one.latent_dim) == (256, "bilinear", 1024)


def test_default_weights_come_from_torchs_cache(hub):
    with pytest.raises(
        UsageError, match=r"place shufflenetv2_x0.5-f707e7126e.pth in .*checkpoints, or use --weights none"
    ):
        TorchvisionBackbone.pretrained("shufflenet_v2_x0_5", "default")
    wanted = {name: tensor + 1 for name, tensor in backbone("shufflenet_v2_x0_5", 1000).network.state_dict().items()}
    hub.mkdir(parents=True, exist_ok=True)
    torch.save(wanted, hub / "shufflenetv2_x0.5-f707e7126e.pth")
    module = TorchvisionBackbone.pretrained("shufflenet_v2_x0_5", "default")
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in module.network.state_dict().items())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_the_file_of_a_fine_tuned_network_decides_the_classes(tmp_path, suffix):
    tuned = backbone("mnasnet0_5", 3)
    file = tmp_path / f"w{suffix}"
    save = save_file if suffix == ".safetensors" else torch.save
    # As a trainer's module names what is in it.
    save({f"model.{name}": tensor for name, tensor in tuned.network.state_dict().items()}, file)
    module = TorchvisionBackbone.pretrained("mnasnet0_5", str(file)).eval()
    assert module.classes == ("0", "1", "2")
    assert all(
        torch.equal(a, b) for a, b in zip(module.state_dict().values(), tuned.state_dict().values(), strict=True)
    )


def test_files_that_do_not_fit(tmp_path):
    torch.save(backbone("shufflenet_v2_x0_5").network.state_dict(), tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"other.pth has weights of another network: .*stage2.* and \d+ more"):
        TorchvisionBackbone.pretrained("shufflenet_v2_x1_5", str(tmp_path / "other.pth"))
    with pytest.raises(CheckpointError, match="no such weights file"):
        TorchvisionBackbone.pretrained("shufflenet_v2_x0_5", "defualt")


@pytest.mark.parametrize("model", ["mnasnet0_5", "shufflenet_v2_x0_5"])
def test_config_and_plain_tensors_rebuild(model):
    module = backbone(model)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.5)
    again = TorchvisionBackbone.from_config(module.config)
    again.load_state_dict(dict(module.state_dict()))
    assert again.config == module.config
    assert again.preprocessing == module.preprocessing
    assert torch.equal(again.eval()(images()), module(images()))


# ----------------------------------------------------------------------------------------------------------- training
def test_training_starts_from_the_weights_with_a_new_head(tmp_path):
    torch.save(backbone("shufflenet_v2_x0_5", 9).network.state_dict(), tmp_path / "w.pth")
    module = TorchvisionBackbone.for_training("shufflenet_v2_x0_5", facts(), None, str(tmp_path / "w.pth"))
    assert module.network.fc.weight.shape == (2, 1024)
    assert torch.equal(module.network.conv5[0].weight, backbone("shufflenet_v2_x0_5").network.conv5[0].weight)
    assert (module.image_size, module.preprocessing.crop_size, module.classes) == (64, 64, ("a", "b"))
    own = TorchvisionBackbone.for_training("shufflenet_v2_x0_5", facts(wished=False), 1024, "none")
    assert (own.image_size, own.preprocessing.crop_size) == (256, 224)
    assert own.recipe(None, 0).peak_rate > module.recipe(None, 0).peak_rate
    assert module.recipe(None, 0).steps == 100
    assert module.recipe(7, 0).steps == 7


@pytest.mark.parametrize(
    ("model", "given", "latent_dim", "error", "message"),
    [
        ("resnet18", facts(None), None, DataError, "needs class labels, at least two, and the data has none"),
        ("resnet18", facts(("a",)), None, DataError, "at least two, and the data has 1"),
        ("resnet18", facts(), 64, UsageError, "--latent-dim 64: the latent of resnet18 has 512 dimensions"),
        ("alexnet", facts(size=32), None, UsageError, "--image-size 32: alexnet cannot take"),
        ("squeezenet1_1", facts(), None, UsageError, "squeezenet1_1 does not end in a linear layer: choose another"),
    ],
)
def test_what_cannot_be_trained(model, given, latent_dim, error, message):
    with pytest.raises(error, match=message):
        TorchvisionBackbone.for_training(model, given, latent_dim, "none")


def two_kinds():
    """Eight images whose brightness is their label."""
    labels = torch.arange(8) % 2
    return images(8, 64) * 0.2 + (labels * 1.2 - 0.6)[:, None, None, None], labels


def train(recipe, first, last):
    return [recipe.step(*two_kinds(), step / 8) for step in range(first, last)]


def test_it_learns():
    # No dropout here: with it, the loss of a few steps is as much chance as learning.
    module = backbone("resnet18", 2, image_size=64).requires_grad_(True)
    losses = [losses["loss"] for losses in train(module.recipe(8, 3), 0, 8)]
    assert losses[0] > 0.5
    assert losses[-1] < 0.1


def test_it_resumes_exactly(tmp_path):
    def start():
        module = backbone("mnasnet0_5", 2, image_size=64).requires_grad_(True)
        return module, module.recipe(8, 3)

    module, recipe = start()
    state = torch.get_rng_state()
    train(recipe, 0, 4)
    assert torch.equal(torch.get_rng_state(), state)
    assert module.training
    torch.save([module.state_dict(), recipe.state_dict()], tmp_path / "state")
    shown = train(recipe, 4, 8)
    # Dropout and the views of an image are those they would have been.
    again, resumed = start()
    weights, recipes = torch.load(tmp_path / "state", weights_only=True)
    again.load_state_dict(weights)
    resumed.load_state_dict(recipes)
    assert train(resumed, 4, 8) == shown


def test_training_shows_other_views_of_an_image():
    module = backbone("shufflenet_v2_x0_5", 2, image_size=64).requires_grad_(True)
    recipe, seen = module.recipe(2, 0), []
    module.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    for _ in range(2):
        recipe.step(images(2, 64), torch.tensor([0, 1]), 0.0)
    assert seen[0].shape == seen[1].shape == (2, 3, 64, 64)
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], module._prepared(images(2, 64)))
