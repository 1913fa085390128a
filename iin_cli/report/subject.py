"""What a report is about: an open translator, its data, and how much of it is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ..interpretation.answers import Images
from ..interpretation.grouping import MOST_NEEDED
from ..interpretation.network import Network
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.performance import Performance, performance_of
from ..interpretation.reading import ChosenData, Reading, read_items
from ..io.output import Figures
from ..measures.audit.auditing import POOL, items_to_read
from ..measures.audit.verdicts import FactorVerdict
from ..measures.responses.measure import usual_images
from ..metrics.bootstrap import Resampling
from ..plugin_api import Dataset
from ..progress import Reporter
from ..translator.factors import RESIDUAL
from .command_lines import CommandLines
from .page import Block, Commands

__all__ = ["Effort", "ReportSubject"]

# Images measured: fewer large ones, since a network that sees them takes a hundred times as long.
IMAGES, IMAGES_IF_LARGE, LARGE = 500, 100, 128
# Training images for each image measured.
TRAINING = 4


@dataclass(frozen=True)
class Effort:
    """How much a report measures and shows, besides the number of its images.

    Attributes:
        resampling: of intervals and nulls; None takes what each measure usually does. The seed is the data's.
        grid: images a side of a swap's grid.
        walks: of each factor.
        explained: images explained, where the network draws none.
        edits: of each factor of these.
    """

    resampling: Resampling | None = None
    grid: int = 7
    walks: int = 4
    explained: int = 3
    edits: int = 16


@dataclass
class ReportSubject:
    """An open translator with its data, which all sections share.

    Attributes:
        data: opened once; its choice says how many images are measured, by which seed.
        effort: how much is measured besides.
        lines: the command lines that make the parts again; None where there is no file to name.
        folder: for pictures on their way to the page.
        figures: how they are drawn.
        glance: factor -> column -> what a section found of it, for the summary.
        verdicts: of each factor, once it is audited.
    """

    data: ChosenData
    effort: Effort
    lines: CommandLines | None
    folder: Path
    figures: Figures = field(default_factory=Figures)
    glance: dict[str, dict[str, str | None]] = field(default_factory=dict)
    verdicts: tuple[FactorVerdict, ...] = ()

    @property
    def opened(self) -> OpenTranslator:
        """The translator."""
        return self.data.opened

    @property
    def network(self) -> Network:
        """The network it was fitted to."""
        return self.data.network

    @property
    def dataset(self) -> Dataset:
        """The data."""
        return self.data.dataset

    @property
    def report(self) -> Reporter:
        """Where progress and warnings go."""
        return self.data.report

    @property
    def seed(self) -> int:
        """Seed of everything random."""
        return self.data.choice.seed

    @property
    def n(self) -> int:
        """How many images are measured."""
        usual = IMAGES_IF_LARGE if self.network.backbone.image_size > LARGE else IMAGES
        return self.data.choice.n or usual

    @property
    def concepts(self) -> tuple[str, ...]:
        """The factors that are concepts: all but the residual."""
        return tuple(name for name in self.opened.factors.names if name != RESIDUAL)

    @cached_property
    def draws(self) -> bool:
        """Whether the network answers with images."""
        return isinstance(self.network.answer, Images)

    @property
    def walked(self) -> int:
        """How many images walk to measure the responses: as many as `iin respond` takes, of those read for the audit.

        They are encoded anyway, and only in many can a difference from chance be seen.
        """
        return min(usual_images(self.network), POOL * self.n)

    @cached_property
    def performance(self) -> Performance:
        """How well the network does on the images whose responses are measured."""
        return performance_of(self.read(self.walked), self.seed)

    def read(self, count: int) -> Reading:
        """Return the items that a command reads of `count`; every item is encoded once for the whole report."""
        items, everything = self.data.chosen_items(count), self._everything
        order = np.argsort(everything.items, kind="stable")
        return everything.rows(order[np.searchsorted(everything.items, items, sorter=order)])

    @property
    def pool(self) -> int:
        """How many images the audit reads, to find pairs among them."""
        return items_to_read(self.opened.factors, self.dataset, self.n)

    @property
    def training_count(self) -> int:
        """How many training images sizes are of, probes learn from, and explanations search."""
        return max(TRAINING * self.n, 2 * MOST_NEEDED)

    @cached_property
    def training(self) -> Reading | None:
        """These training images, encoded once for the whole report; None where the data has none."""
        return self.data.read_training(self.training_count)

    def file(self, stem: str) -> Path:
        """Return where the picture `stem` is drawn."""
        return self.folder / f"{stem}{self.figures.ending}"

    def note(self, factor: str, **columns: str | None) -> None:
        """Keep what was found of a factor for the summary; `_` in a column stands for a space."""
        found = {name.replace("_", " "): value for name, value in columns.items()}
        self.glance.setdefault(factor, {}).update(found)

    def again(self, make: Callable[[CommandLines], Sequence[str]], title: str = "Make it again") -> list[Block]:
        """Return a block of command lines; none where there is no file to name."""
        return [Commands(make(self.lines), title)] if self.lines is not None else []

    @cached_property
    def _everything(self) -> Reading:
        items = self.data.chosen_items(max(self.pool, self.walked))
        return read_items(self.opened, self.dataset, items, self.report)
