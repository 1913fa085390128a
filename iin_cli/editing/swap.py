"""Swap factors between images: encode, T, take the sources' factors, T⁻¹, answer (Fig 2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from ..figures.grids import header_grid, save_png
from ..figures.pictures import picture
from ..interpretation.answers import Answer, Classes
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.pieces import in_pieces
from ..interpretation.reading import Inputs
from ..io.output import Output
from ..io.rundir import write_json
from ..io.tables import write_table
from ..progress import Reporter, Silent
from ..results import Result, Table
from ..translator import edit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Pictures", "Predictions", "SwapResult", "Swaps", "shown_as", "swap", "swap_factors", "write"]

# Nobody looks at a grid of more cells a side.
LARGEST_GRID = 16
# The numbers of a target and of a source.
Pair = tuple[int, int]
Row = dict[str, Any]


class Swaps:
    """Targets that take `factors` of sources: as many of either make pairs, else every target meets every source.

    Attributes:
        pairs: which target meets which source.
        z_targets, z_sources: latents (T, N) and (U, N).
    """

    def __init__(self, opened: OpenTranslator, targets: Inputs, sources: Inputs, factors: Sequence[str]) -> None:
        self.opened, self.targets, self.sources, self.factors = opened, targets, sources, tuple(factors)
        self.network = opened.require_network()
        self.z_targets, self.z_sources = (side.latents(self.network) for side in (targets, sources))
        numbers = range(len(targets)), range(len(sources))
        self.are_pairs = len(targets) == len(sources)
        self.pairs: list[Pair] = (
            list(zip(*numbers, strict=True)) if self.are_pairs else [(i, j) for i in numbers[0] for j in numbers[1]]
        )

    def latents(self, pairs: Sequence[Pair]) -> Tensor:
        """Return the edited latents z* (E, N) of some targets and sources."""
        first, second = torch.tensor(pairs).T
        return swap_factors(self.opened, self.z_targets[first], self.z_sources[second], self.factors)

    def rows(self) -> list[Row]:
        """Name target and source of every edit."""
        return [{"target": self.targets.names[i], "source": self.sources.names[j]} for i, j in self.pairs]


class Shown(ABC):
    """The network's answers to swaps.

    Attributes:
        endings: of the files that can hold them.
        holds: what such a file is, for a message.
        rows: of each edit, target, source and what is known of the answer.
        changed: fraction of the edits that changed the predicted class; None where no class is predicted.
    """

    endings: ClassVar[tuple[str, ...]]
    holds: ClassVar[str]
    rows: list[Row]
    changed: float | None = None

    @abstractmethod
    def __init__(self, swaps: Swaps, report: Reporter) -> None: ...

    @abstractmethod
    def plot(self) -> Figure:
        """Draw the edits."""

    @abstractmethod
    def write(self, output: Output) -> list[Row]:
        """Write the edits; returns the rows, with the file of each where it has its own."""


class Pictures(Shown):
    """Edits that the network draws, beside a grid of all combinations of up to 16 targets by 16 sources."""

    endings: ClassVar[tuple[str, ...]] = (".png",)
    holds: ClassVar[str] = "images"

    def __init__(self, swaps: Swaps, report: Reporter) -> None:
        self.swaps, self.rows = swaps, swaps.rows()
        rows, columns = (range(min(LARGEST_GRID, len(side))) for side in (swaps.targets, swaps.sources))
        self.cells = [[(i, j) for j in columns] for i in rows]
        # An edit is a cell of the grid as well: each combination is decoded once.
        wanted = list(dict.fromkeys([*swaps.pairs, *(cell for row in self.cells for cell in row)]))
        self.images = dict(zip(wanted, swaps.network.draw(swaps.latents(wanted), report), strict=True))

    def page(self) -> np.ndarray:
        """Return the only edit, or the grid, uint8 (H, W, 3)."""
        if len(self.swaps.pairs) == 1:
            return self.images[0, 0]
        edited = np.array([[self.images[cell] for cell in row] for row in self.cells])
        targets, sources = (
            side.pixels[:count]
            for side, count in zip((self.swaps.targets, self.swaps.sources), edited.shape[:2], strict=True)
        )
        return header_grid(targets, sources, edited, top=", ".join(self.swaps.factors))

    def plot(self) -> Figure:
        """Show the page."""
        return picture(self.page())

    def write(self, output: Output) -> list[Row]:
        """Write the page, and into a folder every edit; a single edit needs no page beside it."""
        if output.is_file:
            save_png(output.path, self.page())
            return self.rows
        form = "pair-{0:03d}.png" if self.swaps.are_pairs else "target-{0:03d}-source-{1:03d}.png"
        files = [form.format(*pair) for pair in self.swaps.pairs]
        for pair, file in zip(self.swaps.pairs, files, strict=True):
            save_png(output.path / file, self.images[pair])
        if len(files) > 1:
            save_png(output.path / "grid.png", self.page())
        return [{**row, "file": file} for row, file in zip(self.rows, files, strict=True)]


class Predictions(Shown):
    """Edits that the network classifies."""

    endings: ClassVar[tuple[str, ...]] = (".json", ".csv")
    holds: ClassVar[str] = "a table of predictions"

    def __init__(self, swaps: Swaps, report: Reporter) -> None:
        network, names = swaps.network, swaps.network.classes
        first, second = torch.tensor(swaps.pairs).T
        # Log-probabilities (E, C) of the target, of the source, and of the edited latents.
        before = network.answers(swaps.z_targets, report)[first]
        source = network.answers(swaps.z_sources, report)[second]
        after = network.answers(swaps.latents(swaps.pairs), report)
        self.rows = [
            {
                **row,
                "predicted_before": names[int(of_target.argmax())],
                "predicted_source": names[int(of_source.argmax())],
                "predicted_after": names[int(edited.argmax())],
                "before": dict(zip(names, of_target.exp().tolist(), strict=True)),
                "after": dict(zip(names, edited.exp().tolist(), strict=True)),
            }
            for row, of_target, of_source, edited in zip(swaps.rows(), before, source, after, strict=True)
        ]
        self.changed = (before.argmax(1) != after.argmax(1)).double().mean().item()

    def plot(self) -> Figure:
        """Raise UsageError: predictions are a table."""
        raise UsageError("swaps of a classifier have no picture: read the edits in as_dict()")

    def write(self, output: Output) -> list[Row]:
        """Write the table."""
        write_table(output.path if output.is_file else output.path / "swap.csv", self.rows)
        return self.rows


@dataclass(frozen=True)
class SwapResult(Result):
    """What was swapped.

    Attributes:
        count: edits made: one per pair, or one per combination where targets and sources are not equally many.
        factors: the factors taken from the sources.
        edits: target, source and, for a classifier, the classes predicted before and after; file, where there is one.
        changed: for a classifier, the fraction of edits that changed the predicted class; else None.
        shown: the answers themselves.
        seed: of the images drawn from the data.
        out: the file or folder written; empty where none was.
    """

    count: int
    factors: tuple[str, ...]
    translator: str
    edits: list[Row]
    changed: float | None
    shown: Shown
    seed: int = 0
    out: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "shown"}

    def tables(self) -> list[Table]:
        """Return the predictions, without the probabilities, as one titled table."""
        if self.changed is None:
            return []
        return [
            ("edits", [{k: value for k, value in row.items() if not isinstance(value, dict)} for row in self.edits])
        ]

    def plot(self) -> Figure:
        """Draw the edits. UsageError for those of a classifier."""
        return self.shown.plot()


def shown_as(answer: Answer) -> type[Shown]:
    """Return how swaps are shown where a network answers so."""
    return Predictions if isinstance(answer, Classes) else Pictures


def swap(
    opened: OpenTranslator, targets: Inputs, sources: Inputs, factors: Sequence[str], report: Reporter | None = None
) -> SwapResult:
    """Give targets the `factors` of sources, and let the network answer the edited latents.

    As many sources as targets make pairs; else every target meets every source. Raises UsageError for no factor or an
    unknown one.
    """
    opened.require_factors(list(factors))
    swaps = Swaps(opened, targets, sources, factors)
    shown = shown_as(swaps.network.answer)(swaps, report or Silent())
    return SwapResult(len(swaps.pairs), swaps.factors, str(opened.path), shown.rows, shown.changed, shown)


def write(result: SwapResult, output: Output) -> SwapResult:
    """Write the edits, and into a folder `swap.json`; returns the result, which says where they are."""
    result = replace(result, edits=result.shown.write(output), out=str(output.path))
    if not output.is_file:
        write_json(output.path / "swap.json", result.as_dict())
    return result


def swap_factors(opened: OpenTranslator, target: Tensor, source: Tensor, names: Sequence[str]) -> Tensor:
    """Return z* = T⁻¹(swap(T(z_target), T(z_source))), all (B, N) on the CPU."""

    def both(z: Tensor) -> Tensor:
        z_target, z_source = (opened.translator(part)[0] for part in z.chunk(2, dim=1))
        return opened.translator.inverse(edit.swap(z_target, z_source, opened.factors, names))

    joint = torch.cat((target, source), dim=1)
    return torch.cat(list(in_pieces(len(joint), joint.__getitem__, both, opened.device)))
