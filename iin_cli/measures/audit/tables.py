"""An audit's figures as tables and as heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...figures.heatmaps import Matrix, plot_matrices
from ...results import Table
from ...translator.factors import RESIDUAL
from .findings import Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot

__all__ = ["audit_tables", "draw_matrices"]

Rows = list[dict[str, Any]]
Figures = Mapping[str, Figure]
NORMALITY = ("gaussianity", "mean_error", "covariance_error")
# Matrices of concepts and factors -> their titles.
KINDS = {
    "correlation": "correlation in pairs of the concept\n(σ or 0, what T was fitted to)",
    "swap": "factor swapped: its concept is the source's,\nothers stay the target's (÷ without a swap)",
    "information": "information of the factor\non the concept",
}


def audit_tables(
    factors: Sequence[str], figures: Figures, skipped: Mapping[str, str], failed: Sequence[str]
) -> list[Table]:
    """Return (title, rows): the matrices of concepts and factors, figures of each factor, all others, what is missing.

    A cell reads `value [low, high]`, its 95 % interval.
    """
    concepts = [name for name in factors if name != RESIDUAL]
    tables: list[Table] = []
    for title, kind in (
        ("correlation of pairs (expected)", "correlation"),
        ("after a swap of the factor: transfer, preservation", "swap"),
        ("information of the factor on the concept", "information"),
    ):
        rows = [
            {"concept": concept} | {factor: _cell(figures.get(_name(kind, concept, factor))) for factor in factors}
            for concept in concepts
            if any(_name(kind, concept, factor) in figures for factor in factors)
        ]
        tables += [(title, rows)] if rows else []
    tables.append(("distance from N(0, I) (of true samples)", _normality(factors, figures)))
    shown = {_name(kind, concept, factor) for kind in KINDS for concept in concepts for factor in factors}
    rest = {
        name: figure
        for name, figure in figures.items()
        if name not in shown and name.partition(".")[0] not in NORMALITY
    }
    tables.append(("figures", [_row(name, figure) for name, figure in rest.items()]))
    if skipped:
        tables.append(("not measured", [{"figure": name, "why": why} for name, why in skipped.items()]))
    if failed:
        tables.append(("failed", [{"condition": line} for line in failed]))
    return [(title, rows) for title, rows in tables if rows]


def draw_matrices(factors: Sequence[str], figures: Figures, kinds: Sequence[str] = tuple(KINDS)) -> Plot | None:
    """Draw those of the matrices `kinds` that there are as heat maps, side by side; None where there is none."""
    concepts = [name for name in factors if name != RESIDUAL]
    matrices = []
    for kind in kinds:
        names = [[_name(kind, concept, factor) for factor in factors] for concept in concepts]
        found = [[figures.get(name) for name in row] for row in names]
        if not any(figure is not None for row in found for figure in row):
            continue
        values = [[np.nan if figure is None else figure.interval.value for figure in row] for row in found]
        notes = [["" if figure is None else _note(figure) for figure in row] for row in found]
        matrices.append(Matrix(KINDS[kind], concepts, factors, np.array(values), notes, "concept", "factor"))
    return plot_matrices(matrices) if matrices else None


def _name(kind: str, concept: str, factor: str) -> str:
    """Return the flat name of a matrix's cell."""
    if kind == "correlation":
        return f"correlation.{concept}.{factor}"
    if kind == "swap":
        return f"transfer.{concept}" if factor == concept else f"preservation.{concept}.{factor}"
    if factor == concept:
        return f"information.{concept}"
    return f"leakage.{concept}" if factor == RESIDUAL else f"leakage.{concept}.{factor}"


def _cell(figure: Figure | None) -> str | None:
    if figure is None:
        return None
    expected = "" if figure.expected is None else f" ({figure.expected:g})"
    return f"{figure.interval}{expected}"


def _note(figure: Figure) -> str:
    interval = f"[{figure.interval.low:z.2f}, {figure.interval.high:z.2f}]"
    return interval if figure.expected is None else f"{interval}\n({figure.expected:g})"


def _normality(factors: Sequence[str], figures: Figures) -> Rows:
    rows = []
    for factor in factors:
        found = {name: figures.get(f"{name}.{factor}") for name in NORMALITY}
        if any(figure is not None for figure in found.values()):
            rows.append({"factor": factor} | {name: _beside_null(figure) for name, figure in found.items()})
    return rows


def _beside_null(figure: Figure | None) -> str | None:
    if figure is None:
        return None
    return f"{figure.interval}" + (f" ({figure.null.value:.3f})" if figure.null is not None else "")


def _row(name: str, figure: Figure) -> dict[str, Any]:
    interval = figure.interval
    null = figure.null.value if figure.null is not None else None
    return {
        "figure": name,
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "null": null,
        "items": interval.items,
    }
