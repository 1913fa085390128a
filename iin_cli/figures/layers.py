"""The score of every concept along the layers of a network, with intervals and null ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from .canvas import new_figure
from .palette import category

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Curve", "SizeCurves", "plot_layers"]

INCHES_PER_LAYER, NARROWEST, WIDEST = 0.18, 7.0, 14.0


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


@dataclass(frozen=True)
class SizeCurves:
    """Sizes of a concept's factor along the layers as fractions of their widths, each (layers,); NaN where unknown.

    `spectrum` by the pair spectrum, `code` and `paper` by Eq 11 from variances and from correlations.
    """

    spectrum: np.ndarray
    code: np.ndarray
    paper: np.ndarray


# Of the null, which belongs to no way.
NULL_STYLE = "-."
# Line styles of the three ways to a size, which the legend names once for all concepts.
SIZE_STYLES = {"spectrum": "-", "code": "--", "paper": ":"}
SIZE_NAMES = {"spectrum": "pair spectrum", "code": "Eq 11, variances", "paper": "Eq 11, correlations"}


def plot_layers(
    layers: Sequence[str],
    curves: Mapping[str, Curve],
    title: str | None = None,
    *,
    random: Mapping[str, Curve] | None = None,
    sizes: Mapping[str, SizeCurves] | None = None,
) -> Figure:
    """Draw one line per concept over `layers` in their order.

    Its band is the interval of the score and the thin broken lines are the range of the null; a hollow mark is a layer
    where the score cannot be told from the null. Dotted with crosses: the same concept in the same architecture with
    `random` weights. `sizes` go into a panel below.
    """
    width = min(WIDEST, max(NARROWEST, INCHES_PER_LAYER * len(layers) + 0.8))
    figure = new_figure(width, 7.2 if sizes else 4.6)
    panels = figure.subplots(2 if sizes else 1, 1, sharex=True, squeeze=False)[:, 0]
    places = np.arange(len(layers))
    for number, (name, curve) in enumerate(curves.items()):
        color = category(number)
        _draw_curve(panels[0], places, curve, color, name)
        if random and name in random:
            _draw_random(panels[0], places, random[name], color, name)
        if sizes and name in sizes:
            _draw_sizes(panels[1], places, sizes[name], color, named=number == 0)
    # Show only as many names as can be read at this width.
    step = -(-len(layers) // int(width / 0.18))
    panels[-1].set_xticks(places[::step], list(layers)[::step], rotation=90, fontsize="small")
    panels[0].set_xlim(-0.6, len(layers) - 0.4)
    panels[0].set_ylabel("score (share of the layer's variance)")
    for panel in panels:
        panel.grid(axis="y", color="0.9")
        panel.set_axisbelow(True)
    if sizes:
        panels[1].set_ylabel("size (share of the layer's width)")
    # Named once for all concepts.
    panels[0].plot([], [], color="0.3", linestyle=NULL_STYLE, linewidth=0.8, label="range by chance")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    if title:
        # There is room for about twelve letters an inch.
        panels[0].set_title(fill(title, int(12 * (width - 0.8))), fontsize="medium", loc="left")
    return figure


def _draw_curve(panel: Axes, places: np.ndarray, curve: Curve, color: str, name: str) -> None:
    panel.fill_between(places, curve.low, curve.high, color=color, alpha=0.25, linewidth=0)
    for edge in (curve.null_low, curve.null_high):
        panel.plot(places, edge, color=color, linestyle=NULL_STYLE, linewidth=0.8)
    panel.plot(places, curve.score, color=color, linewidth=1.2, label=name)
    filled = [color if there else "white" for there in curve.found]
    panel.scatter(places, curve.score, c=filled, edgecolors=color, s=22, zorder=3)


def _draw_random(panel: Axes, places: np.ndarray, curve: Curve, color: str, name: str) -> None:
    panel.fill_between(places, curve.low, curve.high, color=color, alpha=0.12, linewidth=0)
    panel.plot(places, curve.score, color=color, linestyle=":", marker="x", ms=4, lw=1, label=f"{name}, random weights")


def _draw_sizes(panel: Axes, places: np.ndarray, sizes: SizeCurves, color: str, named: bool) -> None:
    for way, style in SIZE_STYLES.items():
        panel.plot(places, getattr(sizes, way), color=color, linestyle=style, linewidth=1.2)
        if named:
            # The colour tells the concept, the style the way.
            panel.plot([], [], color="0.3", linestyle=style, label=SIZE_NAMES[way])
