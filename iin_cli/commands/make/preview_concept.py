"""Draw a few groups of a concept as a grid, to judge its pairs by eye before a translator is fitted.

find → open → prepare → group → choose → draw → save.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...distributed import choose_device
from ...errors import DataError
from ...figures.grids import Sheet
from ...figures.saving import save_page
from ...interpretation.data_choice import DataChoice
from ...interpretation.grouping import find_providers, grouped
from ...io.output import Figures, Output
from ...plugin_api import Circumstances, ConceptProvider, Dataset, Groups, Interpolation, Relation
from ...progress import Reporter, Silent
from ...results import Result

__all__ = ["MOST_COLUMNS", "PreviewResult", "preview_concept"]

MOST_COLUMNS = 8
# Larger images make no better preview; this is the side most networks for photographs take.
LARGEST_SIDE = 224
INTERPOLATION: Interpolation = "bicubic"


@dataclass(frozen=True)
class PreviewResult(Result):
    """What was drawn, and from how many groups.

    Attributes:
        concept: name of the factor.
        groups: groups of training images that make pairs.
        items: images and variants in these groups.
        shown: groups in the picture.
        out: the picture.
    """

    concept: str
    relation: Relation
    groups: int
    items: int
    shown: int
    image_size: int
    seed: int
    out: str


def preview_concept(
    concept: str,
    data: DataChoice | None = None,
    out: Path | None = None,
    *,
    n: int = 8,
    image_size: int | None = None,
    device: str = "auto",
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> PreviewResult:
    """Draw `n` groups of `concept` among the training images of `data`, one per row, as a fit would pair them.

    Args:
        concept: NAME or NAME:ARGUMENT; one that has to be learned first is learned, as `fit-translator` would.
        data: names the data, else it is what a fit without any uses: `animalfaces` where it is, else `shapes`; its seed
            draws the groups, and whatever the concept draws.
        out: a new `.png`, or a new folder; None makes a numbered one.
        image_size: side at which the images are drawn; by default their own, at most 224.

    A row shows at most 8 items of its group. Raises UsageError (unknown concept, taken `out`) and DataError (no pairs).
    """
    data, report, where = data or DataChoice(), report or Silent(), choose_device(device)
    dataset = data.open(None, report)
    (provider,) = find_providers([concept], dataset)
    size = image_size or min(dataset.native_size, LARGEST_SIDE)
    indices, seed = np.asarray(dataset.splits["train"]), data.seed
    with Output.open(out, f"preview-concept-{provider.concept}", (".png",), "a grid of images", figures) as output:
        (groups,) = grouped(dataset, indices, [provider], Circumstances(str(where), size, INTERPOLATION, seed, report))
        members = _groups_with_pairs(groups, provider)
        rows = _choose(members, groups.variants, n, seed)
        picture = output.figure("preview") or output.path
        save_page(picture, _sheet(provider, dataset, groups, rows, size), output.figures.dpi)
        result = PreviewResult(
            concept=provider.concept,
            relation=provider.relation,
            groups=len(members),
            items=sum(map(len, members)),
            shown=len(rows),
            image_size=size,
            seed=seed,
            out=str(picture),
        )
        output.write_json("preview-concept.json", result.as_dict())
    return result


def _groups_with_pairs(groups: Groups, provider: ConceptProvider) -> list[np.ndarray]:
    """Return the places of the items of every group that has two, in the order of the groups' ids."""
    order = np.argsort(groups.group_ids, kind="stable")
    _, starts = np.unique(groups.group_ids[order], return_index=True)
    members = [group for group in np.split(order, starts[1:]) if len(group) > 1]
    if not members:
        raise DataError(f"concept {provider.concept} makes no pair: every group has one item")
    return members


def _choose(members: Sequence[np.ndarray], variants: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """Draw `count` groups and at most `MOST_COLUMNS` items of each; variants in order, groups as they come."""
    generator = np.random.default_rng(seed)
    chosen = []
    for number in np.sort(generator.permutation(len(members))[:count]):
        items = np.sort(generator.permutation(members[number])[:MOST_COLUMNS])
        chosen.append(items[np.argsort(variants[items], kind="stable")])
    return chosen


def _sheet(provider: ConceptProvider, dataset: Dataset, groups: Groups, rows: Sequence[np.ndarray], size: int) -> Sheet:
    """Return the items of `rows` as a sheet with captions; places without an item stay white."""
    items = np.concatenate(rows)
    drawn = np.empty((len(items), size, size, 3), np.uint8)
    for variant in np.unique(groups.variants[items]):
        mine = groups.variants[items] == variant
        drawn[mine] = provider.draw(dataset, groups.indices[items[mine]], size, INTERPOLATION, int(variant))
    cells = np.full((len(rows), max(map(len, rows)), size, size, 3), 255, np.uint8)
    start = 0
    for row, places in enumerate(rows):
        cells[row, : len(places)] = drawn[start : start + len(places)]
        start += len(places)
    row_labels = [_row_caption(provider, dataset, groups.indices[places]) for places in rows]
    return Sheet(cells, row_labels, _column_captions(provider, [groups.variants[places] for places in rows]))


def _column_captions(provider: ConceptProvider, rows: Sequence[np.ndarray]) -> list[str]:
    """Name the variants where all rows have the same ones in the same places; else columns have no meaning."""
    first = rows[0].tolist()
    if not any(first) or any(row.tolist() != first for row in rows):
        return []
    return [provider.variant_name(variant) for variant in first]


def _row_caption(provider: ConceptProvider, dataset: Dataset, indices: np.ndarray) -> str:
    """Return the image's name of a differ group, of a share group the value that a label column gives it, if any."""
    if provider.relation == "differ":
        return Path(dataset.path(int(indices[0]))).name
    column = dataset.column(provider.concept)
    if column is None:
        return ""
    labels = dataset.labels[column]
    values = labels.values[indices]
    low, high = (
        f"{value:.3g}" if labels.continuous else str(value) if labels.names is None else labels.names[value]
        for value in (values.min(), values.max())
    )
    return low if low == high else f"{low} – {high}"
