import numpy as np
from matplotlib.colors import to_rgba

from iin_cli.figures.explanations import Look, Neighbour, plot_explanation
from iin_cli.figures.palette import LOSS
from iin_cli.figures.saving import save_figure

IMAGE = np.zeros((8, 8, 3), np.uint8)


def delta(**values):
    return {name: {"value": value, "low": value - 0.1, "high": value + 0.1} for name, value in values.items()}


def looks(count=2, drawn=None, **changes):
    near = [Neighbour(IMAGE, f"class {place}") for place in range(count)]
    return [
        Look("as it is", IMAGE, drawn, near),
        *(
            Look(factor, IMAGE, drawn, near, found, "dog 0.98", "cat")
            for factor, found in changes.items()
            for _ in range(2)
        ),
    ]


def test_rows_of_a_factor_share_bars_on_one_scale():
    found = looks(digit=delta(cat=-0.8, dog=0.8), color=delta(cat=0.0, dog=0.01))
    figure = plot_explanation(found, "an image", {"cat": 0.9, "dog": 0.1})
    bars = [panel for panel in figure.axes if panel.patches]
    assert [panel.get_title() for panel in bars] == [
        "probability",
        "change by digit, all edits",
        "change by color, all edits",
    ]
    assert [patch.get_width() for patch in bars[0].patches] == [0.9, 0.1]
    assert [patch.get_width() for patch in bars[1].patches] == [-0.8, 0.8]
    assert bars[1].patches[0].get_facecolor() == to_rgba(LOSS)
    assert bars[1].get_xlim() == bars[2].get_xlim()
    assert bars[1].get_xlim()[1] > 0.9
    assert [text.get_text() for text in bars[1].get_yticklabels()] == ["cat", "dog"]
    pictures = [panel for panel in figure.axes if panel.images]
    assert len(pictures) == 5 * 3
    assert [panel.get_title() for panel in pictures[:4]] == ["the image", "nearest: class 0", "class 1", "source: cat"]
    # The answer of an edit is not written over its source.
    assert [panel.get_ylabel() for panel in pictures[::3]] == [
        "as it is",
        *["digit\n→ dog 0.98"] * 2,
        *["color\n→ dog 0.98"] * 2,
    ]


def test_without_classes_there_are_no_bars_and_a_drawn_edit_stands_beside(tmp_path):
    found = looks(drawn=IMAGE[None], digit=None)
    figure = plot_explanation([*found, Look("walked", None, IMAGE[None], [])], "an image")
    assert not [panel for panel in figure.axes if panel.patches]
    titles = [panel.get_title() for panel in figure.axes]
    assert titles.count("decoded edit") == 3
    assert titles[-2:] == ["", "decoded edit"]
    save_figure(tmp_path / "page.png", figure)
    assert (tmp_path / "page.png").stat().st_size > 1000
