"""Swap factors between images: encode, T, take the sources' factors, T⁻¹, decode (Fig 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..distributed import choose_device, draw_seed
from ..errors import UsageError
from ..figures.grids import header_grid, save_png
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.opening import open_translator
from ..interpretation.pieces import in_pieces
from ..interpretation.reading import Inputs
from ..io.rundir import write_json
from ..io.tables import write_table
from ..progress import Reporter, Silent
from ..translator import edit

__all__ = ["SwapResult", "check_factors", "swap", "swap_factors"]

# A grid of more cells a side is no longer looked at.
LARGEST_GRID = 16


@dataclass(frozen=True)
class SwapResult:
    """What was swapped.

    Attributes:
        out: the file or folder written.
        count: edits made: one per pair, or one per combination where targets and sources are not equally many.
        factors: the factors taken from the sources.
        edits: target, source and, of a classifier, the classes predicted before and after; file, where there is one.
        changed: of a classifier, the fraction of edits that changed the predicted class; else None.
    """

    out: str
    count: int
    factors: tuple[str, ...]
    seed: int
    translator: str
    edits: list[dict[str, Any]]
    changed: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    def rows(self) -> list[dict[str, Any]]:
        """Return the edits as rows of a table, without the probabilities."""
        return [{key: value for key, value in entry.items() if not isinstance(value, dict)} for entry in self.edits]


def swap(
    translator: Path,
    factors: Sequence[str],
    target: Sequence[Path] = (),
    source: Sequence[Path] = (),
    out: Path | None = None,
    *,
    data: str | None = None,
    data_root: Path | None = None,
    split: str = "test",
    n: int = 8,
    seed: int | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> SwapResult:
    """Give every target the `factors` of a source, and write what the backbone then shows or predicts.

    As many sources as targets make pairs; else every target meets every source. Several make a grid as in Fig 2, all
    combinations of up to 16 by 16.

    Args:
        factors: names of the translator's factors; `residual` is one.
        target, source: image files or folders; what is not given is drawn from the data, `n` each, by `seed`.
        out: a new folder, or a new `.png` (one image or the grid), of a classifier `.json` or `.csv`.
        backbone: where the translator's backbone lies now, if it was moved.

    Raises UsageError (no or unknown factor, taken `out`), DataError (images), CheckpointError (unfit files).
    """
    report, seed = report or Silent(), draw_seed(seed)
    opened = open_translator(translator, choose_device(device), backbone)
    opened.require_factors(factors)
    is_classifier = opened.backbone.classes is not None
    endings, holds = ((".json", ".csv"), "a table of predictions") if is_classifier else ((".png",), "images")
    with open_output(out, f"swap-{'-'.join(factors)}", endings, holds) as (place, is_file):
        targets, sources = targets_and_sources(
            opened, target, source, data=data, data_root=data_root, split=split, n=n, seed=seed
        )
        work = _Swap(opened, tuple(factors), targets, sources, report)
        (work.write_file if is_file else work.write_folder)(place)
        result = SwapResult(
            str(place), len(work.edits), tuple(factors), seed, str(opened.path), work.edits, work.changed
        )
        if not is_file:
            write_json(place / "swap.json", result.as_dict())
    return result


def swap_factors(opened: OpenTranslator, target: Tensor, source: Tensor, names: Sequence[str]) -> Tensor:
    """Return z* = T⁻¹(swap(T(z_target), T(z_source))), all (B, N) on the CPU."""

    def both(z: Tensor) -> Tensor:
        z_target, z_source = (opened.translator(part)[0] for part in z.chunk(2, dim=1))
        return opened.translator.inverse(edit.swap(z_target, z_source, opened.factors, names))

    joint = torch.cat((target, source), dim=1)
    return torch.cat(list(in_pieces(len(joint), joint.__getitem__, both, opened.device)))


def check_factors(opened: OpenTranslator, names: Sequence[str]) -> None:
    """Raise UsageError unless at least one factor is named, and each is the translator's."""
    if not names:
        raise UsageError(f"which factor? name it with --factor: {', '.join(opened.factors.names)}")
    for name in names:
        opened.factors.slice(name)


class _Swap:
    """The edits of one call: which target meets which source, and what comes of it."""

    def __init__(
        self, opened: OpenTranslator, names: tuple[str, ...], targets: Inputs, sources: Inputs, report: Reporter
    ) -> None:
        self.opened, self.names, self.targets, self.sources, self.report = opened, names, targets, sources, report
        self.z_target = opened.network.encode_pixels(targets.pixels)
        self.z_source = opened.network.encode_pixels(sources.pixels)
        if len(targets) == len(sources):
            self.pairs = [(i, i) for i in range(len(targets))]
        else:
            self.pairs = [(i, j) for i in range(len(targets)) for j in range(len(sources))]
        self.edits: list[dict[str, Any]] = [
            {"target": targets.names[i], "source": sources.names[j]} for i, j in self.pairs
        ]
        self.changed: float | None = None
        if opened.backbone.classes is not None:
            self._predict(opened.backbone.classes)

    def write_file(self, file: Path) -> None:
        """Write one file: the edited image, the grid, or the table of predictions."""
        if self.opened.backbone.classes is not None:
            write_table(file, self.edits)
        elif len(self.pairs) == 1:
            save_png(file, self._edited(self.pairs)[0])
        else:
            self._save_grid(file)

    def write_folder(self, folder: Path) -> None:
        """Write every edit, and the grid of all combinations when there are several."""
        if self.opened.backbone.classes is not None:
            write_table(folder / "swap.csv", self.edits)
            return
        square = len(self.targets) == len(self.sources)
        for (i, j), entry, pixels in zip(self.pairs, self.edits, self._edited(self.pairs), strict=True):
            entry["file"] = f"pair-{i:03d}.png" if square else f"target-{i:03d}-source-{j:03d}.png"
            save_png(folder / entry["file"], pixels)
        if len(self.pairs) > 1:
            self._save_grid(folder / "grid.png")

    def _latents(self, pairs: Sequence[tuple[int, int]]) -> Tensor:
        first, second = (torch.tensor(side) for side in zip(*pairs, strict=True))
        return swap_factors(self.opened, self.z_target[first], self.z_source[second], self.names)

    def _edited(self, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        return self.opened.network.draw(self._latents(pairs), self.report)

    def _save_grid(self, file: Path) -> None:
        rows, columns = (min(LARGEST_GRID, len(side)) for side in (self.targets, self.sources))
        edited = self._edited([(i, j) for i in range(rows) for j in range(columns)])
        grid = header_grid(
            self.targets.pixels[:rows],
            self.sources.pixels[:columns],
            edited.reshape(rows, columns, *edited.shape[1:]),
            top=", ".join(self.names),
        )
        save_png(file, grid)

    def _predict(self, classes: tuple[str, ...]) -> None:
        first, second = (torch.tensor(side) for side in zip(*self.pairs, strict=True))
        latents = (self.z_target[first], self.z_source[second], self._latents(self.pairs))
        before, source, after = (self.opened.network.answers(z, self.report).exp() for z in latents)
        for row, entry in enumerate(self.edits):
            entry["predicted_before"] = classes[int(before[row].argmax())]
            entry["predicted_source"] = classes[int(source[row].argmax())]
            entry["predicted_after"] = classes[int(after[row].argmax())]
            entry["before"] = by_class(before[row], classes)
            entry["after"] = by_class(after[row], classes)
        self.changed = (before.argmax(1) != after.argmax(1)).double().mean().item()
