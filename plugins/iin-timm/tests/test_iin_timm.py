"""f = G∘E for small models of every family, weights from a file or from timm's cache, and bad input in one line."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import huggingface_hub
import pytest
import timm
import torch
from iin_timm import Timm
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config

from iin_cli.errors import CheckpointError, UsageError
from iin_cli.registry import find, list_plugins

FAMILIES = ("test_vit", "test_convnext", "test_resnet", "test_efficientnet", "test_mambaout", "mobilenetv3_small_050")


def noise(backbone, count=2):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, backbone.image_size, backbone.image_size, generator=generator) * 2 - 1


@pytest.fixture(scope="module")
def vit():
    return Timm.pretrained("test_vit", "none").eval()


@pytest.fixture
def weights(tmp_path):
    """Weights of test_vit other than the random ones of `--weights none`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return timm.create_model("test_vit").state_dict()


@pytest.mark.parametrize("model", FAMILIES)
@torch.inference_mode()
def test_the_network_is_its_last_layer_after_the_rest(model):
    backbone = Timm.pretrained(model, "none").eval()
    images = noise(backbone)
    z = backbone.encode(images)
    assert z.shape == (2, backbone.latent_dim)
    assert backbone.name == f"timm:{model}"
    torch.testing.assert_close(backbone.decode(z), backbone(images))
    # Against timm itself, by its own preprocessing of the same pixels.
    facts = resolve_model_data_config(backbone.net)
    pixels = create_transform(**facts).transforms[1:]
    for step in pixels:
        if type(step).__name__ == "Normalize":
            cropped = step(images / 2 + 0.5)
    start = (backbone.image_size - facts["input_size"][-1]) // 2
    cropped = cropped[..., start : start + facts["input_size"][-1], start : start + facts["input_size"][-1]]
    torch.testing.assert_close(backbone.net(cropped), backbone.decode(z), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", FAMILIES)
def test_several_threads_may_encode_at_once(model):
    backbone = Timm.pretrained(model, "none").eval()
    parts = [noise(backbone)[:1] + shift for shift in (0.0, 0.1, 0.2, 0.3)]
    encode = torch.inference_mode()(backbone.encode)
    wanted = [encode(part) for part in parts]
    with ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        found = list(pool.map(encode, parts))
    assert backbone.is_concurrent
    assert all(map(torch.equal, wanted, found))


def test_size_and_interpolation_are_those_of_timm(vit):
    assert (vit.image_size, vit.crop, vit.interpolation) == (168, 160, "bicubic")
    assert Timm("test_resnet").interpolation == "bilinear"


def test_the_classes_have_names(vit):
    assert len(vit.classes) == 1000
    assert vit.classes[:2] == ("tench", "goldfish")


def test_a_classifier_wider_than_the_features_is_followed():
    backbone = Timm("mobilenetv3_small_050")
    assert backbone.net.num_features == 288
    assert backbone.latent_dim == 1024


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone(vit):
    before = torch.random.get_rng_state()
    again = Timm.pretrained("test_vit", "none")
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, tensor in vit.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])


def test_it_is_a_family_of_one_line():
    found = find("backbones", "timm:test_vit")
    assert (found.name, found.argument, found.factory) == ("timm", "test_vit", Timm)
    assert {*FAMILIES, "convnext_tiny"} <= set(Timm.names())
    rows = [row for row in list_plugins() if row.distribution == "iin-timm"]
    assert [(row.group, row.name, row.status) for row in rows] == [
        ("backbones", "timm", "ok"),
        ("weights", "timm:tf_efficientnet_lite0", "ok"),
    ]
    # Timm has one of that name too.
    assert find("backbones", "resnet50").full_name == "resnet50"


@torch.inference_mode()
def test_a_checkpoint_rebuilds_without_a_network(vit):
    config = json.loads(json.dumps(vit.config))
    again = find("backbones", vit.name).factory.from_config(config).eval()
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
    again.load_state_dict(vit.state_dict())
    torch.testing.assert_close(again.encode(noise(vit)), vit.encode(noise(vit)), rtol=0, atol=0)


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_weights_from_a_file(ending, weights, tmp_path, vit):
    path = tmp_path / f"vit.{ending}"
    if ending == "pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    backbone = Timm.pretrained("test_vit", str(path))
    assert torch.equal(backbone.net.head.weight, weights["head.weight"])
    assert not torch.equal(vit.net.head.weight, weights["head.weight"])


