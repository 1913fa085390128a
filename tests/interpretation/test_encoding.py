"""Every item is encoded once: what a fit cached of all training items is read again for some of them."""

import numpy as np
import pytest

from iin_cli.data import open_dataset
from iin_cli.interpretation.encoding import encode_items, is_encoded
from iin_cli.interpretation.grouping import find_providers
from iin_cli.interpretation.opening import open_network
from iin_cli.progress import Silent

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def network(files):
    return open_network(str(files.autoencoder))


@pytest.mark.parametrize("variant", [0, 1])
def test_some_training_items_are_read_from_all_that_are_cached(network, monkeypatch, variant):
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
    np.testing.assert_allclose(read.mean, alone.mean, atol=1e-5)
    assert len(encode_items(network, dataset, test, provider, variant, report=Silent()).mean) == 5
    assert is_encoded(network, dataset, train) == (variant == 0)
