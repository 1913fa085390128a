"""The embedded shapes: known numbers, drawn again with others, the same on every machine."""

import numpy as np
import pytest
from sklearn.svm import SVC

from iin_cli.data.drawing import BACKGROUND, KINDS
from iin_cli.data.shapes import RANGES, open_shapes
from iin_cli.errors import DataError, UsageError


@pytest.fixture(scope="module")
def shapes():
    return open_shapes()


def test_columns_are_uniform_and_independent(shapes):
    assert list(shapes.labels) == ["class", *RANGES, "color", "corners"]
    columns = []
    for column, (low, high) in RANGES.items():
        label = shapes.labels[column]
        assert label.continuous
        assert label.names is None
        scaled = (label.values - low) / (high - low)
        columns.append(scaled)
        assert 0 <= scaled.min() < 0.001 < 0.999 < scaled.max() < 1
        assert np.bincount((scaled * 10).astype(int), minlength=10).min() > 1050
    kinds = shapes.labels["class"].values
    assert np.bincount(kinds).min() > 2200
    correlation = np.corrcoef([*columns, *(kinds == kind for kind in range(len(KINDS) - 1))])
    independent = ~np.eye(len(correlation), dtype=bool)
    independent[len(columns) :, len(columns) :] = False
    assert np.abs(correlation[independent]).max() < 0.05


def test_the_draw_is_the_same_for_ever(shapes):
    assert shapes.labels["class"].names == ("triangle", "square", "bar", "cross", "star")
    assert shapes.labels["class"].values[:8].tolist() == [1, 2, 4, 1, 1, 0, 0, 1]
    np.testing.assert_allclose(shapes.labels["roundness"].values[:3], [0.818938, 0.678386, 0.3846903], atol=1e-6)
    assert open_shapes().fingerprint == shapes.fingerprint


def test_coarse_labels_agree_with_the_fine_ones(shapes):
    hue, roundness = shapes.labels["hue"].values, shapes.labels["roundness"].values
    red = shapes.labels["color"].values == 0
    assert shapes.labels["color"].names[0] == "red"
    assert (np.minimum(hue, 1 - hue)[red] <= 1 / 12).all()
    assert np.minimum(hue, 1 - hue)[~red].min() >= 1 / 12
    sharp = shapes.labels["corners"].values == 0
    assert roundness[sharp].max() < 0.25 <= roundness[~sharp].min()


def test_splits_are_whole_and_apart(shapes):
    assert len(shapes.splits["train"]) == 10_000
    np.testing.assert_array_equal(np.concatenate([shapes.splits["train"], shapes.splits["test"]]), np.arange(12_000))
    np.testing.assert_array_equal(shapes.sources, np.arange(12_000))


def test_items_are_drawn_at_any_size_each_by_itself(shapes):
    chosen = np.array([11_999, 3, 700])
    for size in (17, 64):
        images = shapes.images(chosen, size)
        assert images.shape == (3, size, size, 3)
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images[1], shapes.images(np.array([3]), size, "bilinear")[0])
    assert shapes.images(np.array([], dtype=np.int64), 8).shape == (0, 8, 8, 3)
    assert shapes.path(3) == f"shapes[3] {KINDS[shapes.labels['class'].values[3]].name}"


def test_no_shape_leaves_the_picture(shapes):
    chosen = np.arange(40)
    widest = {"size": RANGES["size"][1], "x": RANGES["x"][0], "y": RANGES["y"][1], "roundness": 0.0}
    images = shapes.drawn(chosen, 64, {column: np.full(40, value) for column, value in widest.items()})
    border = np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])
    assert (border == BACKGROUND).all()


@pytest.mark.parametrize("column", ["class", *RANGES])
def test_redrawing_changes_one_column_and_nothing_else(shapes, column):
    chosen = np.arange(20, 40)
    fresh = shapes.redrawn_values(chosen, column, seed=1)
    redrawn = shapes.redraw(chosen, 32, column, seed=1)
    np.testing.assert_array_equal(redrawn, shapes.drawn(chosen, 32, {column: fresh}))
    differs = (redrawn != shapes.images(chosen, 32)).any(axis=(1, 2, 3))
    kept = fresh == shapes.labels[column].values[chosen]
    np.testing.assert_array_equal(differs, ~kept)
    assert differs.sum() >= 12


def test_a_new_hue_leaves_the_outline_where_it_was(shapes):
    chosen = np.arange(30)
    before, after = shapes.images(chosen, 32), shapes.redraw(chosen, 32, "hue", seed=0)
    np.testing.assert_array_equal((before == BACKGROUND).all(axis=-1), (after == BACKGROUND).all(axis=-1))


def test_fresh_values_belong_to_the_item_and_the_seed(shapes):
    chosen = np.arange(50)
    fresh = shapes.redrawn_values(chosen, "roundness", seed=7)
    np.testing.assert_array_equal(shapes.redrawn_values(chosen[::-1], "roundness", seed=7), fresh[::-1])
    for other in (shapes.redrawn_values(chosen, "roundness", seed=8), shapes.labels["roundness"].values[chosen]):
        assert np.abs(np.corrcoef(fresh, other)[0, 1]) < 0.5
        assert (fresh != other).all()
    assert (fresh.min() >= 0) & (fresh.max() < 1)


def test_kinds_are_told_even_where_corners_are_softest(shapes):
    train, test = np.arange(700), np.arange(10_000, 10_200)

    def silhouettes(items):
        centred = {"x": np.zeros(len(items)), "y": np.zeros(len(items)), "roundness": np.ones(len(items))}
        return (shapes.drawn(items, 24, centred) != BACKGROUND).any(axis=-1).reshape(len(items), -1)

    kinds = shapes.labels["class"].values
    machine = SVC(C=10.0).fit(silhouettes(train), kinds[train])
    assert machine.score(silhouettes(test), kinds[test]) > 0.95


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda shapes: shapes.redraw(np.arange(2), 8, "roundnes", 0), "another 'roundnes': did you mean roundness"),
        (lambda shapes: shapes.drawn(np.arange(2), 8, {"color": np.zeros(2)}), "another 'color'"),
    ],
)
def test_a_column_that_is_not_drawn_is_refused(shapes, ask, message):
    with pytest.raises(DataError, match=message):
        ask(shapes)


def test_the_classes_may_be_another_column():
    shapes, corners = open_shapes(), open_shapes(None, "corners")
    assert corners.name == "shapes:corners"
    assert corners.labels["class"].names == ("sharp", "soft", "softer", "round")
    np.testing.assert_array_equal(corners.labels["kind"].values, shapes.labels["class"].values)
    np.testing.assert_array_equal(corners.images(np.arange(3), 16), shapes.images(np.arange(3), 16))
    assert corners.fingerprint != shapes.fingerprint
    assert corners.path(3).removeprefix("shapes:corners") == shapes.path(3).removeprefix("shapes")
    with pytest.raises(UsageError, match="did you mean corners"):
        open_shapes(None, "corner")
