"""Images in memory: padding, resizing, colour, the draw of colours, stratified splits."""

import numpy as np
import pytest

from iin_cli.data.arrays import ArrayDataset, ColoredDataset, digest, draw_colors, resize, stratified_split
from iin_cli.errors import DataError
from iin_cli.plugin_api import Labels


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def grey_dataset(items=40, side=28, pad=2, **changes):
    values = np.arange(items) % 4
    splits = {"train": np.arange(items - 8), "test": np.arange(items - 8, items)}
    arguments = {
        "pixels": noise(items, side, side),
        "labels": {"digit": Labels(values, tuple("0123"))},
        "splits": splits,
        "pad": pad,
    }
    return ArrayDataset("grey", **(arguments | changes))


def test_padding_gives_the_canvas_exactly():
    pixels = noise(40, 28, 28)
    images = grey_dataset(pixels=pixels).images(np.array([3, 1]), 32)
    assert images.shape == (2, 32, 32, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[0, 2:-2, 2:-2, 1], pixels[3])
    assert images[:, [0, 1, 30, 31]].max() == 0


def test_rgb_pixels_come_back_unchanged_at_their_own_size():
    pixels = noise(4, 8, 8, 3)
    dataset = ArrayDataset("rgb", pixels, {}, {"train": np.arange(3), "test": np.array([3])})
    np.testing.assert_array_equal(dataset.images(np.array([2, 0]), 8), pixels[[2, 0]])
    assert dataset.native_size == 8


@pytest.mark.parametrize("size", [5, 16, 57])
def test_resizing_keeps_constants_and_means(size):
    assert np.unique(resize(np.full((2, 32, 32, 3), 77, np.uint8), size)).tolist() == [77]
    smooth = np.linspace(0, 255, 32).astype(np.uint8)[None, :, None].repeat(32, axis=2)
    assert resize(smooth, size).mean() == pytest.approx(smooth.mean(), abs=1)


def test_shrinking_is_antialiased():
    stripes = np.zeros((1, 64, 64), np.uint8)
    stripes[:, :, ::2] = 200
    # Without a filter, every second column would survive at 200 or vanish.
    assert abs(resize(stripes, 16)[:, 2:-2, 2:-2].astype(int) - 100).max() < 10


def test_colour_multiplies_the_image_in_minus_one_to_one():
    base = grey_dataset()
    colored = ColoredDataset("c", base, base.sources, [base.splits["train"], base.splits["test"]], seed=1)
    indices = np.array([5, 0, 39])
    for size in (32, 20):
        grey = base.images(indices, size).astype(float)
        # The authors' definition in [-1, 1].
        wanted = ((grey / 127.5 - 1) * colored.colors[indices][:, None, None] + 1) * 127.5
        assert np.abs(colored.images(indices, size) - wanted).max() <= 0.51
    np.testing.assert_array_equal(colored.labels["digit"].values, base.labels["digit"].values)


def test_items_of_one_colour_id_have_one_colour():
    base = grey_dataset()
    colored = ColoredDataset("c", base, base.sources, [base.splits["train"], base.splits["test"]], seed=1)
    ids = colored.labels["color"].values
    assert len(np.unique(colored.colors, axis=0)) == len(np.unique(ids)) == 5
    assert all(len(np.unique(colored.colors[ids == value], axis=0)) == 1 for value in np.unique(ids))
    assert colored.labels["color"].names is None


def test_colours_are_uniform_shared_by_eight_and_stay_in_their_round():
    rounds = [np.arange(8000), np.arange(8000, 8804)]
    ids, palette = draw_colors(rounds, seed=3)
    assert not set(ids[:8000]) & set(ids[8000:])
    counts = np.bincount(ids)
    assert set(counts[:1000]) == {8}
    assert set(counts[1000:]) == {8, 9}
    np.testing.assert_allclose(palette.mean(axis=0), 0.5, atol=0.04)
    np.testing.assert_allclose(palette.var(axis=0), 1 / 12, atol=0.01)
    assert np.abs(np.corrcoef(palette.T) - np.eye(3)).max() < 0.15


def test_the_draw_depends_on_the_seed_alone():
    first, again, other = (draw_colors([np.arange(64)], seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_a_round_of_few_items_gets_one_colour():
    ids, palette = draw_colors([np.arange(3)], seed=0)
    assert ids.tolist() == [0, 0, 0]
    assert palette.shape == (1, 3)


def test_stratified_split_takes_the_fraction_of_every_label():
    values = np.repeat([0, 1, 2], [50, 100, 30])
    splits = stratified_split(values, 0.2, seed=0)
    assert np.bincount(values[splits["test"]]).tolist() == [10, 20, 6]
    np.testing.assert_array_equal(np.sort(np.concatenate(list(splits.values()))), np.arange(180))
    np.testing.assert_array_equal(splits["test"], stratified_split(values, 0.2, seed=0)["test"])


def test_fingerprint_follows_pixels_labels_and_splits():
    pixels = noise(40, 28, 28)
    changed = pixels.copy()
    changed[7, 3, 3] ^= 1
    prints = {
        grey_dataset(pixels=pixels).fingerprint,
        grey_dataset(pixels=changed).fingerprint,
        grey_dataset(pixels=pixels, pad=0).fingerprint,
        grey_dataset(pixels=pixels, labels={}).fingerprint,
        grey_dataset(pixels=pixels, splits={"train": np.arange(39), "test": np.array([39])}).fingerprint,
    }
    assert len(prints) == 5
    assert grey_dataset(pixels=pixels.copy()).fingerprint == grey_dataset(pixels=pixels).fingerprint


def test_digest_tells_shapes_apart():
    assert digest(np.zeros((2, 3))) != digest(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("values", "message"), [(np.zeros(39, int), "39 labels in 'digit'"), (np.full(40, 4), "outside 0-3")]
)
def test_labels_that_do_not_fit_are_refused(values, message):
    with pytest.raises(DataError, match=message):
        grey_dataset(labels={"digit": Labels(values, tuple("0123"))})
