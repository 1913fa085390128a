"""Checkpoints find their backbone and data again, and refuse any other."""

import dataclasses
import re
import shutil

import pytest
import torch
from PIL import Image

from iin_cli.errors import CheckpointError, DataError, PluginError, UsageError
from iin_cli.interpretation import opening
from iin_cli.interpretation.data_choice import DataChoice, describe_data
from iin_cli.interpretation.opening import open_network, open_translator, versions
from iin_cli.io import checkpoint
from iin_cli.io.weights import module_digest
from iin_cli.progress import Silent
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator


@pytest.fixture
def copies(files, tmp_path):
    """Return copies of the autoencoder and of its translator, which still points at the original."""
    return (
        shutil.copy(files.autoencoder, tmp_path / "backbone.safetensors"),
        shutil.copy(files.of_images, tmp_path / "translator.safetensors"),
    )


def rewritten(path, target, tensors=None, **metadata):
    file = checkpoint.load(path)
    checkpoint.save(target, file.tensors if tensors is None else tensors, {**file.metadata, **metadata})
    return target


def test_a_backbone_is_frozen_and_knows_its_origin(files):
    found = open_network(str(files.autoencoder))
    assert not found.backbone.training
    assert not any(parameter.requires_grad for parameter in found.backbone.parameters())
    assert found.sha256 == checkpoint.digest(files.autoencoder)
    assert found.provenance["source"] == str(files.autoencoder)
    assert found.data["name"] == "digits"


def test_a_folder_stands_for_its_checkpoint(copies, tmp_path):
    assert open_network(str(tmp_path)).source == str(tmp_path / "backbone.safetensors")
    assert open_translator(tmp_path).path == tmp_path / "translator.safetensors"


@pytest.mark.parametrize("name", ["nowhere.safetensors", "runs/nowhere"])
def test_a_missing_checkpoint(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=f"no such backbone checkpoint: {name}"):
        open_network(name)


def test_names_instead_of_files():
    with pytest.raises(UsageError, match="did you mean autoencoder"):
        open_network("autoencodr")
    with pytest.raises(UsageError, match="iin train-backbone"):
        open_network("autoencoder")


def test_unfit_backbones(files, tmp_path):
    whole = files.autoencoder.read_bytes()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors is not a whole safetensors file"):
        open_network(str(cut))
    with pytest.raises(CheckpointError, match="is a translator, expected a backbone"):
        open_network(str(files.of_images))
    one_less = dict(list(checkpoint.load(files.autoencoder).tensors.items())[1:])
    for change in ({"tensors": one_less}, {"config": {"image_size": 48}}):
        path = rewritten(files.autoencoder, tmp_path / "changed.safetensors", **change)
        with pytest.raises(CheckpointError, match="does not hold the autoencoder"):
            open_network(str(path))
    with pytest.raises(CheckpointError, match=r"damaged metadata.*config"):
        open_network(str(rewritten(files.autoencoder, tmp_path / "changed.safetensors", config=None)))
    with pytest.raises(CheckpointError, match="unknown backbone 'strange'"):
        open_network(str(rewritten(files.autoencoder, tmp_path / "changed.safetensors", name="strange")))


