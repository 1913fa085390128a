"""Maps: closed forms of the components, and what is asked of umap-learn."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest

from iin_cli.errors import DataError, UsageError
from iin_cli.metrics.embedding import project, require_method


def rows(count, dim, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def stretched(count=200):
    """One direction holds nearly all variance."""
    direction = np.array([3.0, 4.0, 0.0, 0.0]) / 5
    along = np.random.default_rng(1).normal(size=(count, 1)) * 10
    return (along * direction + 0.01 * rows(count, 4)).astype(np.float32), along[:, 0], direction


def test_the_first_component_is_the_direction_of_most_variance():
    values, along, direction = stretched()
    found = project(values, 1, "pca", 0)
    assert found.points.shape == (200, 1)
    assert abs(np.corrcoef(found.points[:, 0], along)[0, 1]) > 0.9999
    assert found.axes == ("PC 1 (100% of variance)",)
    step = found.place(values + direction.astype(np.float32)) - found.points
    assert np.allclose(np.abs(step), 1, atol=1e-3)


def test_other_rows_are_placed_where_they_would_lie():
    values = rows(50, 6)
    found = project(values, 2, "pca", 0)
    assert np.allclose(found.place(values), found.points)
    assert np.allclose(found.place(values[:3]), found.points[:3], atol=1e-5)
    assert np.array_equal(found.points, project(values, 2, "pca", 0).points)


def test_rows_of_no_more_dimensions_are_their_own_map(no_umap):
    values = rows(10, 1)
    for dims, method in ((1, "umap"), (2, "umap"), (1, "pca")):
        found = project(values, dims, method, 0)
        assert np.array_equal(found.points, values)
        assert np.array_equal(found.place(values[:2]), values[:2])
        assert found.axes == ("value",)


def test_bad_input():
    with pytest.raises(DataError, match="3 images are too few for a map: at least 4"):
        project(rows(3, 5), 2, "pca", 0)
    broken = rows(9, 5)
    broken[2, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        project(broken, 2, "pca", 0)
    with pytest.raises(UsageError, match="did you mean umap"):
        require_method("umapp")


def test_equal_rows_make_a_map_without_a_warning():
    found = project(np.ones((9, 5), np.float32), 2, "pca", 0)
    assert np.isfinite(found.points).all()
    assert found.axes[0] == "PC 1 (0% of variance)"


@pytest.fixture
def no_umap(monkeypatch):
    monkeypatch.delitem(sys.modules, "umap", raising=False)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "umap" else found(name, *rest))


def test_without_umap_learn_the_way_to_it_is_said(no_umap):
    require_method("pca")
    with pytest.raises(UsageError, match=r"pip install 'iin-cli\[umap\]', or use --method pca") as raised:
        require_method("umap")
    assert "\n" not in str(raised.value)


class FakeMap:
    def __init__(self, **settings):
        self.settings = settings
        FakeMap.made = self

    def fit_transform(self, values):
        if len(values) == 7:
            raise ValueError("too few neighbours")
        self.dtype = values.dtype
        return values[:, : self.settings["n_components"]].astype(np.float64)

    def transform(self, values):
        return values[:, : self.settings["n_components"]] + 1.0


@pytest.fixture
def fake_umap(monkeypatch):
    module = ModuleType("umap")
    module.__spec__ = ModuleSpec("umap", None)
    module.UMAP = FakeMap
    monkeypatch.setitem(sys.modules, "umap", module)


def test_what_umap_learn_is_asked(fake_umap):
    values = rows(9, 5)
    found = project(values, 2, "umap", 2**40 + 3)
    assert FakeMap.made.settings == {
        "n_components": 2,
        "n_neighbors": 8,
        "random_state": 3,
        "transform_seed": 3,
        "n_jobs": 1,
    }
    assert FakeMap.made.dtype == np.float32
    assert np.array_equal(found.points, values[:, :2])
    assert found.points.dtype == np.float32
    assert np.array_equal(found.place(values[:4]), values[:4, :2] + 1)
    assert found.axes == ("UMAP 1", "UMAP 2")
    project(rows(40, 5), 1, "umap", 0)
    assert FakeMap.made.settings["n_neighbors"] == 15


def test_what_umap_learn_cannot_do_is_one_line(fake_umap):
    with pytest.raises(DataError, match="umap cannot map 7 × 5 latents: too few neighbours"):
        project(rows(7, 5), 2, "umap", 0)


@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="umap-learn is not installed")
@pytest.mark.slow
def test_the_real_umap_keeps_clusters_apart_and_follows_its_seed():
    values = np.concatenate((rows(30, 5), rows(30, 5, 1) + 30))
    found, again = (project(values, 2, "umap", 3) for _ in range(2))
    assert np.array_equal(found.points, again.points)
    between = np.linalg.norm(found.points[:30].mean(0) - found.points[30:].mean(0))
    assert between > 3 * found.points[:30].std()
    placed = found.place(values[:5] + 0.01)
    assert np.linalg.norm(placed - found.points[:30].mean(0), axis=1).max() < between / 2
