"""Pictures of a card: swaps of test images, where the network draws."""

from __future__ import annotations

from pathlib import Path

from ..editing import swap as swaps
from ..errors import attempt
from ..figures.saving import save_page
from ..interpretation.answers import Images
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.reading import ChosenData
from ..translator.factors import RESIDUAL
from .card import CardPicture, typed

__all__ = ["draw_swaps"]

# Images a side of a grid, and factors shown at most.
SIDE, MOST_SHOWN = 6, 6


def draw_swaps(data: ChosenData, address: str, folder: Path) -> list[CardPicture]:
    """Draw a grid for every concept into `folder`; warn where one cannot be drawn, as without the data."""
    made: list[CardPicture] = []

    def draw() -> None:
        if isinstance(data.network.require_head().answer, Images):
            made.extend(_grids(data.opened, data, address, folder))

    if (why := attempt(draw)) is not None:
        data.report.warn(f"the card has no swapped images: {why}; --no-pictures leaves them out")
    return made


def _grids(opened: OpenTranslator, data: ChosenData, address: str, folder: Path) -> list[CardPicture]:
    made, count = [], data.at_most(SIDE, 2)
    targets, sources = (side.encoded(data.network) for side in data.targets_and_sources((), (), count))
    for number, name in enumerate([each for each in opened.factors.names if each != RESIDUAL][:MOST_SHOWN]):
        page = swaps.swap(opened, targets, sources, [name], data.report).page
        if page is not None:
            file = folder / f"swap-{number}.png"
            save_page(file, page)
            said = f"{name} of the column’s image in the row’s image: {count} test images by {count} others."
            line = f"iin swap -t {address} --factor {typed(name)} --n {count} --seed {data.choice.seed}"
            made.append(CardPicture(file.name, said, line))
    return made
