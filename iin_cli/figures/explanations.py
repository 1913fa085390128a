"""An explanation as a page: for each edit its source, the nearest real images, and its effect on the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from .canvas import new_figure
from .palette import GAIN, LOSS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

__all__ = ["Look", "Neighbour", "plot_explanation"]

CELL_INCHES = 0.95
BARS_INCHES = 2.4
LONGEST_NAME = 18
# Points between a caption and what it is of: letters reach below their line.
PAD = 4


@dataclass(frozen=True)
class Neighbour:
    """A real image uint8 (S, S, 3) and its label."""

    pixels: np.ndarray
    label: str = ""


@dataclass(frozen=True)
class Look:
    """One row of the page.

    Attributes:
        factor: what was changed; rows of one factor stand together and share their bars.
        source: the image it was taken from, uint8 (S, S, 3), or None.
        drawn: the decoded edit, uint8 (1, S, S, 3), or None.
        nearest: the real images nearest to the edit, the nearest first.
        delta: class -> {value, low, high}, the change of its probability over all edits of the factor.
        says: what the network says of the image or edit, its class and probability.
        source_says: the class that it gives the source, else what the data or its file call it.
    """

    factor: str
    source: np.ndarray | None
    drawn: np.ndarray | None
    nearest: Sequence[Neighbour]
    delta: Mapping[str, Mapping[str, float]] | None = None
    says: str | None = None
    source_says: str | None = None


def plot_explanation(looks: Sequence[Look], title: str, probabilities: Mapping[str, float] | None = None) -> Figure:
    """Draw the rows `looks`, the unchanged image first, and beside that row the class `probabilities`, if any."""
    has_drawn = any(look.drawn is not None for look in looks)
    columns = 1 + has_drawn + max(len(look.nearest) for look in looks)
    bars = probabilities is not None
    width = CELL_INCHES * columns + (BARS_INCHES if bars else 0) + 1.0
    figure = new_figure(width, (CELL_INCHES + 0.28) * len(looks) + 0.8)
    figure.suptitle(title)
    widths = [1.0] * columns + ([BARS_INCHES / CELL_INCHES] if bars else [])
    grid = figure.add_gridspec(len(looks), len(widths), width_ratios=widths)
    for row, look in enumerate(looks):
        _draw_row(figure, grid, row, look, has_drawn)
    if probabilities is not None:
        _draw_bars(figure, grid, looks, probabilities)
    return figure


def _draw_row(figure: Figure, grid: GridSpec, row: int, look: Look, has_drawn: bool) -> None:
    first = figure.add_subplot(grid[row, 0])
    shown = look.source if look.source is not None else np.full((1, 1, 3), 255, np.uint8)
    _image(first, shown, "the image" if row == 0 else _source(look))
    # The answer belongs to the row, not to the source that is shown beside it.
    says = "" if look.says is None else f"\n→ {_short(look.says)}"
    first.set_ylabel(f"{_short(look.factor)}{says}", fontsize="small")
    if has_drawn and look.drawn is not None:
        _image(figure.add_subplot(grid[row, 1]), look.drawn[0], "decoded" if row == 0 else "decoded edit")
    for place, neighbour in enumerate(look.nearest):
        panel = figure.add_subplot(grid[row, 1 + has_drawn + place])
        _image(panel, neighbour.pixels, _short(f"nearest: {neighbour.label}" if place == 0 else neighbour.label))


def _source(look: Look) -> str:
    """Say what the picture beside an edit is: the image that the factor was taken from, never the edit."""
    if look.source is None:
        return ""
    return "source" if look.source_says is None else _short(f"source: {look.source_says}")


def _image(panel: Axes, pixels: np.ndarray, caption: str) -> None:
    panel.imshow(pixels, interpolation="nearest" if len(pixels) < 100 else "antialiased")
    panel.set(xticks=[], yticks=[])
    panel.set_title(caption, fontsize="small", pad=PAD)
    if len(pixels) == 1:
        panel.spines[:].set_visible(False)


def _draw_bars(figure: Figure, grid: GridSpec, looks: Sequence[Look], probabilities: Mapping[str, float]) -> None:
    """Draw the probabilities beside the first row, and their changes by a factor's edits beside its rows."""
    names = list(probabilities)
    first = figure.add_subplot(grid[0, -1])
    first.barh(range(len(names)), list(probabilities.values()), color="0.5")
    first.set_xlim(0, 1)
    _name_bars(first, names, "probability")
    row, widest = 1, _widest(looks)
    for factor, group in groupby(looks[1:], key=lambda look: look.factor):
        own = list(group)
        panel = figure.add_subplot(grid[row : row + len(own), -1])
        row += len(own)
        found = own[0].delta or {}
        values = np.array([[found[name][part] for part in ("value", "low", "high")] for name in names])
        colors = [GAIN if value >= 0 else LOSS for value in values[:, 0]]
        # Rounding may put the mean slightly beyond an end of its interval.
        reach = np.stack((values[:, 0] - values[:, 1], values[:, 2] - values[:, 0])).clip(min=0)
        panel.barh(range(len(names)), values[:, 0], color=colors, xerr=reach, ecolor="0.2", capsize=2)
        panel.set_xlim(-widest, widest)
        panel.axvline(0, color="0.3", linewidth=0.8)
        _name_bars(panel, names, f"change by {_short(factor)}, all edits")


def _widest(looks: Sequence[Look]) -> float:
    """Return one scale for all factors, so that small changes look small."""
    ends = [abs(part[end]) for look in looks for part in (look.delta or {}).values() for end in ("low", "high")]
    return max(0.05, 1.05 * max(ends, default=0.0))


def _name_bars(panel: Axes, names: Sequence[str], title: str) -> None:
    panel.set_yticks(range(len(names)), [_short(name) for name in names], fontsize="small")
    panel.invert_yaxis()
    panel.set_title(title, fontsize="small", pad=PAD)
    panel.tick_params(axis="x", labelsize="small")
    panel.locator_params(axis="x", nbins=5)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"
