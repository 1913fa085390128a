"""Swap factors between images: encode, T, take the sources' factors, T⁻¹, answer (Fig 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from ..figures.grids import Sheet, header_sheet
from ..figures.pictures import picture
from ..figures.saving import save_page, save_png
from ..interpretation.answers import Classes
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.pieces import in_pieces
from ..interpretation.reading import Inputs
from ..io.output import Output
from ..io.rundir import write_result
from ..io.tables import write_table
from ..progress import Reporter, Silent
from ..results import Result, Table
from ..translator import edit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FILES", "SwapResult", "swap", "swap_factors", "write"]

# What the network answers with -> endings of the files that can hold swaps, and what such a file is.
FILES = {"images": ((".png",), "images"), "classes": ((".json", ".csv"), "a table of predictions")}
# Nobody looks at a grid of more cells a side.
LARGEST_GRID = 16
# The numbers of a target and of a source.
Pair = tuple[int, int]


@dataclass(frozen=True)
class SwapResult(Result):
    """What was swapped.

    Attributes:
        out: the file or folder written; empty where none was.
        count: edits made: one per pair, or one per combination where targets and sources are not equally many.
        factors: the factors taken from the sources.
        seed: of the images drawn from the data; None where none were.
        edits: target, source and, for a classifier, the classes predicted before and after; file, where there is one.
        changed: for a classifier, the fraction of edits that changed the predicted class; else None.
        z: the edited latents z* (E, N).
        images: numbers of target and source -> edited image uint8 (S, S, 3); empty for a classifier.
        page: the only edit, uint8 (S, S, 3), or the sheet of all combinations of up to 16 targets by 16 sources.
    """

    out: str
    count: int
    factors: tuple[str, ...]
    seed: int | None
    translator: str
    edits: list[dict[str, Any]]
    changed: float | None = None
    z: Tensor = field(default_factory=lambda: torch.empty(0), compare=False, repr=False)
    images: dict[Pair, np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    page: Sheet | np.ndarray | None = field(default=None, compare=False, repr=False)

    def tables(self) -> list[Table]:
        """Return a classifier's predictions, without the probabilities, as one titled table."""
        rows = [{key: value for key, value in row.items() if not isinstance(value, dict)} for row in self.edits]
        return [("edits", rows)] if self.changed is not None else []

    def plot(self) -> Figure:
        """Show the page. UsageError for a classifier's swaps."""
        if self.page is None:
            raise UsageError("swaps of a classifier have no picture: read their tables()")
        return self.page.figure() if isinstance(self.page, Sheet) else picture(self.page)


def swap(
    opened: OpenTranslator, targets: Inputs, sources: Inputs, factors: Sequence[str], report: Reporter | None = None
) -> SwapResult:
    """Give targets the `factors` of sources, and let the network answer the edited latents.

    As many sources as targets make pairs; else every target meets every source. Raises UsageError for no factor or an
    unknown one.
    """
    opened.require_factors(list(factors))
    network, report = opened.require_network(), report or Silent()
    z_targets, z_sources = (side.latents(network) for side in (targets, sources))

    def edited(pairs: Sequence[Pair]) -> Tensor:
        first, second = torch.tensor(pairs).T
        return swap_factors(opened, z_targets[first], z_sources[second], factors)

    every = [(i, j) for i in range(len(targets)) for j in range(len(sources))]
    pairs = [(i, j) for i, j in every if i == j] if len(targets) == len(sources) else every
    edits = [{"target": targets.names[i], "source": sources.names[j]} for i, j in pairs]
    result = SwapResult("", len(pairs), tuple(factors), None, opened.called, edits)
    if isinstance(network.answer, Classes):
        result = replace(result, z=edited(pairs))
        before, source, after = (network.answers(z, report) for z in (z_targets, z_sources, result.z))
        first, second = torch.tensor(pairs).T
        return _predicted(result, network.answer, before[first], source[second], after)
    # Most edits are cells of the grid as well: each combination is decoded once.
    cells = [(i, j) for i, j in every if max(i, j) < LARGEST_GRID]
    wanted = list(dict.fromkeys([*pairs, *cells]))
    z = edited(wanted)
    images = dict(zip(wanted, network.draw(z, report), strict=True))
    return replace(result, z=z[: len(pairs)], images=images, page=_page(images, targets, sources, factors))


def write(result: SwapResult, output: Output) -> SwapResult:
    """Write the page or the table, into a folder every image and `swap.json` too; returns the result with its place."""
    edits = result.edits
    if result.page is None:
        write_table(output.path if output.is_file else output.path / "swap.csv", edits)
    elif output.is_file:
        save_page(output.path, result.page, output.figures.dpi)
    else:
        edits = _write_images(result, output)
    result = replace(result, out=str(output.path), edits=edits)
    if not output.is_file:
        write_result(output.path / "swap.json", result.as_dict())
    return result


def swap_factors(opened: OpenTranslator, target: Tensor, source: Tensor, names: Sequence[str]) -> Tensor:
    """Return z* = T⁻¹(swap(T(z_target), T(z_source))), all (B, N) on the CPU."""

    def both(z: Tensor) -> Tensor:
        z_target, z_source = (opened.translator(part)[0] for part in z.chunk(2, dim=1))
        return opened.translator.inverse(edit.swap(z_target, z_source, opened.factors, names))

    joint = torch.cat((target, source), dim=1)
    return torch.cat(list(in_pieces(len(joint), joint.__getitem__, both, opened.device, is_concurrent=True)))


def _predicted(result: SwapResult, answer: Classes, before: Tensor, source: Tensor, after: Tensor) -> SwapResult:
    """Add log-probabilities (E, C) of the targets, the sources and the edited latents."""
    edits = [
        {
            **entry,
            "predicted_before": answer.names[int(of_target.argmax())],
            "predicted_source": answer.names[int(of_source.argmax())],
            "predicted_after": answer.names[int(of_edit.argmax())],
            "before": answer.by_name(of_target.exp()),
            "after": answer.by_name(of_edit.exp()),
        }
        for entry, of_target, of_source, of_edit in zip(result.edits, before, source, after, strict=True)
    ]
    return replace(result, edits=edits, changed=float((~answer.agreement(before, after)).mean()))


def _page(
    images: dict[Pair, np.ndarray], targets: Inputs, sources: Inputs, factors: Sequence[str]
) -> Sheet | np.ndarray:
    if len(images) == 1:
        return images[0, 0]
    rows, columns = (range(min(LARGEST_GRID, len(side))) for side in (targets, sources))
    edited = np.array([[images[i, j] for j in columns] for i in rows])
    return header_sheet(
        targets.pixels[: len(rows)],
        sources.pixels[: len(columns)],
        edited,
        targets.captions[: len(rows)],
        sources.captions[: len(columns)],
        title=f"{', '.join(factors)} of",
    )


def _write_images(result: SwapResult, output: Output) -> list[dict[str, Any]]:
    """Write every edited image, and the page if there are several; returns the edits with their files."""
    pairs = list(result.images)[: result.count]
    form = "pair-{0:03d}.png" if all(i == j for i, j in pairs) else "target-{0:03d}-source-{1:03d}.png"
    files = [form.format(*pair) for pair in pairs]
    for pair, file in zip(pairs, files, strict=True):
        save_png(output.path / file, result.images[pair])
    if result.page is not None and len(files) > 1 and (grid := output.figure("grid")) is not None:
        save_page(grid, result.page, output.figures.dpi)
    return [{**entry, "file": file} for entry, file in zip(result.edits, files, strict=True)]
