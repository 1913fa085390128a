"""The score of every concept along the layers of a network, with intervals and null ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .canvas import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Curve", "plot_layers"]

INCHES_PER_LAYER, NARROWEST, WIDEST = 0.24, 6.0, 24.0


@dataclass(frozen=True)
class Curve:
    """A concept along the layers, every array (layers,): score, its interval, the null's range; NaN where unknown.

    `found` says where the score can be told from the null.
    """

    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    null_low: np.ndarray
    null_high: np.ndarray
    found: np.ndarray


def plot_layers(layers: Sequence[str], curves: Mapping[str, Curve], title: str | None = None) -> Figure:
    """Draw one line per concept over `layers` in their order.

    Its band is the interval of the score and the dashed lines are the range of the null; a hollow mark is a layer where
    the score cannot be told from the null.
    """
    width = min(WIDEST, max(NARROWEST, INCHES_PER_LAYER * len(layers) + 2.4))
    figure = new_figure(width, 4.8)
    panel = figure.subplots()
    places = np.arange(len(layers))
    for number, (name, curve) in enumerate(curves.items()):
        color = f"C{number % 10}"
        panel.fill_between(places, curve.low, curve.high, color=color, alpha=0.25, linewidth=0)
        for edge in (curve.null_low, curve.null_high):
            panel.plot(places, edge, color=color, linestyle="--", linewidth=0.8)
        panel.plot(places, curve.score, color=color, linewidth=1.2, label=name)
        filled = [color if there else "white" for there in curve.found]
        panel.scatter(places, curve.score, c=filled, edgecolors=color, s=22, zorder=3)
    # Show only as many names as can be read at this width.
    step = -(-len(layers) // int(width / 0.2))
    panel.set_xticks(places[::step], list(layers)[::step], rotation=90, fontsize="small")
    panel.set_xlim(-0.6, len(layers) - 0.4)
    panel.set_ylabel("score (share of the layer's variance)")
    panel.grid(axis="y", color="0.9")
    panel.set_axisbelow(True)
    figure.legend(loc="outside right upper", frameon=False)
    if title:
        panel.set_title(title, fontsize="medium")
    return figure
