"""MNIST and its kin: tiny files in torchvision's layout, and the real ones where they are."""

import os
import pickle
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, MNIST

from iin_cli.data.torchvision_sets import open_cifar10, open_colormnist, open_fashionmnist, open_mnist
from iin_cli.errors import DataError

TRAIN, TEST = 48, 16


@pytest.fixture
def root(tmp_path, write_idx):
    write_idx(tmp_path / "MNIST" / "raw")
    return tmp_path


@pytest.fixture
def offline(monkeypatch):
    def refuse(self):
        raise RuntimeError("no route to host")

    monkeypatch.setattr(MNIST, "download", refuse)
    monkeypatch.setattr(CIFAR10, "download", refuse)


def test_mnist_reads_images_labels_and_its_own_split(root):
    mnist = open_mnist(root)
    raw = (root / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()[16:]
    images = mnist.images(mnist.splits["test"], 32)
    np.testing.assert_array_equal(images[:, 2:-2, 2:-2, 0], np.frombuffer(raw, np.uint8).reshape(TEST, 28, 28))
    assert mnist.splits["train"].tolist() == list(range(TRAIN))
    assert mnist.labels["digit"].values[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert mnist.labels["class"].names == tuple("0123456789")
    assert (mnist.native_size, mnist.path(3)) == (28, "mnist[3]")


def test_colormnist_colours_mnist(root):
    mnist, colored = open_mnist(root), open_colormnist(root)
    grey = mnist.images(np.arange(64), 32)
    expected = ((grey / 127.5 - 1) * colored.colors[:, None, None] + 1) * 127.5
    assert np.abs(colored.images(np.arange(64), 32) - expected).max() <= 0.51
    ids = colored.labels["color"].values
    assert np.bincount(ids).tolist() == [8] * 8
    assert not set(ids[colored.splits["train"]]) & set(ids[colored.splits["test"]])
    np.testing.assert_array_equal(colored.sources, np.arange(64))
    assert colored.fingerprint == open_colormnist(root).fingerprint != mnist.fingerprint


def test_fashionmnist_has_garments(tmp_path, write_idx):
    write_idx(tmp_path / "FashionMNIST" / "raw")
    assert open_fashionmnist(tmp_path).labels["class"].names[9] == "Ankle boot"


def test_a_read_only_root_with_the_files_works(root, offline):
    folders = [root, root / "MNIST", root / "MNIST" / "raw"]
    for folder in folders:
        folder.chmod(0o555)
    try:
        before = sorted(root.rglob("*"))
        assert len(open_mnist(root).sources) == TRAIN + TEST
        assert sorted(root.rglob("*")) == before
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_the_environment_names_the_root(root, monkeypatch):
    monkeypatch.setenv("IIN_DATA_ROOT", str(root))
    assert len(open_mnist().sources) == TRAIN + TEST


def test_missing_files_are_downloaded_into_the_root_in_one_move(tmp_path, monkeypatch, capsys, write_idx):
    def fetch(self):
        print("Extracting")
        write_idx(Path(self.raw_folder))

    monkeypatch.setattr(MNIST, "download", fetch)
    assert len(open_mnist(tmp_path / "new").sources) == TRAIN + TEST
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["MNIST"]
    assert capsys.readouterr().out == ""


def test_a_download_that_stops_half_way_leaves_nothing(tmp_path, monkeypatch, write_idx):
    def stop(self):
        write_idx(Path(self.raw_folder))
        raise KeyboardInterrupt

    monkeypatch.setattr(MNIST, "download", stop)
    with pytest.raises(KeyboardInterrupt):
        open_mnist(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_placed_archives_are_offered_to_torchvision(tmp_path, monkeypatch, write_idx):
    archive = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"placed by hand")

    def extract(self):
        assert Path(self.raw_folder, archive.name).read_bytes() == b"placed by hand"
        write_idx(Path(self.raw_folder))

    monkeypatch.setattr(MNIST, "download", extract)
    assert len(open_mnist(tmp_path).sources) == TRAIN + TEST


def test_failing_to_download_says_what_to_place_where(tmp_path, offline):
    with pytest.raises(DataError) as caught:
        open_mnist(tmp_path)
    message = str(caught.value)
    assert "no route to host" in message
    assert f"{tmp_path / 'MNIST' / 'raw'}" in message
    assert "t10k-labels-idx1-ubyte" in message
    assert "\n" not in message


@pytest.mark.parametrize("damage", [lambda raw: raw[:200], lambda raw: b"", lambda raw: b"\x89PNG" + raw])
def test_a_damaged_file_is_an_error(root, damage):
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="MNIST/raw cannot be read"):
        open_mnist(root)


def test_labels_of_another_length_are_an_error(root):
    path = root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(struct.pack(">ii", 2049, 5) + bytes(5))
    with pytest.raises(DataError, match="64 images but 21 labels"):
        open_mnist(root)


def test_cifar10_reads_its_batches(tmp_path, monkeypatch, offline):
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (4, 3072), dtype=np.uint8)
    for name, _ in CIFAR10.train_list + CIFAR10.test_list:
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": [3, 1, 4, 1]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    monkeypatch.setattr(CIFAR10, "train_list", [[name, None] for name, _ in CIFAR10.train_list])
    monkeypatch.setattr(CIFAR10, "test_list", [[name, None] for name, _ in CIFAR10.test_list])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": None})
    cifar = open_cifar10(tmp_path)
    assert [len(cifar.splits[split]) for split in ("train", "test")] == [20, 4]
    np.testing.assert_array_equal(cifar.images(np.array([20]), 32)[0], pixels[0].reshape(3, 32, 32).transpose(1, 2, 0))
    label = cifar.labels["class"]
    assert [label.names[value] for value in label.values[:3]] == ["cat", "automobile", "deer"]


def test_cifar10_of_foreign_content_is_refused(tmp_path, offline):
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    for name in [entry[0] for entry in CIFAR10.train_list + CIFAR10.test_list] + ["batches.meta"]:
        (folder / name).write_bytes(pickle.dumps({"data": 0}))
    with pytest.raises(DataError, match="corrupted"):
        open_cifar10(tmp_path)


def test_the_real_colormnist():
    beside = Path(__file__).parents[3] / "shared" / "data"
    found = Path(os.environ["IIN_DATA_ROOT"]) if "IIN_DATA_ROOT" in os.environ else beside
    if not (found / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
        pytest.skip("no MNIST in IIN_DATA_ROOT or ../shared/data")
    begun = time.perf_counter()
    dataset = open_colormnist(found)
    assert time.perf_counter() - begun < 10
    assert {split: len(indices) for split, indices in dataset.splits.items()} == {"train": 60000, "test": 10000}
    assert np.bincount(dataset.labels["digit"].values)[1] == 7877
    np.testing.assert_allclose(dataset.colors.mean(axis=0), 0.5, atol=0.02)
    by_digit = [dataset.colors[dataset.labels["digit"].values == digit].mean(axis=0) for digit in range(10)]
    np.testing.assert_allclose(by_digit, 0.5, atol=0.03)
