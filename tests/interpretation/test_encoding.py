"""Every item is encoded once, with the same bits whatever is beside it, and found again by whoever needs it."""

import numpy as np
import pytest
import torch

from iin_cli.data import open_dataset
from iin_cli.interpretation.encoding import encode_items, is_encoded
from iin_cli.interpretation.grouping import find_providers
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.opening import open_network
from iin_cli.progress import Silent

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def network(files):
    return open_network(str(files.autoencoder))


@pytest.mark.parametrize("variant", [0, 1])
def test_some_items_are_read_from_all_that_are_cached(network, monkeypatch, variant):
    (provider,) = find_providers(["greyscale"])
    dataset = open_dataset("colordigits")
    dataset.splits = {**dataset.splits, "train": dataset.splits["train"][60:0:-1]}
    train, test = dataset.splits["train"], dataset.splits["test"][:5]
    some = train[[7, 3, 50]]
    alone = encode_items(network, dataset, some, provider, variant, report=Silent())
    everything = encode_items(network, dataset, train, provider, variant, report=Silent())
    encode_items(network, dataset, test, provider, variant, report=Silent())
    monkeypatch.setattr(type(dataset), "images", lambda *_: pytest.fail("encoded again"))
    for items in (train[[1, 30]], train[[2]]):
        part = dataset.subset("train", items)
        found = encode_items(network, part, items, provider, variant, report=Silent())
        rows = [train.tolist().index(item) for item in items]
        np.testing.assert_array_equal(found.mean, everything.mean[np.array(rows)])
        np.testing.assert_array_equal(found.log_variance, everything.log_variance[np.array(rows)])
    read = encode_items(network, dataset, some, provider, variant, report=Silent())
    np.testing.assert_array_equal(read.mean, alone.mean)
    assert len(encode_items(network, dataset, test, provider, variant, report=Silent()).mean) == 5
    assert is_encoded(network, dataset, train) == (variant == 0)


def test_an_image_has_the_same_bits_alone_and_among_others(network, monkeypatch, tmp_path):
    dataset = open_dataset("colordigits")
    items, found = dataset.splits["test"][:40], []
    for folder, chosen in (("one", items[:1]), ("three", items[2::-1]), ("all", items)):
        monkeypatch.setenv("IIN_CACHE", str(tmp_path / folder))
        found.append(encode_items(network, dataset, chosen, report=Silent()))
    one, three, everything = found
    np.testing.assert_array_equal(one.mean[:], everything.mean[:1])
    np.testing.assert_array_equal(three.log_variance[:], everything.log_variance[2::-1])


def test_latents_in_bfloat16_are_kept_apart_and_are_those_of_single_pictures(files, heard):
    dataset = open_dataset("digits")
    items = dataset.splits["test"][:20]
    plain, half = open_network(str(files.autoencoder)), open_network(str(files.autoencoder), precision="bfloat16")
    exact = encode_items(plain, dataset, items, report=Silent())
    assert is_encoded(plain, dataset, items)
    assert not is_encoded(half, dataset, items)
    # What is asked for is tried once, and said.
    assert (plain.settled, half.settled) == (True, True)
    rounded = encode_items(half, dataset, items, report=heard)
    change = np.abs(rounded.mean[:] - exact.mean[:]).max() / np.abs(exact.mean[:]).max()
    assert 1e-4 < change < 3e-2
    pixels = dataset.images(items, half.image_size)
    np.testing.assert_allclose(half.encode_pixels(pixels), rounded.mean[:], rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(plain.encode_pixels(pixels), exact.mean[:], atol=1e-5)
    assert half.encode_pixels(pixels).dtype == torch.float32
    # G, and f itself, are never computed otherwise.
    z = torch.from_numpy(exact.mean[:])
    assert torch.equal(half.answers(z), plain.answers(z))
    assert (half.provenance["precision"], plain.provenance["precision"]) == ("bfloat16", "float32")


def test_a_network_that_is_cut_keeps_its_precision():
    network = open_network("shufflenet_v2_x0_5", weights="none", precision="auto")
    assert (network.precision, network.settled) == ("float32", False)
    assert network.at_layer("conv5").wanted_precision == "auto"
    network.settle("bfloat16")
    cut = network.at_layer("conv5")
    assert (cut.precision, cut.settled, cut.encoder.precision) == ("bfloat16", True, "bfloat16")


def test_a_module_of_the_users_is_computed_with_as_it_is():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten()).eval()
    network, images = Network(module), torch.rand(2, 3, 4, 4)
    first = network.encoder.encode(images)
    module[0].weight.data.mul_(2)
    assert torch.equal(network.encoder.encode(images), network.backbone.encode(images))
    assert not torch.equal(network.encoder.encode(images), first)
