"""Edits of a factor: swaps where the network draws images, else explanations; and walks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ..editing import swap as swaps
from ..editing import walk as walking
from ..editing.walk_paths import LinearWalk, Wandering
from ..errors import DataError, attempt
from ..figures.pictures import DOTS_PER_INCH
from ..figures.saving import DPI, save_figure
from ..interpretation.reading import Inputs
from ..io.output import Output
from ..measures.explanation.edits import EditChoice
from ..measures.explanation.explain import explain_images
from ..measures.explanation.library import LibraryChoice
from ..translator.edit import OUWalk
from .page import Block, Fault, Heading, Picture, Table, Text, picture_of
from .subject import ReportSubject
from .words import SWAPPED, of_explanations, of_walk

__all__ = ["edits", "walks"]

EXPLAINED = "The image, its edits by factor, the nearest real images, and what the edits do to the predictions."


def edits(subject: ReportSubject) -> list[Block]:
    """Swap every factor: as images where the network draws them, else as predictions and the nearest real images."""
    return _swaps(subject) if subject.draws else _explanations(subject)


def walks(subject: ReportSubject) -> list[Block]:
    """Let one factor at a time wander while all others stay; where images are drawn, first from image to image."""
    draws, count = subject.draws, subject.data.at_most(subject.effort.walks, 2)
    starts = subject.data.draw(count).encoded(subject.network)
    modes: list[LinearWalk | Wandering] = [LinearWalk()] if draws else []
    modes += [Wandering(ou=OUWalk(name)) for name in subject.opened.factors.names]
    blocks: list[Block] = []
    for number, mode in enumerate(modes):
        file, moved = subject.file(f"walk-{number}"), mode.factors
        said = of_walk(moved, draws)
        blocks.append(Heading(f"{' and '.join(moved)} wanders" if moved else "From image to image"))
        blocks += _picture(
            subject,
            " ".join(["the walk of", *(moved or ["all factors"])]),
            lambda mode=mode, file=file: _walk(subject, mode, starts, file),
            file,
            f"{count} walks. {said}",
            said,
            # The letters beside a line between images say which row is which.
            plot=not draws or not moved,
        )
    again = subject.again(
        lambda lines: [
            lines.command(
                "walk",
                *("--mode", mode.name),
                *(word for name in mode.factors for word in ("--factor", name)),
                *("--n", count),
                out=f"{_safe('walk', mode.name, *mode.factors)}.png",
            )
            for mode in modes
        ]
    )
    return [*_unless_all_failed(blocks), *again]


def _walk(subject: ReportSubject, mode: LinearWalk | Wandering, starts: Inputs, file: Path) -> None:
    """Draw walks from `starts`, as `iin walk` with the same seed does."""
    opened, count = subject.opened, len(starts)
    if isinstance(mode, LinearWalk):
        walked = mode.between(opened, starts, subject.data.draw(count, skip=count))
    else:
        walked = mode.wander(opened, starts, subject.seed)
    shown = walking.show(opened, mode, walked, subject.seed, subject.report)
    walking.write(shown, Output(file, True, subject.figures), report=subject.report)


def _swaps(subject: ReportSubject) -> list[Block]:
    count, names = subject.data.at_most(subject.effort.grid, 2), subject.opened.factors.names
    drawn = subject.data.targets_and_sources((), (), count)
    targets, sources = (side.encoded(subject.network) for side in drawn)
    blocks: list[Block] = [Text(SWAPPED)]
    for number, name in enumerate(names):
        file = subject.file(f"swap-{number}")
        said = f"{name} of the column’s image in the row’s image."

        def draw(name: str = name, file: Path = file) -> None:
            swapped = swaps.swap(subject.opened, targets, sources, [name], subject.report)
            swaps.write(swapped, Output(file, True, subject.figures))

        blocks.append(Heading(f"{name} swapped"))
        alt = f"Grid of {count} by {count} drawn images under {count} sources and beside {count} targets: {said}"
        blocks += _picture(subject, f"the swap of {name}", draw, file, alt, said)
    again = subject.again(
        lambda lines: [
            lines.command("swap", "--factor", name, "--n", count, out=f"{_safe('swap', name)}.png") for name in names
        ]
    )
    return [*_unless_all_failed(blocks), *again]


def _explanations(subject: ReportSubject) -> list[Block]:
    # One image is left to take factors from.
    count, search = subject.data.at_most(subject.effort.explained, 2), subject.training_count
    data = subject.data.varied(n=count)
    library, changes = LibraryChoice(most=search).open(data), EditChoice(count=subject.effort.edits).open(data)
    result = explain_images(library, data.draw(count), changes, report=subject.report, really_edited=0)
    blocks: list[Block] = [Text(of_explanations(result, bool(subject.network.answer.names)))]
    for number, (image, (title, rows)) in enumerate(zip(result.images, result.tables(), strict=True)):
        file, dpi = subject.file(f"explain-{number}"), subject.figures.dpi
        save_figure(file, result.plot(number), dpi)
        blocks += [
            Heading(title),
            picture_of(file, f"{title}. {EXPLAINED} The table below gives the figures.", EXPLAINED, True, dpi=dpi),
            Table(f"Edits of {Path(image.image).name}", rows),
        ]
    words = ("--n", count, "--sources", subject.effort.edits, "--search", search)
    return [*blocks, *subject.again(lambda lines: [lines.command("explain", *words, out="explain")])]


def _picture(
    subject: ReportSubject,
    what: str,
    make: Callable[[], object],
    file: Path,
    alt: str,
    caption: str,
    plot: bool = False,
) -> list[Block]:
    """Return the picture that `make` leaves at `file`, or why there is none."""
    made: list[Block] = []
    # Sheets of images are of another size on a screen than plots.
    inch = DOTS_PER_INCH if subject.draws else DPI

    def work() -> None:
        make()
        made.append(picture_of(file, alt, caption, plot, inch, subject.figures.dpi))

    why = attempt(work)
    return [Fault(f"{what} could not be drawn", why)] if why is not None else made


def _unless_all_failed(blocks: list[Block]) -> list[Block]:
    if any(isinstance(block, Picture) for block in blocks):
        return blocks
    raise DataError(next((block.why for block in blocks if isinstance(block, Fault)), "there is nothing to show"))


def _safe(*words: str) -> str:
    """Join words to a file name, whatever a factor may be called."""
    return re.sub(r"[^\w.]+", "-", "-".join(words))