@pytest.mark.parametrize(("model", "head"), [("test_vit", "head"), ("test_resnet", "fc"), ("test_convnext", "head.fc")])
@pytest.mark.parametrize("prefix", ["", "model.", "module.model."])
@torch.inference_mode()
def test_a_head_of_another_number_of_classes_is_followed(model, head, prefix, tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        tuned = timm.create_model(model, num_classes=3).eval()
    state = {prefix + name: tensor for name, tensor in tuned.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 4}, tmp_path / "w.pth")
    backbone = Timm.pretrained(model, str(tmp_path / "w.pth")).eval()
    assert backbone.classes == ("0", "1", "2")
    assert all(torch.equal(tensor, tuned.state_dict()[name]) for name, tensor in backbone.net.state_dict().items())
    again = Timm.from_config(json.loads(json.dumps(backbone.config))).eval()
    again.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(again(noise(backbone)), backbone(noise(backbone)), rtol=0, atol=0)
    assert again.has_head


def test_why_weights_do_not_fit(weights, tmp_path):
    grey = timm.create_model("test_resnet", in_chans=1).state_dict()
    torch.save(grey, tmp_path / "grey.pth")
    with pytest.raises(CheckpointError, match=r"trained on images of 1 channels, not 3: open it in Python"):
        Timm.pretrained("test_resnet", str(tmp_path / "grey.pth"))
    torch.save({k: v for k, v in weights.items() if not k.startswith("head.")}, tmp_path / "headless.pth")
    with pytest.raises(
        CheckpointError, match=r"2 of \d+ tensors are missing \(head.weight, head.bias\): its head head was"
    ):
        Timm.pretrained("test_vit", str(tmp_path / "headless.pth"))
    with pytest.raises(CheckpointError, match=r"tensors are missing \(.* and \d+ more\), the file has \d+ others \("):
        Timm.pretrained("test_vit", str(tmp_path / "grey.pth"))


def test_what_the_cache_holds_is_taken_without_a_network(weights, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_file(weights, path)
    asked = []
    monkeypatch.setattr("iin_timm.try_to_load_from_cache", lambda *names: asked.append(names) or str(path))
    backbone = Timm.pretrained("test_vit", "default")
    assert torch.equal(backbone.net.head.weight, weights["head.weight"])
    assert asked == [("timm/test_vit.r160_in1k", "model.safetensors")]


def test_without_network_and_cache_it_says_which_file(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match=r"model.safetensors of timm/test_vit.r160_in1k .* --weights FILE") as refused:
        Timm.pretrained("test_vit", "default")
    assert "\n" not in str(refused.value)


def test_the_hub_is_asked_once_where_there_is_no_network(tmp_path, monkeypatch):
    def unreachable(url):
        raise RefusedError(url)

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("iin_timm.get_hf_file_metadata", unreachable)
    monkeypatch.setattr("iin_timm.timm.create_model", lambda *args, **kwargs: pytest.fail("timm was asked as well"))
    with pytest.raises(UsageError, match=r"cannot be fetched \(RefusedError\): fetch model.safetensors"):
        Timm.pretrained("test_vit", "default")


class RefusedError(Exception):
    """Like those of an HTTP client, no OSError."""


class Foreign:
    """Something that only an unsafe reader would make."""


@pytest.mark.parametrize("kind", ["missing", "garbage", "foreign", "pickle", "ending"])
def test_an_unfit_file_is_one_line(kind, weights, tmp_path):
    path = tmp_path / ("weights.npz" if kind == "ending" else "weights.pth")
    if kind == "garbage":
        path.write_bytes(b"not weights")
    elif kind == "foreign":
        torch.save(timm.create_model("test_resnet").state_dict(), path)
    elif kind == "pickle":
        torch.save({"state_dict": Foreign()}, path)
    with pytest.raises(CheckpointError, match=path.name) as refused:
        Timm.pretrained("test_vit", str(path))
    assert "\n" not in str(refused.value)
    assert (kind == "foreign") == ("tensors are missing" in str(refused.value))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (None, r"--backbone timm:convnext_tiny"),
        ("", r"--backbone timm:convnext_tiny"),
        ("convnxt_tiny", r"did you mean convnext_tiny"),
        ("qqqq", r"see timm.list_models"),
        ("convnext_tiny.nowhere", r"no weights 'convnext_tiny.nowhere'.*convnext_tiny\."),
        ("levit_128s", r"last layer is no linear classifier"),
        ("deit_tiny_distilled_patch16_224", r"last layer is no linear classifier"),
    ],
)
def test_a_name_that_cannot_be_used_is_one_line(model, words):
    with pytest.raises(UsageError, match=words) as refused:
        Timm.pretrained(model, "none")
    assert "\n" not in str(refused.value)


def test_a_model_without_weights_says_so():
    with pytest.raises(UsageError, match="--weights none"):
        Timm.pretrained("test_vit4", "default")


@pytest.mark.slow
def test_the_command_line_encodes_with_it(tmp_path):
    command = [sys.executable, "-m", "iin_cli", "encode", "--backbone", "timm:test_vit", "--weights", "none"]
    command += ["--data", "digits", "--split", "test", "--out", "z.safetensors", "--device", "cpu", "--json"]
    environment = {**os.environ, "IIN_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["latent_dim"] == 64
