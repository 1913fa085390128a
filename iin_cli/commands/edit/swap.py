"""Give images a factor of other images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...distributed import choose_device
from ...editing import swap as swaps
from ...editing.swap import SwapResult
from ...interpretation.data_choice import DataChoice
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData
from ...io.output import Figures, Output
from ...progress import Reporter, Silent

__all__ = ["swap"]

# Targets and sources that are drawn, as many as the data has at most.
USUAL = 8


def swap(
    translator: Path,
    factors: Sequence[str],
    target: Sequence[Path] = (),
    source: Sequence[Path] = (),
    out: Path | None = None,
    *,
    choice: DataChoice | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> SwapResult:
    """Give every target the `factors` of a source, and write what the network then draws or predicts.

    Args:
        target, source: image files or folders; what is not given is drawn as `choice` says, by default 8 of each
            or what there is.
        out: a new folder, or a new `.png` (the only edit or the grid), for a classifier `.json` or `.csv`.
        backbone: where the translator's backbone lies now, if it was moved.
        figures: how the grid is written.

    Raises UsageError (no or unknown factor, taken `out`), DataError (images), CheckpointError (damaged files).
    """
    report, choice = report or Silent(), choice or DataChoice()
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    opened.require_factors(list(factors))
    files = swaps.FILES[opened.require_network().require_head().answer.kind]
    with Output.open(out, f"swap-{'-'.join(factors)}", *files, figures=figures) as output:
        data = ChosenData(opened, choice, report)
        targets, sources = data.targets_and_sources(target, source, choice.n, USUAL)
        result = replace(swaps.swap(opened, targets, sources, factors, report), seed=choice.seed)
        return swaps.write(result, output)
