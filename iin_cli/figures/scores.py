"""What concepts explain of z: the spectrum of each, and its score, both beside what chance would show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..translator.spectrum import ConceptSpectrum
from .canvas import new_figure
from .layers import Curve
from .palette import MAIN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_dims"]

# The colour of the range that chance gives.
CHANCE = "0.85"
# Directions drawn beyond a concept's own: where it ends is the point.
BEYOND = 8


def plot_dims(spectra: Sequence[ConceptSpectrum], scores: Curve) -> Figure:
    """Draw one row per concept: its spectrum, its own directions filled, and its score with its interval.

    Black marks are held-out rows along each dimension of the concept's factor, with their bootstrap bands. The grey
    range is what a concept would show that is not there; a hollow mark cannot be told from that.
    """
    figure = new_figure(7.0, 1.2 + 1.7 * len(spectra))
    panels = figure.subplots(len(spectra), 2, squeeze=False, sharex="col", width_ratios=(3, 2))
    for row, (spectrum, (left, right)) in enumerate(zip(spectra, panels, strict=True)):
        _draw_spectrum(left, spectrum)
        _draw_score(right, scores, row)
    panels[-1][0].set_xlabel("direction of the latent, the strongest first")
    # A direction has a whole number.
    panels[-1][0].locator_params(axis="x", integer=True)
    panels[-1][1].set_xlabel("score (share of the latent's variance)")
    figure.legend(handles=_legend(spectra), loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    return figure


def _legend(spectra: Sequence[ConceptSpectrum]) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(facecolor=MAIN, edgecolor=MAIN, label="the factor's"),
        Patch(facecolor="white", edgecolor=MAIN, label="others"),
        Patch(color=CHANCE, label="by chance"),
    ]
    if any(spectrum.bands and spectrum.held_out for spectrum in spectra):
        handles.append(Line2D([], [], color="black", marker=".", linestyle="-", linewidth=1, label="held-out images"))
    return handles


def _draw_spectrum(panel: Any, spectrum: ConceptSpectrum) -> None:
    values = np.array(spectrum.values[: spectrum.size + BEYOND])
    own = np.arange(len(values)) < (spectrum.size if spectrum.found else 0)
    panel.axhspan(0, spectrum.edge, color=CHANCE, linewidth=0)
    panel.bar(np.arange(1, len(values) + 1), values, color=np.where(own, MAIN, "white"), edgecolor=MAIN)
    if spectrum.bands and spectrum.held_out:
        shown, (low, high) = np.array(spectrum.held_out), np.array(spectrum.bands).T
        reach = np.clip([shown - low, high - shown], 0, None)
        panel.errorbar(np.arange(1, len(shown) + 1), shown, yerr=reach, fmt=".k", markersize=4, linewidth=1)
    panel.set_ylim(min(0.0, float(values.min())), max(1.0, 1.05 * float(values.max())))
    found = f"{spectrum.size} dimension{'s' * (spectrum.size != 1)}" if spectrum.found else "absent"
    panel.set_title(f"{spectrum.name}: {found}", loc="left", fontsize="medium")
    panel.set_ylabel("explained")


def _draw_score(panel: Any, scores: Curve, row: int) -> None:
    value, low, high = scores.score[row], scores.low[row], scores.high[row]
    panel.barh(0, scores.null_high[row] - scores.null_low[row], left=scores.null_low[row], color=CHANCE, height=0.5)
    panel.errorbar(value, 0, xerr=[[max(value - low, 0)], [max(high - value, 0)]], fmt="none", color=MAIN, capsize=3)
    panel.scatter(value, 0, c=MAIN if scores.found[row] else "white", edgecolors=MAIN)
    panel.set_yticks([])
    panel.set_ylim(-1, 1)
