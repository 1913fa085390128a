"""Matched pairs: for an image, another that differs in one concept and has the others, as its labels say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from ..plugin_api import Dataset

__all__ = ["matched_partners"]

# Partners looked at of one image; among so many the best is good enough.
MOST_PARTNERS = 500


def matched_partners(
    dataset: Dataset, items: np.ndarray, among: np.ndarray, column: str, held: Sequence[str], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each of `items` (M,) a partner of `among` with another label in `column` and equal ones in `held`.

    Of several, one that agrees in most of the other columns of labels is drawn by `seed`: the same picture in another
    texture rather than another picture. Returns the rows (P,) of `items` that have a partner, and the partners (P,).

    Raises DataError where no item has one.
    """
    values = {name: np.asarray(each.values) for name, each in dataset.labels.items() if not each.continuous}
    others = [values[name] for name in values if name != column and name not in held]
    generator, members = np.random.default_rng(seed), _members(among, [values[name] for name in held])
    rows, partners = [], []
    for row, item in enumerate(items.tolist()):
        there = members.get(tuple(int(values[name][item]) for name in held), np.empty(0, np.int64))
        there = there[values[column][there] != values[column][item]]
        if not len(there):
            continue
        if len(there) > MOST_PARTNERS:
            there = generator.choice(there, MOST_PARTNERS, replace=False)
        agreeing = sum(((other[there] == other[item]).astype(np.int64) for other in others), np.zeros(len(there)))
        partners.append(int(generator.choice(there[agreeing == agreeing.max()])))
        rows.append(row)
    if not rows:
        raise DataError(f"no two images of {dataset.name} differ in {column} and agree in {', '.join(held)}")
    return np.array(rows), np.array(partners)


def _members(among: np.ndarray, held: Sequence[np.ndarray]) -> dict[tuple[int, ...], np.ndarray]:
    """Return the items with each combination of labels."""
    keys = np.stack([each[among] for each in held], 1)
    found, place = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(place.ravel(), kind="stable")
    parts = np.split(among[order], np.cumsum(np.bincount(place.ravel()))[:-1])
    return {tuple(key): part for key, part in zip(found.tolist(), parts, strict=True)}
