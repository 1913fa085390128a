"""Distributions along the walks of a factor beside those of its control, one pair of violins per column (Fig 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .canvas import PAGE_INCHES, new_figure
from .palette import CONTROL, MAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

__all__ = ["Violins", "plot_violins"]

START = "black"
# A density of more points looks no different and takes longer.
MOST_POINTS = 2000
WIDTH = 0.38


@dataclass(frozen=True)
class Violins:
    """One panel: values along a factor's walks (P, K), its control's (Q, K), optionally at the starts (M, K)."""

    title: str
    factor: np.ndarray
    control: np.ndarray
    start: np.ndarray | None = None


def plot_violins(
    rows: Sequence[Sequence[Violins]], columns: Sequence[str], headings: Sequence[str], title: str | None = None
) -> Figure:
    """Draw one row of panels per factor; panels above each other share their axis.

    Args:
        rows: the panels of each factor, as many as there are headings.
        columns: names of the K columns.
        headings: what the values of each column of panels are.
        title: heading of the whole figure.
    """
    # Wide enough for the title, which begins on the left and may run across the panels.
    wide = max(PAGE_INCHES / len(headings), 0.36 * len(columns) + 0.8)
    figure = new_figure(wide * len(headings), 2.0 * len(rows) + 1.0)
    axes = figure.subplots(len(rows), len(headings), squeeze=False, sharex=True, sharey="col")
    for row, panels in zip(rows, axes, strict=True):
        for place, (violins, panel) in enumerate(zip(row, panels, strict=True)):
            _panel(panel, violins)
            panel.set_ylabel(headings[place])
            if place == 0:
                panel.set_title(violins.title, fontsize="small", loc="left")
    for panel in axes[-1]:
        slanted = max(map(len, columns)) > 5
        panel.set_xticks(range(len(columns)), columns, **({"rotation": 40, "ha": "right"} if slanted else {}))
        panel.set_xlim(-0.6, len(columns) - 0.4)
    figure.legend(handles=_legend(rows), loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    if title:
        figure.suptitle(title)
    return figure


def _panel(panel: Axes, violins: Violins) -> None:
    places = np.arange(violins.factor.shape[1])
    if violins.start is not None:
        _bodies(panel, violins.start, places, WIDTH * 2.2, "none", START)
    _bodies(panel, violins.control, places + WIDTH / 2, WIDTH, CONTROL, CONTROL)
    _bodies(panel, violins.factor, places - WIDTH / 2, WIDTH, MAIN, MAIN)
    panel.grid(axis="y", color="0.92")
    panel.set_axisbelow(True)


def _bodies(panel: Axes, values: np.ndarray, places: np.ndarray, width: float, face: str, edge: str) -> None:
    few = values[:: -(-len(values) // MOST_POINTS)].astype(np.float64)
    drawn = panel.violinplot(list(few.T), places, widths=width, showextrema=False, showmedians=face != "none")
    # Matplotlib's stubs give the list of bodies the type of the other entries.
    for body in drawn["bodies"]:  # pyright: ignore[reportGeneralTypeIssues]
        body.set(facecolor=face, edgecolor=edge, linewidth=0.7, alpha=1.0 if face == "none" else 0.75)
    if "cmedians" in drawn:
        drawn["cmedians"].set(color="black", linewidth=1.2)


def _legend(rows: Sequence[Sequence[Violins]]) -> list[Patch]:
    from matplotlib.patches import Patch

    handles = [Patch(color=MAIN, label="factor"), Patch(color=CONTROL, label="random subspace of its size")]
    if any(violins.start is not None for row in rows for violins in row):
        handles.append(Patch(facecolor="none", edgecolor=START, label="starts"))
    return handles
