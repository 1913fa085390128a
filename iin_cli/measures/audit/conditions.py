"""Names of the figures of an audit, and conditions on them: `leakage.color>0.1`."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import UsageError, nearest
from ...translator.factors import RESIDUAL, Factors

__all__ = ["Condition", "describe_names", "failures", "parse_conditions"]

# Longer signs first, since `>` begins `>=` too.
SIGNS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


@dataclass(frozen=True)
class Condition:
    """What fails an audit: the figure `name` beyond `bound`."""

    text: str
    name: str
    sign: str
    bound: float

    def holds(self, value: float) -> bool:
        """Say whether the figure is beyond the bound."""
        return bool(SIGNS[self.sign](value, self.bound))


def describe_names(factors: Factors) -> dict[str, str]:
    """Name every figure an audit of a translator with these factors may give, and say what it is."""
    concepts = [name for name in factors.names if name != RESIDUAL]
    names = {}
    for concept in concepts:
        names |= _of_concept(concept, factors)
    for factor in factors.names:
        names[f"gaussianity.{factor}"] = "energy coefficient of the block against N(0, I): 0 is normal"
        names[f"mean_error.{factor}"] = "mean square of the means of its dimensions"
        names[f"covariance_error.{factor}"] = "mean square of its covariance's distance from I"
    return {
        **names,
        "dci.disentanglement": "1 where every block tells of one concept only",
        "dci.completeness": "1 where one block only tells of every concept",
        "dci.informativeness": "mean over concepts of what all of z̃ tells, (score − chance)/(1 − chance)",
        "heldout_nll": "nats per latent, mean over concepts",
        "round_trip_error": "greatest |T⁻¹(T(z)) − z|, in stds of a component",
        "no_op_agreement": "share of images whose top class stays in G(T⁻¹(T(z))); classifiers only",
    }


def _of_concept(concept: str, factors: Factors) -> dict[str, str]:
    names = {}
    for factor in factors.names:
        names[f"correlation.{concept}.{factor}"] = f"correlation of block {factor} in pairs of {concept}"
    names[f"correlation_gap.{concept}"] = f"greatest deviation of these from what T was fitted to (σ or 0), {concept}"
    names[f"transfer.{concept}"] = f"{concept} is the source's after a swap of it, ÷ the judge's score without"
    names[f"preservation.{concept}"] = f"{concept} stays the target's when another factor is swapped, mean"
    for factor in factors.names:
        if factor != concept:
            names[f"preservation.{concept}.{factor}"] = f"{concept} stays the target's when {factor} is swapped"
    names[f"reconstruction.{concept}"] = f"the judge's score on {concept} without a swap; the yardstick"
    names[f"information.{concept}"] = f"share of the information on {concept} that its own block has"
    names[f"leakage.{concept}"] = f"share of the information on {concept} that the residual has"
    for factor in factors.names:
        if factor not in (concept, RESIDUAL):
            names[f"leakage.{concept}.{factor}"] = f"share of the information on {concept} that block {factor} has"
    names[f"informativeness.{concept}"] = f"(score − chance)/(1 − chance) on {concept} from all of z̃"
    names[f"mig.{concept}"] = f"information on {concept} of the best block beyond the second best"
    names[f"heldout_nll.{concept}"] = f"nats per latent on test pairs of {concept}"
    return names


def parse_conditions(texts: Sequence[str], names: Sequence[str]) -> tuple[Condition, ...]:
    """Read conditions. UsageError for one that is none, or on a figure that an audit of this translator never gives.

    >>> parse_conditions(["mig.digit < 0.5"], ["mig.digit"])
    (Condition(text='mig.digit < 0.5', name='mig.digit', sign='<', bound=0.5),)
    """
    conditions = []
    for text in texts:
        match = re.fullmatch(r"\s*(\S.*?)\s*(>=|<=|>|<)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*", text)
        try:
            bound = float(match[3]) if match else None
        except ValueError:
            bound = None
        if match is None or bound is None:
            raise UsageError(f"--fail-if {text!r} is no condition: write NAME>NUMBER, as 'leakage.color>0.1'")
        if match[1] not in names:
            known = nearest(match[1], tuple(names))
            # Dozens of names are no help in one line.
            advice = known if known.startswith("did you mean") else "see them with --list-metrics"
            raise UsageError(f"--fail-if {text!r}: there is no figure {match[1]!r}: {advice}")
        conditions.append(Condition(text, match[1], match[2], bound))
    return tuple(conditions)


def failures(
    conditions: Sequence[Condition], values: Mapping[str, float], skipped: Mapping[str, str]
) -> tuple[str, ...]:
    """Return one line per condition that holds, or that cannot be judged because its figure was not measured."""
    lines = []
    for condition in conditions:
        value = values.get(condition.name)
        if value is None:
            why = skipped.get(condition.name) or next(
                (reason for part, reason in skipped.items() if condition.name.startswith(f"{part}.")), "no figure"
            )
            lines.append(f"{condition.text}: {condition.name} was not measured: {why}")
        elif condition.holds(value):
            lines.append(f"{condition.text}: {condition.name} is {value:.4g}")
    return tuple(lines)
