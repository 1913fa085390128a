"""The contract of a concept, checked when it groups: what a plugin's says of itself, its groups, its renderings."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from ..errors import IinError, PluginError
from ..plugin_api import Circumstances, ConceptProvider, Dataset, Groups, Relation

__all__ = ["check_groups", "wrong_attribute"]

# Renderings of more variants are as likely to be right as these.
MOST_VARIANTS = 4


def wrong_attribute(provider: Any) -> str | None:
    """Say what `provider` says wrongly of itself; None where it keeps the contract of `plugin_api.ConceptProvider`."""
    if not isinstance(provider, ConceptProvider):
        return f"it made a {type(provider).__name__} instead of a ConceptProvider"
    for name in ("concept", "fingerprint"):
        value = getattr(provider, name, None)
        if not isinstance(value, str) or not value:
            return f"its {name} is {value!r:.60}, and must be a text"
    relation = getattr(provider, "relation", None)
    if relation not in get_args(Relation):
        return f"its relation is {relation!r:.60}, and must be {' or '.join(get_args(Relation))}"
    return None


def check_groups(
    provider: ConceptProvider, found: Any, dataset: Dataset, indices: np.ndarray, circumstances: Circumstances
) -> Groups:
    """Return what `provider` made of items `indices` (M,); one rendering of every variant is tried.

    Raises PluginError naming the provider where it breaks the contract; built-in concepts are not tried.
    """
    if type(provider).__module__.partition(".")[0] == __name__.partition(".")[0]:
        return found
    wrong = _wrong_groups(found, indices)
    if wrong is None:
        try:
            wrong = _wrong_renderings(provider, found, dataset, circumstances)
        except (IinError, MemoryError):
            raise
        except Exception as error:
            wrong = f"it fails to draw, {type(error).__name__}: {error}"
    if wrong is not None:
        who = f"{type(provider).__module__}.{type(provider).__qualname__}"
        raise PluginError(f"concept {provider.concept!r} ({who}) breaks the contract of a concept: {wrong}")
    return found


def _wrong_groups(found: Any, indices: np.ndarray) -> str | None:
    if not isinstance(found, Groups):
        return f"groups must give Groups, and gives a {type(found).__name__}"
    columns = {name: getattr(found, name) for name in ("indices", "variants", "group_ids")}
    for name, values in columns.items():
        if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "iu":
            said = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
            return f"{name} must be whole numbers (M,), and are {said}"
    if len({len(values) for values in columns.values()}) > 1:
        return f"its columns have {', '.join(str(len(values)) for values in columns.values())} rows, not equally many"
    if len(strange := found.indices[~np.isin(found.indices, indices)]):
        return f"it groups item {strange[0]}, which it was not given"
    return "a variant is negative" if len(found.variants) and found.variants.min() < 0 else None


def _wrong_renderings(
    provider: ConceptProvider, found: Groups, dataset: Dataset, circumstances: Circumstances
) -> str | None:
    side = circumstances.image_size
    variants, first = np.unique(found.variants, return_index=True)
    for variant, row in [pair for pair in zip(variants.tolist(), first.tolist(), strict=True) if pair[0]][
        :MOST_VARIANTS
    ]:
        images = provider.draw(dataset, found.indices[row : row + 1], side, circumstances.interpolation, variant)
        if not isinstance(images, np.ndarray) or images.shape != (1, side, side, 3) or images.dtype != np.uint8:
            said = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
            return f"variant {variant} must be drawn as uint8 (B, S, S, 3), here (1, {side}, {side}, 3), and is {said}"
    return None
