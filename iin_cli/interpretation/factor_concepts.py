"""Concepts of factors: how the concept is written that a factor was made of, and those that a user names."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import DataError, UsageError, nearest
from ..plugin_api import ConceptProvider, Dataset
from ..registry import names
from ..translator.factors import RESIDUAL, Factors
from .grouping import find_providers

__all__ = ["concept_of_factor", "given_concepts"]


def concept_of_factor(name: str, factors: Factors, dataset: Dataset) -> str:
    """Say how to write the concept of factor `name`, whose argument a checkpoint does not keep.

    Raises DataError where neither a concept nor a column of the data is called so.
    """
    relation = {factor.name: factor.relation for factor in factors}[name]
    column = dataset.column(name)
    is_measured = column is not None and dataset.labels[column].continuous
    if relation == "share" and is_measured:
        return f"attribute:{name}"
    if name in names("concepts"):
        return name
    if column is None:
        raise DataError(
            f"{dataset.name} has no label {name!r}, nor is there a concept of that name: write it by --concept"
        )
    return f"redraw:{name}" if relation == "differ" else f"label:{column}"


def given_concepts(wanted: Sequence[str], factors: Factors) -> dict[str, ConceptProvider]:
    """Return the concepts `NAME[:ARGUMENT]` by name. UsageError for one that is unknown or no factor."""
    given = {provider.concept: provider for provider in find_providers(wanted)}
    concepts = [name for name in factors.names if name != RESIDUAL]
    for name in given:
        if name not in concepts:
            raise UsageError(f"--concept: the translator has no factor {name!r}: {nearest(name, concepts)}")
    return given