def test_a_name_wins_over_a_file_of_that_name(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(files.autoencoder, "shufflenet_v2_x0_5")
    opened = open_network("shufflenet_v2_x0_5", weights="none")
    assert (opened.backbone.name, opened.source) == ("shufflenet_v2_x0_5",) * 2
    assert open_network("./shufflenet_v2_x0_5").backbone.name == "autoencoder"
    full = open_network("torchvision:shufflenet_v2_x0_5", weights="none")
    assert (full.backbone.name, full.source) == ("shufflenet_v2_x0_5", "torchvision:shufflenet_v2_x0_5")
    assert full.sha256 == opened.sha256


def test_a_plugin_that_is_no_backbone(monkeypatch):
    class Impostor:
        @classmethod
        def pretrained(cls, argument, weights):
            return cls()

    found = opening.find("backbones", "autoencoder")
    monkeypatch.setattr(opening, "find", lambda *_: dataclasses.replace(found, factory=Impostor))
    with pytest.raises(PluginError, match="Impostor"):
        open_network("autoencoder")


def test_a_translator_finds_its_backbone(files):
    found = open_translator(files.of_images)
    assert found.network is found.require_network().require_images()
    assert found.factors.dims == {"digit": 3, "color": 2, "residual": 3}
    assert not found.translator.training
    with pytest.raises(UsageError, match="classifier and draws no images"):
        open_translator(files.of_classes).require_network().require_images()


def test_a_backbone_is_found_beside_its_translator_if_it_is_the_same(copies, tmp_path):
    backbone, translator = copies
    recorded = {"name": "autoencoder", "source": "/gone/b.safetensors", "sha256": checkpoint.digest(backbone)}
    for source in ("/gone/b.safetensors", "backbone.safetensors"):
        found = rewritten(translator, tmp_path / "t.safetensors", backbone={**recorded, "source": source})
        assert open_translator(found).network.source == str(backbone)
    # Another one is not taken for it; a registered name is never one in the folder.
    other = rewritten(translator, tmp_path / "t.safetensors", backbone={**recorded, "sha256": "0" * 64})
    with pytest.raises(CheckpointError, match=r"not at /gone/b\.safetensors"):
        open_translator(other)
    named = rewritten(translator, tmp_path / "t.safetensors", backbone={**recorded, "source": "unheard-of"})
    with pytest.raises(CheckpointError, match="unknown backbone"):
        open_translator(named)
    backbone.unlink()
    found = rewritten(translator, tmp_path / "t.safetensors", backbone={**recorded, "source": "backbone.safetensors"})
    with pytest.raises(CheckpointError, match="say where it is now with --backbone"):
        open_translator(found)


def test_a_moved_backbone_is_named_by_the_user(copies, tmp_path):
    backbone, translator = copies
    backbone = backbone.rename(tmp_path / "moved.safetensors")
    translator = rewritten(
        translator,
        tmp_path / "t.safetensors",
        backbone={"name": "autoencoder", "source": str(tmp_path / "gone"), "sha256": checkpoint.digest(backbone)},
    )
    with pytest.raises(CheckpointError, match=r"not at .*gone: say where it is now with --backbone"):
        open_translator(translator)
    with pytest.raises(CheckpointError, match=r"not at .*elsewhere"):
        open_translator(translator, backbone=tmp_path / "elsewhere")
    assert open_translator(translator, backbone=backbone).network.source == str(backbone)
    assert open_translator(translator, with_network=False).network is None


def test_a_changed_backbone_is_refused(copies, files, tmp_path):
    backbone, translator = copies
    tensors = checkpoint.load(backbone).tensors
    next(iter(tensors.values())).add_(1e-3)
    changed = rewritten(backbone, tmp_path / "changed.safetensors", tensors)
    with pytest.raises(CheckpointError, match=r"is not the backbone .* sha256 .*, expected"):
        open_translator(translator, backbone=changed)


def test_a_translator_without_backbone(files):
    found = open_translator(files.of_latents)
    with pytest.raises(UsageError, match="fitted to latents without a backbone"):
        found.require_network()
    assert open_translator(files.of_latents, backbone=files.autoencoder).require_network().latent_dim == 8


def test_unfit_translators(files, tmp_path):
    target = tmp_path / "t.safetensors"
    factor = {"name": "residual", "dim": 8, "sigma": 0.9, "relation": "rest"}
    changes = [
        ({"factors": [{**factor, "dim": 7}]}, "factors sum to 7, its latents have 8"),
        ({"factors": [{**factor, "sigma": 2}]}, r"damaged metadata.*sigma"),
        ({"config": {"dim": 6, "blocks": 2, "hidden": 16, "depth": 1}}, "does not hold the translator"),
        ({"tensors": {}}, "does not hold the translator"),
        ({"kind": "backbone"}, "is a backbone, expected a translator"),
    ]
    for change, message in changes:
        with pytest.raises(CheckpointError, match=message):
            open_translator(rewritten(files.of_latents, target, **change))


def test_data_is_found_again(tmp_path, monkeypatch):
    recorded = describe_data(DataChoice("digits").open(None), tmp_path)
    assert recorded["root"] == str(tmp_path)
    assert DataChoice().open(recorded).fingerprint == recorded["fingerprint"]
    with pytest.raises(UsageError, match="did you mean"):
        DataChoice("digts").open(recorded)


class Listener(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def test_a_checkpoint_that_records_no_data_asks_for_some(files, tmp_path):
    path = rewritten(files.autoencoder, tmp_path / "ae.safetensors", data=None)
    opened = open_network(str(path))
    assert opened.data == {}
    with pytest.raises(DataError, match=r"which data\? none is recorded: name it with --data"):
        DataChoice().open(opened.data)
    assert DataChoice("digits").open(opened.data).name == "digits"


def test_a_network_without_data_gets_animalfaces_where_they_lie_else_shapes(tmp_path):
    listener = Listener()
    assert DataChoice(None, tmp_path).open(None, listener).name == "shapes"
    for kind in ("cat", "dog"):
        (tmp_path / "animalfaces10" / kind).mkdir(parents=True)
        Image.new("RGB", (8, 8), "red" if kind == "cat" else "blue").save(tmp_path / "animalfaces10" / kind / "a.png")
    assert DataChoice(None, tmp_path).open(None, listener).name == "animalfaces"
    without, with_faces = listener.notes
    assert re.search(rf"shapes.* --data names none and {tmp_path} has no animalfaces", without)
    assert re.search(rf"animalfaces.* --data names none and .* {tmp_path / 'animalfaces10'}", with_faces)
    assert DataChoice("digits", tmp_path).open(None, listener).name == "digits"
    assert len(listener.notes) == 2


def test_the_data_root_of_the_environment_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("IIN_DATA_ROOT", str(tmp_path))
    (tmp_path / "animalfaces").mkdir()
    with pytest.raises(DataError, match="animalfaces has no images"):
        DataChoice().open(None)


def test_where_data_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("IIN_DATA_ROOT", raising=False)
    recorded, gone = {"name": "mnist", "root": str(tmp_path)}, {"name": "mnist", "root": str(tmp_path / "gone")}
    assert DataChoice(None, tmp_path / "said").root_of(recorded) == tmp_path / "said"
    assert DataChoice(None).root_of(recorded) == DataChoice("cifar10").root_of(recorded) == tmp_path
    assert DataChoice(None).root_of(gone) is None
    assert DataChoice("mnist").root_of(None) is None
    monkeypatch.setenv("IIN_DATA_ROOT", "/elsewhere")
    assert DataChoice(None).root_of(recorded) == tmp_path
    assert DataChoice("cifar10").root_of(recorded) is None


def test_a_folder_is_remembered_wherever_one_stands(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), "red" if name == "a" else "blue").save(tmp_path / "images" / name / "x.png")
    monkeypatch.chdir(tmp_path)
    recorded = describe_data(DataChoice("./images").open(None), None)
    monkeypatch.chdir("/")
    assert recorded["name"] == str(tmp_path / "images")
    assert DataChoice().open(recorded).fingerprint == recorded["fingerprint"]


def test_digests_follow_names_and_values():
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    second.load_state_dict(first.state_dict())
    assert module_digest(first) == module_digest(second)
    with torch.no_grad():
        second.bias[0] += 1e-6
    assert module_digest(first) != module_digest(second)
    assert set(versions()) == {"iin", "torch", "python"}


def test_weights_given_as_a_backbone_are_sent_to_their_option(tmp_path):
    file = tmp_path / "resnet50-0000.pth"
    torch.save({"fc.bias": torch.zeros(1)}, file)
    with pytest.raises(CheckpointError, match=r"no checkpoint of iin: .* --backbone resnet50 --weights \S+\.pth$"):
        open_network(str(file))


def test_moved_weights_of_a_named_network_are_named_by_the_user(tmp_path):
    backbone = open_network("shufflenet_v2_x0_5", weights="none").backbone
    file = tmp_path / "weights.pth"
    torch.save(backbone.network.state_dict(), file)
    found = open_network("shufflenet_v2_x0_5", weights=str(file), layer="conv5")
    dim = found.backbone.latent_dim
    translator = Translator(dim, blocks=1, hidden=2, depth=0, seed=0)
    metadata = {
        "kind": "translator",
        "config": translator.config,
        "factors": Factors.of({"residual": dim}).as_json(),
        "backbone": found.provenance,
    }
    path = tmp_path / "t.safetensors"
    checkpoint.save(path, translator.state_dict(), metadata)
    assert open_translator(path).network.layer == "conv5"
    moved = file.rename(tmp_path / "moved.pth")
    with pytest.raises(CheckpointError, match=r"the weights of shufflenet_v2_x0_5, the backbone of .* --backbone$"):
        open_translator(path)
    again = open_translator(path, backbone=moved).network
    assert (again.sha256, again.layer, again.weights) == (found.sha256, "conv5", str(moved))
    torch.save({name: value + 1 for name, value in backbone.network.state_dict().items()}, moved)
    with pytest.raises(CheckpointError, match="is not the backbone"):
        open_translator(path, backbone=moved)
    # Only a file that was made by hand records a layer that its network does not have.
    checkpoint.save(path, translator.state_dict(), {**metadata, "backbone": {**found.provenance, "layer": "x"}})
    with pytest.raises(CheckpointError, match=r"cannot be joined to shufflenet_v2_x0_5: .* no such layer"):
        open_translator(path, backbone=moved)


def test_a_checkpoint_takes_no_other_weights(files):
    with pytest.raises(UsageError, match=r"^--weights none: .* weights of its own; leave it out$"):
        open_network(str(files.autoencoder), weights="none")
