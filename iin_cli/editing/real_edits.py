"""Real edits: what really editing an image does to the answer, beside what exchanging one factor of it does.

A concept's images are edited where its concept can draw them (greyscale, rotation, another colour), and else matched:
another image with another texture and the same shape. z̃ of the image with this factor's block taken from z̃ of the
edited one is the exchange: a perfect factor answers as the really edited image does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, attempt
from ..interpretation.encoding import encode_items
from ..interpretation.factor_concepts import concept_of_factor
from ..interpretation.grouping import circumstances, find_providers
from ..interpretation.reading import Reading
from ..metrics.bootstrap import FEW_ITEMS
from ..metrics.reality import EditFigures, RealEffect, real_effect
from ..plugin_api import ConceptProvider
from ..progress import Reporter
from ..translator.edit import swap
from ..translator.factors import RESIDUAL
from .matched_pairs import matched_partners
from .random_subspaces import basis_of_control

__all__ = ["CONTROLS", "RealEdits", "Reality", "find_edits", "measure_reality", "reality_of"]

CONTROLS = 3
# Images encoded for one factor: all of its variants together.
MOST_ENCODED = 1000
# Numbers of a block's answers: some 20 MiB, and a few times that of what is computed from them.
BLOCK_NUMBERS = 2**22


@dataclass(frozen=True)
class RealEdits:
    """Really edited images.

    Attributes:
        how: what was done, for a sentence: `really changing greyscale`.
        is_exact: whether nothing but the concept was changed; matched images differ in all that no label tells.
        rows: whose edit each is, rows of the reading, int64 (P,).
        z: latents of the edited images (P, N).
        variant: the kind of each edit (P,), text.
    """

    how: str
    rows: np.ndarray
    z: Tensor
    variant: np.ndarray
    is_exact: bool = True


@dataclass(frozen=True)
class Reality:
    """What real edits of one concept do, and how they were made.

    Attributes:
        how: what was done to the images, for a sentence.
        images: how many were edited.
        effect: on the answer, beside that of exchanging the factor.
        is_exact: whether nothing but the concept was changed.
        why_not: why nothing can be measured; empty where it was.
    """

    how: str = ""
    images: int = 0
    effect: RealEffect | None = None
    is_exact: bool = True
    why_not: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON values."""
        if self.effect is None:
            return {"why_not": self.why_not}
        return {"how": self.how, "images": self.images, "is_exact": self.is_exact, **self.effect.as_dict()}


def reality_of(
    reading: Reading, factor: str, report: Reporter, given: ConceptProvider | None = None, seed: int = 0
) -> Reality:
    """Measure what really editing the concept of `factor` does, on the items of `reading`; `why_not` where it cannot.

    Args:
        given: the concept, where the factor's name does not say it (`rotation:45`).
    """
    found: list[Reality] = []

    def work() -> None:
        edits = find_edits(reading, factor, report, given, seed)
        found.append(measure_reality(reading, factor, edits, report, seed))

    why_not = attempt(work)
    return found[0] if why_not is None else Reality(why_not=why_not)


def find_edits(
    reading: Reading, factor: str, report: Reporter, given: ConceptProvider | None = None, seed: int = 0
) -> RealEdits:
    """Edit the images of `reading` in the concept of `factor`, and encode them.

    A concept of pairs that differ in it draws them; for a shared one the data draws them again, or holds images with
    another label and the same labels of the other factors. Raises DataError where nothing of it is possible.
    """
    if factor == RESIDUAL:
        raise DataError("the residual is no concept")
    factors, dataset = reading.opened.factors, reading.dataset
    if given is None and factors.relation(factor) == "differ":
        (given,) = find_providers([concept_of_factor(factor, factors, dataset)])
    if given is not None and given.relation == "differ":
        return _drawn(reading, given, report, seed, f"really changing {factor}")
    column = dataset.column(factor) or factor
    try:
        (redrawing,) = find_providers([f"redraw:{column}"])
        return _drawn(reading, redrawing, report, seed, f"drawing another {factor}")
    except DataError:
        return _matched(reading, factor, report, seed)


