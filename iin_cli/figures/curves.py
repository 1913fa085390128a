"""What trainings report as they go: one panel per figure, one colour per run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .canvas import new_figure
from .palette import category

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Line", "panels_of", "plot_curves"]

MOST_COLUMNS = 3
PANEL_INCHES = (2.6, 1.9)
# Points below this number are marked, so that a single one can be seen.
FEW = 30
TRAINED, HELD_OUT = "train_", "heldout_"
# Beyond so many names a row of the legend is full.
LEGEND_LETTERS = 22


@dataclass(frozen=True)
class Line:
    """A figure of one run: `values` (M,) reported `at` so many steps or seconds (M,)."""

    run: str
    figure: str
    at: Sequence[float]
    values: Sequence[float]

    @property
    def trained_on(self) -> bool:
        """Whether it was measured on what was trained on, beside the same of held-out data."""
        return self.figure.startswith(TRAINED)


def panels_of(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Group lines by what they measure: a figure of training data and the same of held-out data belong together.

    >>> lines = [Line("a", name, [0], [1.0]) for name in ("train_nll", "heldout_nll", "kl")]
    >>> {name: len(together) for name, together in panels_of(lines).items()}
    {'nll': 2, 'kl': 1}
    """
    panels: dict[str, list[Line]] = {}
    for line in lines:
        panels.setdefault(line.figure.removeprefix(TRAINED).removeprefix(HELD_OUT), []).append(line)
    return panels


def plot_curves(lines: Sequence[Line], by: str = "step") -> Figure:
    """Draw lines by what they measure; a dashed line was measured on training data, a full one beside it held out.

    Args:
        by: what `Line.at` counts.
    """
    panels = panels_of(lines)
    columns = min(MOST_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    runs = {name: category(number) for number, name in enumerate(dict.fromkeys(line.run for line in lines))}
    figure = new_figure(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows + 0.4)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).flatten()
    for panel, (name, together) in zip(axes, panels.items(), strict=False):
        for line in together:
            style = {"linestyle": "--", "linewidth": 0.9} if line.trained_on else {"linewidth": 1.4}
            marker = "." if len(line.at) < FEW else None
            panel.plot(
                np.array(line.at, float), np.array(line.values, float), color=runs[line.run], marker=marker, **style
            )
        panel.set_title(name.replace("_", " "), fontsize="small", loc="left")
        panel.grid(axis="y", color="0.9")
        panel.set_axisbelow(True)
        panel.ticklabel_format(axis="y", scilimits=(-3, 5))
        panel.tick_params(labelsize="small")
    for place, panel in enumerate(axes):
        if place >= len(panels):
            panel.set_axis_off()
        elif place + columns >= len(panels):
            # The lowest of its column, though not always in the last row.
            panel.tick_params(axis="x", labelbottom=True)
            panel.set_xlabel(by, fontsize="small")
    _explain(figure, runs, any(line.trained_on for line in lines), columns)
    return figure


def _explain(figure: Figure, runs: Mapping[str, str], has_trained: bool, columns: int) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=color, label=name) for name, color in runs.items()] if len(runs) > 1 else []
    if has_trained:
        handles += [
            Line2D([], [], color="0.3", linestyle="--", linewidth=0.9, label="training data"),
            Line2D([], [], color="0.3", label="held-out data"),
        ]
    if handles:
        longest = max(len(str(handle.get_label())) for handle in handles)
        beside = max(1, int(LEGEND_LETTERS * columns * 2 / (longest + 6)))
        figure.legend(handles=handles, loc="outside lower center", ncols=beside, frameon=False, fontsize="small")
