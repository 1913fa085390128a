"""Scores of concepts with their intervals, beside the range that a concept scores which is not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .layers import Curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_scores"]


def plot_scores(names: Sequence[str], scores: Curve) -> Figure:
    """Draw one row per concept: its score with its interval, and its null's range in grey.

    A hollow mark is a concept that cannot be told from an absent one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 1.2 + 0.4 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    panel, places = figure.subplots(), np.arange(len(names))
    panel.barh(places, scores.null_high - scores.null_low, left=scores.null_low, color="0.85", height=0.5)
    ends = np.stack((scores.score - scores.low, scores.high - scores.score)).clip(0)
    panel.errorbar(scores.score, places, xerr=ends, fmt="none", color="C0", capsize=3)
    panel.scatter(scores.score, places, c=["C0" if found else "white" for found in scores.found], edgecolors="C0")
    panel.set_yticks(places, list(names))
    panel.invert_yaxis()
    panel.set_xlabel("score (share of the latent's variance)")
    return figure
