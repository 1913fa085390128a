"""One line per concept, its band and its null; hollow where nothing was found, gaps where nothing is known."""

import numpy as np
from matplotlib.colors import to_rgba

from iin_cli.figures.layers import Curve, plot_layers
from iin_cli.figures.palette import category


def curve(*scores, found=None):
    score = np.array(scores)
    there = np.ones(len(score), bool) if found is None else np.array(found)
    return Curve(score, score - 0.1, score + 0.1, score * 0 - 0.01, score * 0 + 0.01, there)


def test_what_is_drawn():
    curves = {"class": curve(0.1, 0.2, 0.6), "hue": curve(0.5, np.nan, 0.0, found=[True, False, False])}
    figure = plot_layers(["stem", "block", "head"], curves, "net on data")
    (panel,) = figure.axes
    assert panel.get_title(loc="left") == "net on data"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["class", "hue", "range by chance"]
    assert [text.get_text() for text in panel.get_xticklabels()] == ["stem", "block", "head"]
    lines = {line.get_label(): line for line in panel.lines}
    np.testing.assert_array_equal(lines["class"].get_ydata(), [0.1, 0.2, 0.6])
    np.testing.assert_array_equal(lines["hue"].get_ydata(), [0.5, np.nan, 0.0])
    broken = [line for line in panel.lines if line.get_linestyle() == "-." and len(line.get_ydata())]
    assert {float(line.get_ydata()[0]) for line in broken} == {-0.01, 0.01}
    marks = [found for found in panel.collections if len(found.get_facecolors()) == 3]
    expected = [to_rgba(color) for color in (category(1), "white", "white")]
    assert [tuple(color) for color in marks[1].get_facecolors()] == expected


def test_of_very_many_layers_not_all_are_named():
    names = [f"layer {number}" for number in range(400)]
    (panel,) = plot_layers(names, {"class": curve(*np.linspace(0, 1, 400))}).axes
    shown = [text.get_text() for text in panel.get_xticklabels()]
    assert shown[0] == "layer 0"
    assert 50 < len(shown) <= 120
