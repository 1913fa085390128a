import numpy as np

from iin_cli.figures.heatmaps import Matrix, plot_matrices
from iin_cli.figures.saving import save_figure


def test_every_cell_shows_its_number_and_what_is_missing_a_dash(tmp_path):
    values = np.array([[0.91, -0.001], [np.nan, 0.5]])
    notes = [["[0.9, 0.92]", ""], ["", "low"]]
    figure = plot_matrices([Matrix("one", "ab", "xy", values, notes), Matrix("two", ["c"], ["z"], np.eye(1))])
    first, second = figure.axes
    assert [text.get_text() for text in first.texts if text.get_text()] == [
        "0.91", "[0.9, 0.92]", "0.00", "–", "0.50", "low",
    ]  # fmt: skip
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "b"]
    assert second.get_title() == "two"
    for name in ("one.png", "two.png"):
        save_figure(tmp_path / name, figure)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
