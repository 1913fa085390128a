"""Real edits: how far an answer moves when the image is really edited, and the share that an exchange reproduces.

Per image, `moved` is how far the answer to the really edited image lies from that to the original, and `reproduced` how
much of that way the exchange of one factor goes. An image is one item; its edits in several variants are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from .bootstrap import Interval, Resampling, bootstrap, mean_interval
from .response import FEWEST_ITEMS

__all__ = ["EditFigures", "RealEffect", "real_effect", "share_interval"]


@dataclass(frozen=True)
class EditFigures:
    """Figures of P edits, float64 (P,) each.

    Attributes:
        moved: how far the real edit moves the answer.
        exchanged: how far the exchange of the factor alone moves it.
        reproduced: how much of `moved` the exchange reproduces.
        by_chance: how much of it the exchange in random subspaces of the factor's size does, their mean.
    """

    moved: np.ndarray
    exchanged: np.ndarray
    reproduced: np.ndarray
    by_chance: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put parts one after the other."""
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def rows(self, chosen: np.ndarray) -> EditFigures:
        """Return some of the edits."""
        return EditFigures(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def per_image(self, image: np.ndarray) -> EditFigures:
        """Average the edits of every image; `image` (P,) says whose they are."""
        _, place, counts = np.unique(image, return_inverse=True, return_counts=True)
        return EditFigures(
            *(np.bincount(place, weights=getattr(self, name)) / counts for name in self.__dataclass_fields__)
        )


@dataclass(frozen=True)
class RealEffect:
    """What really editing images does to the answer, beside what exchanging one factor does.

    Attributes:
        edited: mean of `moved` over images: flips of the prediction, or the absolute change of the drawn image.
        exchanged: the same when only the factor is taken from the edited image.
        share: the share of the real movement that the exchange reproduces, None where too few images move.
        by_chance: the share that random subspaces of the factor's size reproduce.
        moving: images whose answer moves.
        variants: what each kind of edit does, where there is more than one.
    """

    edited: Interval
    exchanged: Interval
    share: Interval | None
    by_chance: Interval | None
    moving: int
    variants: dict[str, RealEffect] = field(default_factory=dict)

    def row(self) -> dict[str, str]:
        """Return the effect as cells of a table."""
        return {
            "real edit": f"{self.edited:.2g}",
            "factor exchanged": f"{self.exchanged:.2g}",
            "share reproduced": f"{self.share:.2g}" if self.share is not None else "-",
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the effect as JSON values."""
        found: dict[str, Any] = {
            name: each.as_dict() if each is not None else None
            for name, each in (
                ("edited", self.edited),
                ("exchanged", self.exchanged),
                ("share", self.share),
                ("share_by_chance", self.by_chance),
            )
        }
        found["moving"] = self.moving
        if self.variants:
            found["variants"] = {name: each.as_dict() for name, each in self.variants.items()}
        return found


def real_effect(figures: EditFigures, image: np.ndarray, variant: np.ndarray, seed: int = 0) -> RealEffect:
    """Summarise P edits of images: `image` (P,) numbers the image, `variant` (P,) names the kind of edit.

    Intervals are over images. Raises DataError for no edit or figures that are not finite.
    """
    whole = _effect(figures.per_image(image), seed)
    kinds = list(dict.fromkeys(variant.tolist()))
    if len(kinds) < 2:
        return whole
    parts = {kind: np.flatnonzero(variant == kind) for kind in kinds}
    by_kind = {kind: _effect(figures.rows(rows).per_image(image[rows]), seed) for kind, rows in parts.items()}
    return RealEffect(whole.edited, whole.exchanged, whole.share, whole.by_chance, whole.moving, by_kind)


def share_interval(part: np.ndarray, whole: np.ndarray, seed: int = 0) -> Interval | None:
    """Return Σ part / Σ whole of figures (M,) of M images with its interval; None where fewer than six images move.

    >>> share_interval(np.ones(8), np.full(8, 2.0)).value
    0.5
    """
    if np.count_nonzero(whole) < FEWEST_ITEMS:
        return None

    def ratio(chosen: np.ndarray) -> float:
        total = whole[chosen].sum()
        return part[chosen].sum() / total if total else np.nan

    return bootstrap(ratio, len(whole), Resampling(seed=seed))


def _effect(figures: EditFigures, seed: int) -> RealEffect:
    return RealEffect(
        mean_interval(figures.moved, Resampling(seed=seed)),
        mean_interval(figures.exchanged, Resampling(seed=seed)),
        share_interval(figures.reproduced, figures.moved, seed),
        share_interval(figures.by_chance, figures.moved, seed),
        int(np.count_nonzero(figures.moved)),
    )
