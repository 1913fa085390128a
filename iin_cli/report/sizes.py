"""Sizes of the factors: is each concept in the network's features, and how many dimensions does Eq 11 give it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import DataError, attempt
from ..interpretation.grouping import find_providers
from ..plugin_api import Dataset
from ..sizing.estimate import estimate
from ..sizing.evidence import Evidence
from ..translator.dims import allocate, allocate_calibrated
from ..translator.factors import RESIDUAL
from .command_lines import written_concept
from .page import Block, Fault, Table, Text
from .subject import ReportSubject
from .words import SIZES

__all__ = ["sizes"]


def sizes(subject: ReportSubject) -> list[Block]:
    """Weigh every concept on training images."""
    part = subject.dataset.subset("train", subject.data.training_items(subject.training_count))
    found: dict[str, Evidence] = {}
    failed: dict[str, str] = {}
    for name in subject.concepts:
        why = attempt(lambda name=name: found.update({name: _weighed(subject, part, name)}))
        if why is not None:
            failed[name] = why
    if not found:
        raise DataError("; ".join(f"{name}: {why}" for name, why in failed.items()) or "the translator has no concepts")
    for name, evidence in found.items():
        subject.note(name, in_the_network=evidence.verdict)
    title = f"Sizes, from {len(part.splits['train']):,} training images"
    failures = [Fault(name, why) for name, why in failed.items()]
    again = subject.again(lambda lines: [lines.dims()], "Measure on all training images")
    return [Text(SIZES), Table(title, _rows(subject.opened.factors.dims, found)), *failures, *again]


def _weighed(subject: ReportSubject, part: Dataset, name: str) -> Evidence:
    providers = find_providers([written_concept(name, subject.opened, subject.dataset)])
    given = subject.effort.resampling
    resampling = replace(given, seed=subject.seed) if given is not None else None
    result = estimate(subject.network, part, providers, "variance", subject.seed, subject.report, resampling)
    # A concept may call itself by another name than the factor that was made of it.
    return next(iter(result.evidence.values()))


def _rows(dims: Mapping[str, int], found: Mapping[str, Evidence]) -> list[dict[str, Any]]:
    """Return one row for every concept that could be weighed; `dims` are the sizes of all factors."""
    total, scores = sum(dims.values()), {name: evidence.score.value for name, evidence in found.items()}
    calibrated = allocate_calibrated({name: evidence.excess for name, evidence in found.items()}, total)
    # Eq 11 shares out among all concepts and the residual: without one of them it says nothing.
    is_complete = len(found) == sum(name != RESIDUAL for name in dims)
    rows = []
    for name, evidence in found.items():
        score = evidence.score
        given, low, high, absent = (
            allocate({**scores, name: value}, total)[name] for value in (score.value, score.low, score.high, 0.0)
        )
        by_equation = {"Eq 11 [95 %]": f"{given} [{low}, {high}]", "if absent": absent, "calibrated": calibrated[name]}
        rows.append(
            {"factor": name, "this translator": dims[name]}
            | (by_equation if is_complete else {})
            | {"score [95 %]": f"{score:.3g}"}
            | {"score if absent": f"{evidence.null.low:.3g} … {evidence.null.high:.3g}"}
            | {"p": evidence.p_value, "verdict": evidence.verdict}
        )
    return rows
