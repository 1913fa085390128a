"""What an edit is seen beside: real images, the axes they give to factors and attributes, and how likely they are."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from ...editing.attributes import MOST_VALUES, has_attribute
from ...errors import DataError, IinError, UsageError
from ...interpretation.data_choice import split_items
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.reading import ChosenData, Reading, read_items
from ...plugin_api import Dataset
from ...progress import Reporter
from ...translator import edit
from ..counterfactuals.reals import nll_of
from ..explanation.library import Library, LibraryChoice
from .pads import Pad

__all__ = ["CONTROLS", "SEARCHED", "Surroundings"]

# Real images that edits are compared with, unless the user says otherwise: a search among them takes milliseconds.
SEARCHED = 5000
# Images that say how likely an edit is.
LIKELY = 500
# Random subspaces whose answers make the band; with the edit itself they fill a quarter of a piece.
CONTROLS = 15
# Random subspaces do not depend on the user's seed, so that a recipe's band is the same wherever it is followed.
CONTROL_SEED = 20200614
# Attributes that are offered, at most.
MOST_ATTRIBUTES = 24


class Surroundings:
    """The real images around one translator, each part read when it is first needed.

    Args:
        data: the data of the translator; None where it has no network.
        search: how many training images are compared with, drawn by the data's seed.
        reading: real images that are open already, to take instead of the data.

    Attributes:
        missing: why there are no real images; None while they are there, or were not asked for.
    """

    def __init__(
        self,
        opened: OpenTranslator,
        data: ChosenData | None,
        report: Reporter,
        search: int = SEARCHED,
        reading: Reading | None = None,
    ) -> None:
        self.opened, self.data, self.report, self.search, self.reading = opened, data, report, search, reading
        self.missing: str | None = None
        self.pad, self.axis, self.control = cache(self._pad), cache(self._axis), cache(self._control)

    @cached_property
    def dataset(self) -> Dataset | None:
        """The data, or None where they cannot be opened; then `missing` says why, and the user is warned."""
        if self.reading is not None:
            return self.reading.dataset
        if self.data is None:
            self.missing = f"{self.opened.called} was fitted to latents without a network: there are no images"
            return None
        try:
            return self.data.dataset
        except IinError as error:
            self.missing = str(error)
            self.report.warn(f"going on without real images: {error}")
            return None

    @cached_property
    def library(self) -> Library | None:
        """The training images that edits are compared with; None without data."""
        if self.reading is not None:
            return Library.of(self.reading)
        if self.dataset is None or self.data is None:
            return None
        found = LibraryChoice(most=self.search).open(self.data)
        # In memory, since every edit searches among them.
        return replace(found, z=found.rows(np.arange(len(found))).numpy())

    @cached_property
    def z_tilde(self) -> Tensor | None:
        """T of the library's images (M, N); None without data."""
        if self.library is None:
            return None
        return self.opened.transform(self.library.rows(np.arange(len(self.library))))

    @cached_property
    def nats(self) -> Tensor | None:
        """−log p(z) of real images, best some that T was not fitted to, ascending (R,); None without data."""
        if self.reading is not None:
            return nll_of(self.opened, self.reading.z).sort().values
        if self.dataset is None or self.data is None:
            return None
        items = np.asarray(self.dataset.splits.get("test", ()), np.int64)
        items = items if len(items) else split_items(self.dataset, "all")
        drawn = np.sort(np.random.default_rng(self.data.choice.seed).permutation(items)[:LIKELY])
        return nll_of(self.opened, read_items(self.opened, self.dataset, drawn, self.report).z).sort().values

    def likelier_than(self, nats: Tensor) -> list[float | None]:
        """Say which share of real images is no likelier than each edit, in per cent; `nats` is its −log p(z), (B,)."""
        if self.nats is None:
            return [None] * len(nats)
        worse = len(self.nats) - torch.searchsorted(self.nats, nats)
        return (100 * worse / len(self.nats)).tolist()

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that an axis can be measured of, as `iin walk --attribute` writes them."""
        if self.library is None or self.dataset is None:
            return ()
        found: dict[bytes, str] = {}
        for column, labels in self.dataset.labels.items():
            values = labels.names or ()
            named = [column] if labels.continuous or len(values) > MOST_VALUES or len(values) == 2 else []
            for name in named or [f"{column}={value}" for value in values]:
                try:
                    has = has_attribute(self.dataset, name, self.library.items)
                except DataError:
                    continue
                # Columns of another name may say the same, as the class and what it is made of.
                found.setdefault(has.tobytes(), name)
        return tuple(found.values())[:MOST_ATTRIBUTES]

    def _pad(self, factor: str) -> Pad:
        return Pad.of(self.opened.factors, factor, self.z_tilde)

    def _axis(self, attribute: str) -> Tensor:
        """Eq 14 over the library's images, (N,). UsageError without data, DataError for an unknown attribute."""
        if self.library is None or self.dataset is None or self.z_tilde is None:
            raise UsageError(f"{attribute} is an attribute of images, and there are none: {self.missing}")
        has = has_attribute(self.dataset, attribute, self.library.items)
        return edit.attribute_axis(self.z_tilde.double(), torch.from_numpy(has)).float()

    def _control(self, factor: str) -> Tensor:
        """Return directions (CONTROLS, N) of length 1, all equally likely, the same for every recipe.

        A step within a random subspace of any size is a step of its length in such a direction.
        """
        where = self.opened.factors.names.index(factor)
        seed = int(np.random.SeedSequence((CONTROL_SEED, where)).generate_state(1)[0])
        drawn = torch.randn(CONTROLS, self.opened.factors.dim, generator=torch.Generator().manual_seed(seed))
        return drawn / drawn.norm(dim=1, keepdim=True)
