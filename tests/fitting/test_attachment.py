"""Attaching a translator: f = G∘E and the no-op, on networks and translators known to keep them or to break them."""

import numpy as np
import pytest
import torch

from iin_cli.cutting.feature_maps import FLAT_LIMIT
from iin_cli.data import open_dataset
from iin_cli.errors import CheckpointError
from iin_cli.fitting.attachment import Attachment
from iin_cli.interpretation.opening import open_network
from iin_cli.io import checkpoint
from iin_cli.progress import Silent
from iin_cli.registry import find
from iin_cli.translator.flow import Translator


@pytest.fixture(scope="module")
def dataset(pictures):
    return open_dataset(str(pictures))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """A checkpoint of a small torchvision network on 64² images with random weights."""
    sizes = {"image_size": 64, "crop_size": 64, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear"}
    config = {"model": "resnet18", "classes": ["a", "b", "c"], **sizes}
    module = find("backbones", "resnet18").factory.from_config(config)
    file = tmp_path_factory.mktemp("resnet") / "resnet.safetensors"
    checkpoint.save(file, module.state_dict(), {"kind": "backbone", "name": "resnet18", "config": config})
    return file


def attached(file, dataset, report, layer=None):
    attachment = Attachment(open_network(str(file), layer=layer), dataset)
    attachment.describe(report)
    return attachment


def translator(dim):
    made = Translator(dim, blocks=2, hidden=8, depth=0, seed=0)
    made.initialize(torch.randn(64, dim, generator=torch.Generator().manual_seed(0)))
    return made.eval()


@pytest.mark.slow
def test_a_network_that_gives_no_numbers_is_refused(resnet, dataset):
    opened = open_network(str(resnet))
    opened.backbone.network.fc.bias.fill_(torch.nan)
    with pytest.raises(CheckpointError, match=r"^resnet18 gives values that are not finite on images of "):
        Attachment(opened, dataset)


def test_a_network_cut_in_two_is_still_f(heard, resnet, dataset):
    attachment = attached(resnet, dataset, heard)
    assert (attachment.decode_error, attachment.agreement) == (0, 1)
    assert len(attachment.z) == len(dataset.splits["test"])
    assert "max |f(x) − G(E(x))| = 0.0e+00" in heard.notes[0]
    assert not heard.warnings


def test_an_averaged_layer_is_warned_of_with_the_figures(heard, resnet, dataset):
    attachment = attached(resnet, dataset, heard, "layer1")
    assert FLAT_LIMIT < 64 * 16 * 16
    assert attachment.decode_error > 0
    assert "behind layer1 z is an average, and G only approximates f: max |f(x) − G(E(x))| =" in heard.warnings[0]
    assert not heard.notes


def test_f_is_the_same_to_the_bit_before_and_after(resnet, dataset):
    opened = open_network(str(resnet))
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    before = opened.backbone(images)
    attachment = Attachment(opened, dataset)
    attachment.no_op_agreement(translator(512), Silent())
    assert torch.equal(opened.backbone(images), before)
    assert torch.equal(opened.backbone.decode(opened.backbone.encode(images)), before)


def test_the_no_op_leaves_every_class(heard, resnet, dataset):
    attachment = attached(resnet, dataset, heard)
    assert attachment.no_op_agreement(translator(512), heard) == 1
    assert "names the class of f(x) for 100.0% of" in heard.notes[-1]


def test_a_translator_that_does_not_invert_shows(heard, resnet, dataset):
    class Forgetful(Translator):
        def inverse(self, z_tilde):
            return -1000 * super().inverse(z_tilde)

    attachment = attached(resnet, dataset, heard)
    broken = Forgetful(512, blocks=1, hidden=8, depth=0, seed=0)
    broken.initialize(torch.randn(64, 512, generator=torch.Generator().manual_seed(0)))
    found = attachment.no_op_agreement(broken.eval(), heard)
    assert found < 1
    assert f"for {found:.1%} of" in heard.warnings[-1]


def test_a_backbone_of_images_has_no_classes_to_agree_on(heard, files, dataset):
    attachment = attached(files.autoencoder, dataset, heard)
    assert attachment.decode_error == 0
    assert attachment.no_op_agreement(translator(8), heard) is None
    assert not heard.warnings


def test_the_images_are_held_out(heard, dataset, monkeypatch, resnet):
    asked = []
    monkeypatch.setattr(
        type(dataset),
        "images",
        lambda _, indices, size, *rest: asked.extend(indices) or np.zeros((len(indices), size, size, 3), np.uint8),
    )
    attached(resnet, dataset, heard)
    assert set(asked) == set(dataset.splits["test"].tolist())
    monkeypatch.setitem(dataset.splits, "test", np.array([], np.int64))
    asked.clear()
    attached(resnet, dataset, heard)
    assert 0 < len(asked) < len(dataset.splits["train"])


@pytest.mark.slow
def test_the_answer_of_one_logit_is_looked_at(tmp_path, dataset):
    sizes = {"image_size": 64, "crop_size": 64, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear"}
    config = {"model": "resnet18", "classes": ["0"], **sizes}
    module = find("backbones", "resnet18").factory.from_config(config)
    file = tmp_path / "one.safetensors"
    checkpoint.save(file, module.state_dict(), {"kind": "backbone", "name": "resnet18", "config": config})
    network = open_network(str(file))
    attachment = Attachment(network, dataset)
    # The boundary goes through the middle: half of the images are of each class.
    network.backbone.network.fc.bias -= attachment.outputs.median()
    attachment = Attachment(network, dataset)
    assert attachment.agreement == 1
    moved = translator(512)
    moved.inverse = lambda z_tilde: -z_tilde
    assert attachment.no_op_agreement(moved, Silent()) < 1
