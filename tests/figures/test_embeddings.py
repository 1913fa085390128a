"""Colours of dots, and where dots and walks are drawn."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from iin_cli.figures.embeddings import (
    GREY,
    NAMED_LABELS,
    Plane,
    by_color,
    by_label,
    by_number,
    plain,
    plot_planes,
    plot_walks_on_map,
)
from iin_cli.figures.saving import save_figure


def plane(count=30, seed=0):
    return Plane(np.random.default_rng(seed).normal(size=(count, 2)), ("across", "up"), "z")


def test_a_label_keeps_its_colour_from_figure_to_figure():
    all_of_them = by_label("digit", np.arange(10), [f"d{label}" for label in range(10)])
    some = by_label("digit", np.array([7, 3, 7]))
    assert np.array_equal(some.colors, all_of_them.colors[[7, 3, 7]])
    assert [name for name, _ in some.key] == ["3", "7"]
    assert [name for name, _ in all_of_them.key] == [f"d{label}" for label in range(10)]
    assert len(np.unique(all_of_them.colors, axis=0)) == 10


def test_no_two_labels_share_a_colour_and_the_rare_of_many_are_grey():
    few = by_label("class", np.array([0, 20, 40, 999]))
    assert len(np.unique(few.colors, axis=0)) == 4
    many = by_label("class", np.concatenate((np.repeat(np.arange(NAMED_LABELS), 2), [100, 101, 102])))
    assert np.array_equal(many.colors[-3:], [GREY] * 3)
    assert many.key[-1] == ("3 others", GREY)
    assert len(np.unique(many.colors[:-3], axis=0)) == NAMED_LABELS


def test_numbers_have_a_scale_and_colours_are_themselves():
    found = by_number("angle", np.array([1.0, 3.0, 2.0]))
    assert found.span == (1.0, 3.0)
    assert np.allclose(found.colors[0], to_rgb("#440154"), atol=0.01)
    assert by_number("angle", np.ones(3)).colors.shape == (3, 3)
    assert np.array_equal(by_color("color", [[0.2, 0.4, 2.0]]).colors, [[0.2, 0.4, 1.0]])
    assert len(np.unique(plain(4).colors, axis=0)) == 1


def test_every_plane_meets_every_colouring():
    labels = by_label("digit", np.arange(30) % 3, ["one", "two", "an exceedingly long name"])
    angles = by_number("angle", np.linspace(0, 1, 30))
    planes = [plane(), plane(seed=1)]
    figure = plot_planes(planes, [labels, angles], "factors")
    panels = figure.axes[:4]
    assert [panel.get_title() for panel in panels] == ["z\ncolour: digit", "z\ncolour: angle"] * 2
    for panel, coloring, shown in zip(panels, [labels, angles] * 2, [0, 0, 1, 1], strict=True):
        assert np.array_equal(panel.collections[0].get_offsets(), planes[shown].points)
        assert np.allclose(panel.collections[0].get_facecolors()[:, :3], coloring.colors)
        assert (panel.get_xlabel(), panel.get_ylabel()) == ("across", "up")
    assert panels[0].get_legend() is None
    # Two columns, which are filled one after the other and read row by row.
    assert [text.get_text() for text in panels[2].get_legend().get_texts()] == ["one", "an exceedingl…", "two"]
    assert figure.axes[4].get_xlabel() == "angle"


def test_a_walk_is_drawn_on_the_map_from_its_start():
    paths = [np.random.default_rng(seed).normal(size=(5, 2)) for seed in range(2)]
    figure = plot_walks_on_map(plane(), plain(30), [("digit", paths[0]), ("color", paths[1])], "walks")
    assert [panel.get_title() for panel in figure.axes] == ["digit", "color"]
    for panel, path in zip(figure.axes, paths, strict=True):
        assert np.array_equal(panel.lines[0].get_xydata(), path)
        assert np.array_equal(panel.collections[1].get_offsets(), path[:1])


def test_a_walk_that_leaves_the_dots_stays_in_the_frame():
    steps = np.linspace((0, 0), (0, 8), 9)
    figure = plot_walks_on_map(plane(), plain(30), [("there", steps), ("nowhere", steps[:2])], "walks")
    for panel in figure.axes:
        assert panel.get_ylim()[0] < plane().points[:, 1].min()
        assert panel.get_ylim()[1] > 8


@pytest.mark.parametrize("far", [0, 2])
def test_dots_far_away_do_not_squeeze_the_others(far):
    points = plane(100).points
    points[:far] += 1e4
    panel = plot_planes([Plane(points, ("a", "b"))], [plain(100)], "").axes[0]
    low, high = panel.get_xlim()
    assert low < points[far:, 0].min() < points[far:, 0].max() < high < 100
    assert [text.get_text() for text in panel.texts] == (["2 outside the frame"] if far else [])


def test_equal_dots_can_be_drawn(tmp_path):
    figure = plot_planes([Plane(np.zeros((5, 2)), ("a", "b"))], [plain(5)], "one place")
    for name in ("a.png", "b.png"):
        save_figure(tmp_path / name, figure)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