def measure_reality(reading: Reading, factor: str, edits: RealEdits, report: Reporter, seed: int = 0) -> Reality:
    """Compare the answers to really edited images with those to the exchange of `factor` alone, block by block."""
    parts: list[EditFigures] = []
    with report.task(f"exchanging {factor}", len(edits.rows), "images") as task:
        numbers = reading.network.answers(edits.z[:1]).numel()
        for rows in np.array_split(np.arange(len(edits.rows)), -(-len(edits.rows) * numbers // BLOCK_NUMBERS)):
            parts.append(_figures(reading, factor, edits.rows[rows], edits.z[rows], seed))
            task.advance(len(rows))
    effect = real_effect(EditFigures.joined(parts), edits.rows, edits.variant, seed)
    return Reality(edits.how, len(np.unique(edits.rows)), effect, edits.is_exact)


def _figures(reading: Reading, factor: str, rows: np.ndarray, z: Tensor, seed: int) -> EditFigures:
    """Measure some edits: of rows (B,) of the reading, with latents z (B, N) of the edited images."""
    opened, answer, answers = reading.opened, reading.network.answer, reading.network.answers
    start, source = reading.z_tilde[rows], opened.transform(z)
    before, edited = answers(reading.z[rows]), answers(z)
    swapped = swap(start, source, opened.factors, [factor])
    exchanged = answers(opened.inverse_of_many(swapped))
    chance = []
    for number in range(CONTROLS):
        basis = basis_of_control(opened.factors, factor, number, seed)
        mixed = start + (source - start) @ basis.T @ basis
        other = answers(opened.inverse_of_many(mixed))
        chance.append(answer.reproduced(before, edited, other))
    return EditFigures(
        answer.moved(before, edited),
        answer.moved(before, exchanged),
        answer.reproduced(before, edited, exchanged),
        np.mean(chance, axis=0),
    )


def _drawn(reading: Reading, provider: ConceptProvider, report: Reporter, seed: int, how: str) -> RealEdits:
    """Let the concept draw the images, as many as `MOST_ENCODED` allows."""
    dataset, network = reading.dataset, reading.network
    variants = _variants(reading, provider, report, seed)
    count = max(FEW_ITEMS, MOST_ENCODED // max(1, len(variants)))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(reading))[:count])
    items = reading.items[chosen]
    groups = provider.groups(dataset, items, seed)
    place = {int(item): row for item, row in zip(items, chosen, strict=True)}
    rows, latents, names = [], [], []
    for variant in np.unique(groups.variants[groups.variants != 0]).tolist():
        drawn = groups.indices[groups.variants == variant]
        drawn = drawn[np.isin(drawn, items)]
        z, _ = encode_items(network, dataset, drawn, provider, variant, report=report).moments()
        latents.append(z)
        rows += [place[item] for item in drawn.tolist()]
        names += [provider.variant_name(variant)] * len(drawn)
    if not rows:
        raise DataError(f"concept {provider.concept} draws no image otherwise")
    return RealEdits(how, np.array(rows), torch.cat(latents), np.array(names))


def _variants(reading: Reading, provider: ConceptProvider, report: Reporter, seed: int) -> Sequence[int]:
    """Prepare the concept, and return the numbers of the variants that it draws of an image."""
    provider.prepare(reading.dataset, reading.items, circumstances(reading.network, seed, report))
    found = provider.groups(reading.dataset, reading.items[:FEW_ITEMS], seed).variants
    return np.unique(found[found != 0]).tolist()


def _matched(reading: Reading, factor: str, report: Reporter, seed: int) -> RealEdits:
    """Take images of the same split that differ in the factor's label, and agree in those of the other factors."""
    dataset, factors = reading.dataset, reading.opened.factors
    column = dataset.column(factor)
    if column is None or dataset.labels[column].continuous:
        raise DataError(f"{dataset.name} can neither be drawn with another {factor}, nor has it labels of it")
    named = [each.name for each in factors if each.relation == "share" and each.name != factor]
    columns = {name: dataset.column(name) for name in named}
    held = {name: found for name, found in columns.items() if found and not dataset.labels[found].continuous}
    if not held or len(held) < len(named):
        raise DataError(f"no two images are known to differ in {factor} and in nothing else")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(reading))[:MOST_ENCODED])
    among = _split_of(reading)
    rows, partners = matched_partners(dataset, reading.items[chosen], among, column, list(held.values()), seed)
    different, place = np.unique(partners, return_inverse=True)
    z, _ = encode_items(reading.network, dataset, different, report=report).moments()
    how = f"another image, of other {factor} and the same {' and '.join(held)},"
    return RealEdits(how, chosen[rows], z[torch.from_numpy(place)], np.full(len(rows), "matched"), is_exact=False)


def _split_of(reading: Reading) -> np.ndarray:
    """Return the items of the split that the reading is of; all items where it is of several."""
    for items in reading.dataset.splits.values():
        if np.isin(reading.items, items).all():
            return np.asarray(items)
    return np.arange(len(reading.dataset.sources))
