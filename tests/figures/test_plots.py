import numpy as np
from PIL import Image

from iin_cli.figures.plots import NAMED_CLASSES, plot_walks
from iin_cli.figures.saving import save_figure


def log_probabilities(steps, classes, seed=0):
    values = np.random.default_rng(seed).normal(size=(steps, classes))
    return values - np.log(np.exp(values).sum(1, keepdims=True))


def test_every_class_is_a_line_and_the_strip_says_what_is_predicted():
    values = log_probabilities(20, 3)
    figure = plot_walks([("one", values), ("two", values), ("three", values)], ["cat", "dog", "cow"])
    panels = [panel for panel in figure.axes if panel.lines]
    assert [panel.get_title() for panel in panels] == ["one", "two", "three"]
    for line, column in zip(panels[0].lines, values.T, strict=True):
        assert np.allclose(line.get_ydata(), column)
    colors = [line.get_color() for line in panels[0].lines]
    from matplotlib.colors import to_rgba

    expected = [to_rgba(colors[index]) for index in values.argmax(1)]
    assert np.allclose(panels[0].collections[0].get_facecolors(), expected)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cat", "dog", "cow"]


def test_of_many_classes_only_the_likely_ones_are_named():
    values = log_probabilities(5, 40)
    figure = plot_walks([("walk", values)], [str(index) for index in range(40)])
    named = {int(text.get_text()) for text in figure.legends[0].get_texts()}
    assert len(named) == NAMED_CLASSES
    assert set(values.max(0).argsort()[-NAMED_CLASSES:]) == named
    panel = figure.axes[0]
    rest = panel.collections[0].get_segments()
    assert len(rest) == 40 - NAMED_CLASSES
    unnamed = [index for index in range(40) if index not in named]
    assert np.allclose([line[:, 1] for line in rest], values[:, unnamed].T)
    low, high = panel.get_ylim()
    assert low < values.min() < values.max() < high


def test_equal_figures_give_equal_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        save_figure(tmp_path / name, plot_walks([("walk", log_probabilities(9, 2))], ["no", "yes"]))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as page:
        assert min(page.size) > 200
