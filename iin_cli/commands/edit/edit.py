"""Follow a recipe from one image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...distributed import choose_device
from ...editing.recipe import Recipe
from ...errors import UsageError
from ...interpretation.data_choice import DataChoice
from ...interpretation.opening import open_translator
from ...io.output import Figures, Output
from ...measures.edited import results
from ...measures.edited.follow import follow
from ...measures.edited.results import EditResult
from ...measures.edited.surroundings import SEARCHED
from ...progress import Reporter, Silent

__all__ = ["edit"]


def edit(
    translator: Path,
    image: str,
    recipe: Recipe,
    out: Path | None = None,
    *,
    choice: DataChoice | None = None,
    search: int = SEARCHED,
    backbone: Path | None = None,
    device: str = "auto",
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> EditResult:
    """Change factors of one image, and write what the network then draws, or what it says and which images are near.

    Args:
        image: a file, an item of the data (`test:12`), or `sample:SEED`; so are the recipe's sources.
        search: how many training images are compared with, drawn by the seed of `choice`.
        figures: how the picture is written, where the network draws one.

    Raises UsageError (factor, attribute, taken `out`, `figures` where none is drawn), DataError (images),
    CheckpointError (damaged files).
    """
    report = report or Silent()
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    recipe.require(opened.factors)
    kind = "nothing" if opened.network is None else opened.network.answer.kind
    if figures not in (None, Figures()) and kind != "images":
        holds = results.FILES[kind][1]
        raise UsageError(f"--format and --dpi are of pictures, and the result is {holds}: leave them out")
    with Output.open(out, "edit", *results.FILES[kind], figures=figures) as output:
        found = follow(opened, image, recipe, choice or DataChoice(), report, search)
        return results.write(replace(found, translator=str(translator)), output)
