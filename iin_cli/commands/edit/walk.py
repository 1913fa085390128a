"""Walk through the interpretable representation: lines (Fig 4), attributes (Eq 14), grids (Fig 7), chance (Eq 17)."""

from __future__ import annotations

from pathlib import Path

from ...distributed import choose_device
from ...editing import walk as walks
from ...editing.walk import WalkResult
from ...editing.walk_drawing import FILES, film_format
from ...editing.walk_paths import WalkMode
from ...interpretation.data_choice import DataChoice
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData
from ...io.output import Figures, Output
from ...progress import Reporter, Silent

__all__ = ["walk"]


def walk(
    translator: Path,
    mode: WalkMode,
    out: Path | None = None,
    *,
    animate: str | None = None,
    choice: DataChoice | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> WalkResult:
    """Walk from images, and write what the network shows or predicts along the way.

    Args:
        mode: how to walk, in which factors, from which images; images not given are drawn as `choice` says.
        out: a new folder, which gets figure and film, or the file of one: `.png`, `.gif`, `.webp`, `.mp4`; for a
            classifier `.png`, `.json`, `.csv`.
        animate: format of the film in a folder: gif (the default), webp or mp4.
        backbone: where the translator's backbone lies now, if it was moved.

    Raises UsageError, DataError and CheckpointError as their docstrings say.
    """
    report, choice = report or Silent(), choice or DataChoice()
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    network = opened.require_network().require_head()
    # What cannot be walked or shown is refused before any image is read.
    mode.moving(opened)
    film = film_format(network, mode, out, animate)
    with Output.open(out, mode.label, *FILES[network.answer.kind], figures=figures) as output:
        result = walks.walk(ChosenData(opened, choice, report), mode, film is not None)
        return walks.write(result, output, film, report)
