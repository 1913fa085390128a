"""Follow a recipe from one image: with files and items of data, as `iin edit`, or with images in memory."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...editing.recipe import Recipe
from ...errors import UsageError
from ...interpretation.data_choice import DataChoice
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.reading import ChosenData, Reading
from ...progress import Reporter
from .editor import Editor, Start
from .items import start_of
from .results import EditResult
from .surroundings import SEARCHED, Surroundings

__all__ = ["follow", "follow_in_memory"]


def follow(
    opened: OpenTranslator, image: str, recipe: Recipe, choice: DataChoice, report: Reporter, search: int = SEARCHED
) -> EditResult:
    """Follow `recipe` from the image of that name, a file or an item of the data that `choice` means."""
    data = None if opened.network is None else ChosenData(opened, choice, report)
    names = [image, *recipe.sources]
    start = start_of(opened, data, names)
    sources = dict(zip(names[1:], start.z_tilde[1:], strict=True))
    editor = Editor(opened, Surroundings(opened, data, report, search))
    return editor.edit(start.rows(slice(0, 1)), recipe, sources)[0]


def follow_in_memory(
    reading: Reading, recipe: Recipe, sources: Mapping[str, Tensor], among: Reading | None, report: Reporter
) -> EditResult:
    """Follow `recipe` from the one image of `reading`.

    Args:
        sources: name -> z̃ (1, N) of images that the recipe calls so; other names are files, or items of the data.
        among: real images to compare with; None takes the translator's own data.

    Raises UsageError where there is more than one image.
    """
    opened = reading.opened
    known = {name: z_tilde[0] for name, z_tilde in sources.items()}
    if len(reading) != 1 or any(len(z_tilde) != 1 for z_tilde in sources.values()):
        raise UsageError("a recipe is of one image, and so is each source: give x[:1]")
    data = ChosenData(opened, DataChoice(), report)
    if others := [name for name in recipe.sources if name not in known]:
        known |= dict(zip(others, start_of(opened, data, others).z_tilde, strict=True))
    start = Start((reading.dataset.path(int(reading.items[0])),), reading.z, reading.z_tilde)
    return Editor(opened, Surroundings(opened, data, report, reading=among)).edit(start, recipe, known)[0]
