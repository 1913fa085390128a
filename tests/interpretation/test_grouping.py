"""From images to latents and pairs: rows are what they say, held out stays held out, every item is encoded once."""

import numpy as np
import pytest
import torch

from iin_cli.data import open_dataset
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation import grouping
from iin_cli.interpretation.grouping import find_providers, group
from iin_cli.interpretation.opening import open_network
from iin_cli.latents.pairs import step_generator
from iin_cli.plugin_api import Labels
from iin_cli.progress import Silent

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def opened(files):
    return open_network(str(files.autoencoder))


def small(dataset, count):
    """Cut the training split of `dataset` to `count` items spread over it."""
    train = dataset.splits["train"]
    dataset.splits = {**dataset.splits, "train": train[:: len(train) // count][:count]}
    return dataset


def encoded(opened, dataset, row):
    pixels = dataset.images(np.array([row]), 32)
    return opened.backbone.encode(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1)[0]


def test_pairs_of_labels(opened):
    dataset = small(open_dataset("colordigits"), 400)
    indices = dataset.splits["train"]
    found = group(opened, dataset, find_providers(["digit"]), 0, Silent())
    table, pairs, held_out = found.table, found.pairs, found.held_out
    assert (len(table), table.dim, table.stochastic) == (400, 8, True)
    (concept,) = pairs
    assert (concept.name, concept.relation) == ("digit", "share")
    digits = dataset.labels["digit"].values[indices]
    for sampler, side in ((concept.fit, False), (concept.held_out, True)):
        a, b = sampler.draw(500, step_generator(0, 0, 0))
        assert (digits[a] == digits[b]).all()
        assert (held_out[a] == side).all()
        assert (held_out[b] == side).all()
    sources = dataset.sources[indices]
    assert not set(sources[held_out]) & set(sources[~held_out])
    torch.testing.assert_close(table.mean(np.array([3]))[0], encoded(opened, dataset, indices[3]), atol=1e-5, rtol=1e-4)


def test_pairs_of_an_image_and_its_variant(opened):
    dataset = small(open_dataset("colordigits"), 60)
    found = group(opened, dataset, find_providers(["digit", "greyscale"]), 0, Silent())
    table, pairs, held_out = found.table, found.pairs, found.held_out
    assert len(table) == len(held_out) == 120
    grey = pairs[1]
    assert grey.relation == "differ"
    a, b = grey.fit.draw(300, step_generator(0, 0, 0))
    # The image is in the first block, its grey variant as far into the second.
    assert (np.abs(a - b) == 60).all()
    np.testing.assert_array_equal(held_out[:60], held_out[60:])
    row = int(a.min())
    pixels = find_providers(["greyscale"])[0].render(dataset.images(dataset.splits["train"][[row]], 32), 1)
    z = opened.backbone.encode(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1)[0]
    torch.testing.assert_close(table.mean(np.array([row + 60]))[0], z, atol=1e-5, rtol=1e-4)


def test_pairs_of_an_item_drawn_again(opened):
    dataset = small(open_dataset("shapes"), 40)
    found = group(opened, dataset, find_providers(["redraw:hue"]), 0, Silent())
    table, pairs, held_out = found.table, found.pairs, found.held_out
    assert len(table) == len(held_out) == 120
    a, b = pairs[0].fit.draw(300, step_generator(0, 0, 0))
    assert (a % 40 == b % 40).all()
    for variant in (1, 2):
        item = dataset.splits["train"][[7]]
        pixels = torch.from_numpy(dataset.redraw(item, 32, "hue", variant)).permute(0, 3, 1, 2)
        z = opened.backbone.encode(pixels / 127.5 - 1)[0]
        torch.testing.assert_close(table.mean(np.array([40 * variant + 7]))[0], z, atol=1e-5, rtol=1e-4)


def test_a_part_of_the_images_makes_the_pairs_they_would_make_alone(opened, cache):
    dataset = small(open_dataset("colordigits"), 400)
    found = group(opened, dataset, find_providers(["digit", "greyscale"]), 3, Silent(), 60)
    assert (len(found.images), len(found.table), found.rows) == (60, 120, 800)
    assert [len(np.load(file)) for file in cache.rglob("mean.npy")] == [60, 60]
    assert set(found.images) < set(dataset.splits["train"])
    digits = dataset.labels["digit"].values[found.images]
    a, b = found.pairs[0].fit.draw(200, step_generator(0, 0, 0))
    assert (digits[a] == digits[b]).all()
    a, b = found.pairs[1].fit.draw(200, step_generator(0, 0, 0))
    assert (np.abs(a - b) == 60).all()
    with pytest.raises(UsageError, match="--n 5: sizes need at least 8 images"):
        group(opened, dataset, [], 0, Silent(), 5)


def test_small_groups_are_not_torn_apart(opened):
    dataset = small(open_dataset("digits"), 400)
    ids = np.zeros(len(dataset.sources), np.int64)
    ids[dataset.splits["train"]] = np.arange(400) // 2
    dataset.labels = {"person": Labels(ids)}
    found = group(opened, dataset, find_providers(["person"], dataset), 0, Silent(), 100)
    assert 100 <= len(found.images) <= 200
    people = ids[found.images]
    assert (np.unique(people, return_counts=True)[1] == 2).sum() >= 50
    fit, held_out = found.pairs[0].fit, found.pairs[0].held_out
    # Holding images out tears some; of 100 drawn one by one about 25 would have made pairs.
    assert len(fit.order) + (0 if held_out is None else len(held_out.order)) >= 60


def test_progress_says_which_of_several_renderings_is_encoded(opened):
    class Named(Silent):
        def task(self, description, total, unit="it"):
            said.append(description)
            return super().task(description, total, unit)

    said = []
    group(opened, small(open_dataset("colordigits"), 40), find_providers(["greyscale"]), 9, Named())
    assert [text[-8:] for text in said] == ["(1 of 2)", "(2 of 2)"]


def test_a_column_of_the_data_is_a_concept_where_no_other_has_its_name(opened):
    dataset = open_dataset("shapes")
    dataset.labels = {**dataset.labels, "Kind": Labels(np.arange(len(dataset.sources)) % 3, ("a", "b", "c"))}
    kind, size = find_providers(["kind", "size"], dataset)
    assert (kind.concept, kind.relation) == ("Kind", "share")
    assert size.concept == "size"
    assert size.groups(dataset, np.arange(40), 0).group_ids.max() > 2
    with pytest.raises(UsageError, match=r"unknown concept 'kin': .*nor is it a label column of shapes: .*Kind"):
        find_providers(["kin"], dataset)


def test_a_second_run_encodes_nothing(opened, monkeypatch):
    dataset = small(open_dataset("digits"), 30)
    first = group(opened, dataset, [], 0, Silent()).table
    monkeypatch.setattr(dataset, "images", lambda *_: pytest.fail("encoded again"))
    second = group(opened, dataset, [], 1, Silent()).table
    assert torch.equal(first.mean(np.arange(30)), second.mean(np.arange(30)))


def test_fewer_images_than_latents(opened):
    with pytest.raises(DataError, match="5 training images, fewer than the 8"):
        group(opened, small(open_dataset("digits"), 5), [], 0, Silent())


def test_of_wide_latents_not_as_many_images_are_needed(opened, monkeypatch):
    monkeypatch.setattr(grouping, "MOST_NEEDED", 4)
    assert len(group(opened, small(open_dataset("digits"), 5), [], 0, Silent()).table) == 5
    with pytest.raises(DataError, match="3 training images, fewer than the 4 that"):
        group(opened, small(open_dataset("digits"), 3), [], 0, Silent())


def test_a_latent_that_is_not_finite_names_the_image(opened, monkeypatch):
    monkeypatch.setattr(opened.backbone, "posterior", lambda x: (torch.full((len(x), 8), torch.nan), None))
    dataset = small(open_dataset("digits"), 20)
    with pytest.raises(DataError, match=rf"not finite for digits\[{dataset.splits['train'][0]}\]"):
        group(opened, dataset, [], 0, Silent())


def test_labels_too_fine_to_hold_pairs_out(opened):
    dataset = small(open_dataset("digits"), 40)
    ids = np.zeros(len(dataset.sources), np.int64)
    ids[dataset.splits["train"]] = np.arange(40) // 2
    dataset.labels = {"person": Labels(ids)}
    found = group(opened, dataset, find_providers(["label:person"]), 0, Silent())
    assert found.held_out.sum() == 4
    assert found.pairs[0].held_out is None


@pytest.mark.parametrize(
    ("concepts", "message"),
    [
        (["digt"], "did you mean digit"),
        (["digit", "label:digit"], "digit is given twice"),
        (["label:residual"], "the name residual is taken"),
        (["digit:3"], "takes no argument"),
    ],
)
def test_names_that_cannot_be_used(concepts, message):
    with pytest.raises(UsageError, match=message):
        find_providers(concepts)
