"""In which colours embedded images are drawn: by a label of their data, else by what the network predicts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...figures.embeddings import NAMED_LABELS, Coloring, by_color, by_label, by_number, plain
from ...interpretation.reading import Reading
from ...plugin_api import check_columns
from ...progress import Reporter

__all__ = ["choose_colorings", "class_coloring"]


def choose_colorings(
    reading: Reading, concepts: Sequence[str], wanted: Sequence[str], report: Reporter
) -> list[Coloring]:
    """Colour the items by the label columns `wanted`; by those named after `concepts` when empty, else by class.

    Of what cannot be drawn in colours (no such label, thousands of identities) `report` is told. Raises DataError for a
    wanted column the data do not have.
    """
    found, without = [], []
    for name in wanted or concepts:
        if wanted:
            check_columns(reading.dataset, name, "--color-by")
        coloring = _by_column(reading, name)
        if coloring is None:
            without.append(name)
        else:
            found.append(coloring)
    if without:
        report.note(f"no label of {reading.dataset.name} colours {', '.join(without)}: drawn without")
    return found or [class_coloring(reading, report)]


def class_coloring(reading: Reading, report: Reporter) -> Coloring:
    """Colour the items by their class; without such labels by the class a classifier predicts, else all alike."""
    coloring = _by_column(reading, "class")
    if coloring is not None:
        return coloring
    classes = reading.opened.backbone.classes
    if classes is None:
        report.note(f"{reading.dataset.name} has no class labels: all dots in one colour")
        return plain(len(reading))
    report.note(f"{reading.dataset.name} has no class labels: coloured by the class predicted")
    return by_label("class predicted", reading.opened.network.answers(reading.z).argmax(1).numpy(), classes)


def _by_column(reading: Reading, column: str) -> Coloring | None:
    labels = reading.dataset.labels.get(column)
    if labels is None:
        return None
    values = labels.values[reading.items]
    # Of an identity that is a colour, the colour itself says more than its number.
    colors = getattr(reading.dataset, "colors", None)
    if column == "color" and colors is not None:
        return by_color(column, colors[reading.items])
    if labels.continuous:
        return by_number(column, values)
    if labels.names is None and len(np.unique(values)) > NAMED_LABELS:
        return None
    return by_label(column, values, labels.names)
