"""What is inferred before a fit: sizes and correlations of the factors, the plan and its cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..distributed import bfloat16_is_fast, world_size
from ..errors import UsageError, nearest
from ..latents.dominance import Dominance
from ..plan import Cost, TranslatorPlan, Wishes, plan_translator
from ..progress import Reporter
from ..translator.dims import allocate, complete
from ..translator.factors import RESIDUAL, Factors
from ..translator.pair_moments import MANY_ROWS
from ..translator.spectrum import PairSpectrum
from .deciding import spectrum_of
from .extending import Base
from .materials import Material
from .translator_fit import fitting_speed

__all__ = ["Inferred", "infer", "size_factors"]

# Concepts of which more lies in common directions are reported.
OVERLAP = 0.5


@dataclass(frozen=True)
class Inferred:
    """What is inferred before a fit.

    Attributes:
        factors: names and sizes.
        scores: concept -> score of Eq 11, where sizes were inferred.
        plan: how the translator is built and fitted.
        cost: what the fit takes, estimated.
        seed: of the fit.
        dominance: the few latents that make much of the variance, where sizes were inferred from it.
        spectrum: of the concepts' pairs, with the closed form that a fit starts from; None for the published presets.
        base: the translator that `factors` are added to; of it, the spectrum and the plan are of the residual.
    """

    factors: Factors
    scores: dict[str, float]
    plan: TranslatorPlan
    cost: Cost
    seed: int
    dominance: Dominance | None = None
    spectrum: PairSpectrum | None = None
    base: Base | None = None

    @property
    def sizes(self) -> list[int]:
        """Sizes of the factors that are fitted: all, or those of the residual of `base`."""
        kept = 0 if self.base is None else len(self.base.factors) - 1
        return list(self.factors.dims.values())[kept:]

    def behind(self, base: Base) -> Inferred:
        """Return the fit to the whole of z of what was inferred from the residual of `base`."""
        # What is added sees what the base makes of latents with the base's own noise.
        plan = replace(self.plan, feature_noise=base.noise_fraction)
        return replace(self, factors=base.extended(self.factors), plan=plan, base=base)

    def as_dict(self) -> dict[str, Any]:
        """Return what a continuation must agree with, as `plan.json` keeps it."""
        return {"factors": self.factors.dims, "scores": self.scores, "plan": self.plan.as_dict(), "seed": self.seed}


def infer(material: Material, wishes: Wishes, seed: int, device: torch.device, report: Reporter) -> Inferred:
    """Infer factors, plan and cost of a fit to `material`; what `wishes` says is taken as it is.

    Warns of few latents that make much of the variance. Raises UsageError for unknown names, or sizes that do not sum
    to N, DataError for latents that do not vary.
    """
    scores = {} if wishes.dims else material.scores(seed, wishes.estimator)
    dominance = material.dominance(report) if scores else None
    rows, stochastic = material.rows, material.table.stochastic
    plan = plan_translator(
        material.dim, rows, device.type, wishes, not stochastic, bfloat16_is_fast(device), bool(material.relations)
    )
    factors = size_factors(material, scores, wishes.dims, plan)
    spectrum = None
    if plan.linear_start:
        sizes = {name: size for name, size in factors.dims.items() if name != RESIDUAL} if wishes.dims else None
        spectrum = spectrum_of(material, sizes, seed)
        _tell(spectrum, report)
        plan = _informed(plan, spectrum, wishes, stochastic, material.partly_known)
        factors = size_factors(material, scores, spectrum.sizes, plan)
    report.note(f"factors {', '.join(f'{name} {size}' for name, size in factors.dims.items())} of {material.dim}")
    # Processes share every step.
    speed = fitting_speed(device, plan, material.dim) * world_size()
    cost = plan.cost(material.dim, speed, list(factors.dims.values()))
    if plan.method == "linear" and wishes.method == "auto":
        report.note(
            f"the closed form: a flow would overfit {rows} latents, fewer than 10·N = {MANY_ROWS * material.dim}; "
            "--method flow fits one"
        )
    report.note(cost.sentence(plan.steps))
    return Inferred(factors, scores, plan, cost, seed, dominance, spectrum)


def _tell(spectrum: PairSpectrum, report: Reporter) -> None:
    """Warn of concepts that are not there, and of those that overlap."""
    for name in spectrum.absent:
        report.warn(
            f"concept {name} is not in the latents: its pairs explain no direction beyond chance, so its factor, of "
            f"{spectrum.sizes[name]} dimension{'s' * (spectrum.sizes[name] > 1)}, means nothing"
        )
    for overlap in spectrum.overlaps:
        if overlap.part > OVERLAP and not {overlap.first, overlap.second} & set(spectrum.absent):
            report.warn(
                f"concepts {overlap.first} and {overlap.second} overlap: {overlap.part:.0%} of the smaller lies in the "
                "directions of the other; what both explain went to the one that explains more"
            )


def _informed(
    plan: TranslatorPlan, spectrum: PairSpectrum, wishes: Wishes, stochastic: bool, partly_known: bool
) -> TranslatorPlan:
    """Take noise and correlations from the spectrum where the user gave none."""
    if wishes.feature_noise is None and not stochastic:
        plan = replace(plan, feature_noise=max(plan.feature_noise, spectrum.noise))
    # Pairs that correlate less than a wished-for σ would be taken for pairs that share nothing.
    if wishes.sigma is None and (plan.method == "linear" or partly_known):
        return replace(plan, sigmas={name: sigma for name, sigma in spectrum.sigmas.items() if name != RESIDUAL})
    # An absent concept must not be asked for a correlation that its pairs have not.
    absent = {name: spectrum.sigmas[name] for name in spectrum.absent if name not in plan.sigmas}
    return replace(plan, sigmas={**plan.sigmas, **absent})


def size_factors(
    material: Material, scores: Mapping[str, float], dims: Mapping[str, int] | None, plan: TranslatorPlan
) -> Factors:
    """Size the factors as `dims` says, else by `scores` (Eq 11).

    Raises UsageError for names of no concept, and for sizes that do not sum to N.
    """
    wanted = list(material.relations)
    for name in plan.sigmas:
        if name not in wanted:
            raise UsageError(f"--sigma names {name!r}: {nearest(name, wanted)}")
    if not dims:
        sizes = allocate(scores, material.dim)
    else:
        given = [name for name in dims if name != RESIDUAL]
        if sorted(given) != sorted(wanted):
            raise UsageError(
                f"--dims names {', '.join(given) or 'nothing'}; the concepts are {', '.join(wanted) or 'none'}"
            )
        in_order = [*wanted, *([RESIDUAL] if RESIDUAL in dims else [])]
        sizes = complete({name: dims[name] for name in in_order}, material.dim)
    return Factors.of(sizes, {name: plan.sigmas.get(name, plan.sigma) for name in sizes}, material.relations)
