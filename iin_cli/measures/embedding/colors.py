"""Colours of embedded images: by a label of their data, else by what the network predicts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...figures.embeddings import NAMED_LABELS, Coloring, by_color, by_label, by_number, plain
from ...interpretation.reading import Reading
from ...plugin_api import check_columns
from ...progress import Reporter

__all__ = ["Colors"]


class Colors:
    """Colours of a reading's items by the label columns `wanted`, else by those of concepts, else by class.

    What has no colours (no such label, thousands of identities) is reported, once. Raises DataError for a wanted
    column that the data do not have.
    """

    def __init__(self, reading: Reading, wanted: Sequence[str], report: Reporter) -> None:
        self.reading, self.wanted, self.report = reading, wanted, report
        self.chosen: dict[tuple[str, ...], list[Coloring]] = {}
        for name in wanted:
            if reading.dataset.column(name) is None:
                check_columns(reading.dataset, name, "--color-by")

    def of(self, concepts: Sequence[str]) -> list[Coloring]:
        """Colour the items by each wanted column, or by each column named after one of `concepts`."""
        names = tuple(self.wanted or concepts)
        if names not in self.chosen:
            found = {name: self._by_column(name) for name in names}
            if without := [name for name, coloring in found.items() if coloring is None]:
                self.report.note(f"no label of {self.reading.dataset.name} colours {', '.join(without)}: drawn without")
            self.chosen[names] = [each for each in found.values() if each is not None] or [self._by_class()]
        return self.chosen[names]

    def _by_class(self) -> Coloring:
        """Colour by class; without such labels by the class a classifier predicts, else all alike."""
        name, network = self.reading.dataset.name, self.reading.network
        coloring = self._by_column("class")
        if coloring is not None:
            return coloring
        if not network.answer.names:
            self.report.note(f"{name} has no class labels: all dots in one colour")
            return plain(len(self.reading))
        self.report.note(f"{name} has no class labels: coloured by the class predicted")
        predicted = network.answers(self.reading.z).argmax(1).numpy()
        return by_label("class predicted", predicted, network.classes)

    def _by_column(self, name: str) -> Coloring | None:
        dataset, items = self.reading.dataset, self.reading.items
        column = dataset.column(name)
        if column is None:
            return None
        labels = dataset.labels[column]
        values = labels.values[items]
        # Where an identity is a colour, the colour itself says more than its number.
        if column == "color" and dataset.colors is not None:
            return by_color(column, dataset.colors[items])
        if labels.continuous:
            return by_number(column, values)
        if labels.names is None and len(np.unique(values)) > NAMED_LABELS:
            return None
        return by_label(column, values, labels.names)
