"""Eq 12 on every dataset of Table 2: autoencoder, translator without concepts, samples; tiny files of each layout."""

import pickle

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CIFAR10

from iin_cli.commands.edit.sample import sample
from iin_cli.commands.make.fit_translator import fit_translator
from iin_cli.commands.make.train_backbone import train_backbone
from iin_cli.fitting.backbone_training import BackboneChoice
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.network_choice import NetworkChoice
from iin_cli.plan import Wishes
from iin_cli.training.runs import RunChoice

TRAIN, TEST = 60, 20


def pixels(items, *shape):
    return np.random.default_rng(items).integers(0, 256, (items, *shape), dtype=np.uint8)


def mnist(root, monkeypatch, write_idx):
    write_idx(root / "MNIST" / "raw", TRAIN, TEST)


def fashionmnist(root, monkeypatch, write_idx):
    write_idx(root / "FashionMNIST" / "raw", TRAIN, TEST)


def cifar10(root, monkeypatch, write_idx):
    folder = root / CIFAR10.base_folder
    folder.mkdir()
    for number, (name, _) in enumerate(CIFAR10.train_list + CIFAR10.test_list):
        rows = np.random.default_rng(number).integers(0, 256, (16, 3072), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": [row % 10 for row in range(16)]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    # Torchvision compares its files with their published digests; these are ours.
    for lists in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, lists, [[name, None] for name, _ in getattr(CIFAR10, lists)])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": None})


def celeba(root, monkeypatch, write_idx):
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06}.jpg" for number in range(1, TRAIN + TEST + 1)]
    for name, image in zip(names, pixels(len(names), 44, 36, 3), strict=True):
        Image.fromarray(image).save(folder / "img_align_celeba" / name)
    lines = [f"{name} {1 if number % 2 else -1}" for number, name in enumerate(names)]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(len(names)), "Smiling", *lines]) + "\n")
    parts = [f"{name} {0 if number < TRAIN else 2}" for number, name in enumerate(names)]
    (folder / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")


@pytest.mark.parametrize("layout", [mnist, fashionmnist, cifar10, celeba])
@pytest.mark.slow
def test_a_translator_without_concepts(layout, tmp_path, monkeypatch, write_idx):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    layout(tmp_path, monkeypatch, write_idx)
    trained = train_backbone(
        BackboneChoice("autoencoder", image_size=32, latent_dim=8, steps=2),
        DataChoice(layout.__name__, tmp_path),
        RunChoice(tmp_path / "ae", seed=0),
    )
    fit = fit_translator(
        NetworkChoice(trained.checkpoint),
        (),
        DataChoice(root=tmp_path),
        Wishes(blocks=2, hidden=16, steps=40),
        RunChoice(tmp_path / "fit", seed=0),
    )
    # All of z̃ is one factor (Eq 12).
    assert fit.factors == {"residual": 8}
    assert fit.scores == {}
    assert fit.round_trip_error < 1e-4
    assert np.isfinite(fit.heldout_nll)
    drawn = sample(tmp_path / "fit", range(5), tmp_path / "samples")
    assert drawn.count == 5
    images = [np.asarray(Image.open(file)) for file in sorted((tmp_path / "samples").rglob("*.png"))]
    assert {image.shape for image in images} == {(32, 32, 3)}
    assert len({image.tobytes() for image in images}) == 5
