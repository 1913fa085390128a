import numpy as np
from PIL import Image

from iin_cli.figures.saving import save_figure
from iin_cli.figures.violins import MOST_POINTS, Violins, plot_violins


def values(rows, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def test_every_column_has_a_violin_of_the_factor_and_one_of_its_control():
    row = [
        Violins("digit", values(50, 3), values(90, 3, 1) + 5, values(9, 3)),
        Violins("", values(50, 3), values(9, 3)),
    ]
    figure = plot_violins([row, row], ["cat", "dog", "cow"], ["log p", "change"])
    panels = figure.axes
    assert [panel.get_ylabel() for panel in panels] == ["log p", "change"] * 2
    assert panels[0].get_title(loc="left") == "digit"
    assert [text.get_text() for text in panels[2].get_xticklabels()] == ["cat", "dog", "cow"]
    bodies = [each for each in panels[0].collections if each.get_paths()[0].vertices.shape[0] > 10]
    # Three of the starts, then of the control, then of the factor.
    assert len(bodies) == 9
    heights = [body.get_paths()[0].vertices[:, 1].mean() for body in bodies]
    assert min(heights[3:6]) > max(heights[6:]) + 2
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "starts"
    without = plot_violins([row[1:]], ["cat", "dog", "cow"], ["change"])
    assert len(without.legends[0].get_texts()) == 2


def test_constant_values_one_point_and_many_points_are_drawn(tmp_path):
    still = Violins("still", np.zeros((4, 2), np.float32), np.zeros((1, 2), np.float32))
    many = Violins("many", values(MOST_POINTS * 5, 2), values(2, 2))
    for name in ("a.png", "b.png"):
        figure = plot_violins([[still], [many]], ["a long name", "b"], ["change"], "title")
        save_figure(tmp_path / name, figure)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as page:
        assert min(page.size) > 200
