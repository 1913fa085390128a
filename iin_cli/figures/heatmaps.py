"""Matrices as heat maps side by side, every cell with its number; drawn without a display or any global state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from .canvas import PAGE_INCHES, new_figure
from .palette import SHADES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Matrix", "plot_matrices"]

CELL_INCHES = 0.8
# Room for the names beside a matrix.
BESIDE_INCHES = 1.2
WIDEST_INCHES = 1.15 * PAGE_INCHES
# Longer names of columns are slanted.
SHORT_NAME = 8
# Above this value the cell is dark, so its number is white.
DARK = 0.6


@dataclass(frozen=True)
class Matrix:
    """A matrix (R, C) to draw, NaN where there is no value; `notes` (R, C) are printed small below the numbers."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: np.ndarray
    notes: Sequence[Sequence[str]] = ()
    row_label: str = ""
    column_label: str = ""


def plot_matrices(matrices: Sequence[Matrix]) -> Figure:
    """Draw matrices of values in [0, 1], white for 0 and dark blue for 1; other values are clipped.

    As many stand side by side as a page has room for.
    """
    widest = max(len(matrix.columns) for matrix in matrices)
    tallest = max(len(matrix.rows) for matrix in matrices)
    inches = CELL_INCHES * widest + BESIDE_INCHES
    columns = min(len(matrices), max(1, int(WIDEST_INCHES / inches)))
    rows = -(-len(matrices) // columns)
    figure = new_figure(inches * columns, (0.7 * tallest + 1.6) * rows)
    for place, matrix in enumerate(matrices):
        _panel(figure.add_subplot(rows, columns, place + 1), matrix)
    return figure


def _panel(panel: Axes, matrix: Matrix) -> None:
    values = np.asarray(matrix.values, float)
    panel.imshow(np.ma.masked_invalid(values), cmap=SHADES, vmin=0, vmax=1, aspect="auto")
    panel.set_facecolor("0.92")
    slanted = {"rotation": 20, "ha": "right", "rotation_mode": "anchor"}
    has_long = max(map(len, matrix.columns)) > SHORT_NAME
    panel.set_xticks(range(len(matrix.columns)), matrix.columns, **(slanted if has_long else {}))
    panel.set_yticks(range(len(matrix.rows)), matrix.rows)
    panel.tick_params(length=0)
    panel.set_title(matrix.title, fontsize="small")
    panel.set_xlabel(matrix.column_label)
    panel.set_ylabel(matrix.row_label)
    for row, column in product(*map(range, values.shape)):
        value = values[row, column]
        note = matrix.notes[row][column] if matrix.notes else ""
        text = f"{value:z.2f}" if np.isfinite(value) else "–"
        color = "white" if np.isfinite(value) and value > DARK else "black"
        panel.text(column, row, text, ha="center", va="bottom" if note else "center", color=color)
        panel.text(column, row + 0.08, note, ha="center", va="top", color=color, fontsize="x-small")
