"""Fit a translator to a material: infer its factors and its plan, optimise, prove; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..distributed import bfloat16_is_fast, from_main, is_main_rank, world_size
from ..errors import UsageError, nearest
from ..interpretation.opening import FEATURE_NOISE, versions
from ..latents.dominance import Dominance
from ..plan import WIDE, Cost, TranslatorPlan, Wishes, plan_translator
from ..progress import Reporter, Silent
from ..training.loop import ADVICE, LoopResult, Schedule, optimise
from ..training.parallel import batch_part
from ..translator.alignment import Alignment, alignments
from ..translator.dims import allocate, complete
from ..translator.factors import RESIDUAL, Factors
from ..translator.feature_noise import FeatureNoise
from ..translator.flow import Translator
from ..translator.pair_moments import MANY_ROWS
from ..translator.round_trip import round_trip_error
from ..translator.spectrum import PairSpectrum
from .materials import Material
from .separation import Separation, separate, worse
from .streams import PairStream
from .translator_fit import TranslatorFit, fitting_speed, log_det_error

__all__ = ["FitFigures", "Fitted", "Inferred", "fit_material", "infer", "size_factors"]

PROOF_ROWS = 1000
# Concepts of which more lies in common directions are reported.
OVERLAP = 0.5
# A fit that gains this part of everything at each of its last validations was stopped too early.
STILL = 0.01
ROUND_TRIP_LIMIT = 1e-4
# A learning rate so many times the default is the likely cause of a fit that diverges.
FAST = 3.0


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
    """

    factors: Factors
    scores: dict[str, float]
    plan: TranslatorPlan
    cost: Cost
    seed: int
    dominance: Dominance | None = None
    spectrum: PairSpectrum | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what a continuation must agree with, as `plan.json` keeps it."""
        return {"factors": self.factors.dims, "scores": self.scores, "plan": self.plan.as_dict(), "seed": self.seed}


@dataclass(frozen=True)
class FitFigures:
    """What was measured of a fitted translator.

    Attributes:
        train_nll, heldout_nll: nats per latent.
        bits_per_dim: `heldout_nll` in bits per dimension.
        round_trip_error: max |T⁻¹(T(z)) − z| over held-out latents in float32, in stds of each component.
        log_det_error: float32 log-determinant against autograd.
        separation: concept -> what its own factor and all others tell of held-out pairs.
        separation_linear: the same of the closed form that the fit started from.
    """

    train_nll: float
    heldout_nll: float
    bits_per_dim: float
    round_trip_error: float
    log_det_error: float
    separation: dict[str, Separation] = field(default_factory=dict)
    separation_linear: dict[str, Separation] = field(default_factory=dict)


@dataclass(frozen=True)
class Fitted:
    """A fitted translator, with everything that made it.

    Attributes:
        translator: T in evaluation mode, on the device of the fit. Of several processes only the main one has the best
            weights.
        inferred: factors, plan, seed.
        loop: what the optimisation did; `history` has the figures of every validation.
        figures: what was measured of the result.
        noise: the feature noise it was fitted with; zeros mean none.
        provenance: network and data, as a checkpoint remembers them.
    """

    translator: Translator
    inferred: Inferred
    loop: LoopResult
    figures: FitFigures
    noise: FeatureNoise
    provenance: dict[str, Any]

    @property
    def factors(self) -> Factors:
        """Names and sizes of the factors."""
        return self.inferred.factors

    @property
    def plan(self) -> TranslatorPlan:
        """How it was built and fitted."""
        return self.inferred.plan

    @property
    def history(self) -> list[dict[str, float]]:
        """The figures of every validation."""
        return self.loop.history

    def tensors(self) -> dict[str, Tensor]:
        """Return what its checkpoint holds: T's weights, and the noise where there is some."""
        noise = {FEATURE_NOISE: self.noise.std} if self.noise else {}
        return {**self.translator.state_dict(), **noise}

    def metadata(self, proofs: Mapping[str, float | None] | None = None) -> dict[str, Any]:
        """Return what its checkpoint says of it; `proofs` are figures measured besides."""
        training = {
            **self.plan.as_dict(),
            **asdict(self.figures),
            **(proofs or {}),
            "seed": self.inferred.seed,
            "steps": self.loop.steps,
            "best_step": self.loop.best_step,
            "seconds": round(self.loop.seconds, 2),
            "rows_per_second": round(self.loop.rows_per_second, 1),
        }
        return {
            "kind": "translator",
            "name": "translator",
            "config": self.translator.config,
            "factors": self.factors.as_json(),
            **self.provenance,
            "training": training,
            "versions": versions(),
        }


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
        spectrum = material.paired_latents(seed).spectrum(sizes, seed)
        _tell(spectrum, report)
        plan = _informed(plan, spectrum, wishes, stochastic)
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


def _informed(plan: TranslatorPlan, spectrum: PairSpectrum, wishes: Wishes, stochastic: bool) -> TranslatorPlan:
    """Take noise and correlations from the spectrum where the user gave none."""
    if wishes.feature_noise is None and not stochastic:
        plan = replace(plan, feature_noise=max(plan.feature_noise, spectrum.noise))
    if wishes.sigma is None and plan.method == "linear":
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


def fit_material(
    material: Material,
    inferred: Inferred,
    device: torch.device,
    report: Reporter | None = None,
    state: Path | None = None,
    resume: bool = False,
) -> Fitted:
    """Fit a translator to `material` as inferred and prove it: Eqs 4–10 for pairs, Eq 12 for single latents.

    Args:
        state: file in which an interrupted fit is kept; None keeps nothing.
        resume: continue the fit in `state` exactly.

    A fit with a `state` that diverges returns the best weights so far, if there are any; `loop.diverged` says why.
    Under torchrun all processes share every step. Raises DataError for latents that do not vary or are too few,
    DivergedError where the fit diverges, CheckpointError for a state that does not fit.

    >>> import numpy as np
    >>> from iin_cli.fitting.pairs import Pairs
    >>> labels = np.arange(200) % 2
    >>> z = np.random.default_rng(0).normal(size=(200, 4)) + 3 * labels[:, None]
    >>> material, cpu = Pairs(z).share("side", labels).material(Silent()), torch.device("cpu")
    >>> inferred = infer(material, Wishes(steps=5, blocks=1, hidden=8, dims={"side": 1}), 0, cpu, Silent())
    >>> fitted = fit_material(material, inferred, cpu)
    >>> fitted.factors.dims, fitted.loop.steps, fitted.figures.round_trip_error < 1e-4
    ({'side': 1, 'residual': 3}, 5, True)
    """
    report, plan = report or Silent(), inferred.plan
    within = list(inferred.factors.dims.values()) if plan.within else None
    translator = Translator(
        material.dim,
        plan.blocks,
        plan.hidden,
        plan.depth,
        inferred.seed,
        plan.linear_start,
        within,
        plan.gaussianise,
    ).to(device)
    stream = material.stream(inferred.factors, plan, inferred.seed)
    fit = TranslatorFit(translator, stream, plan, inferred.seed, device, _wanted(inferred, stream))
    if not resume:
        fit.initialize(inferred.spectrum)
    if world_size() > 1 and plan.steps:
        fit.distribute(batch_part(len(stream.batch(0).z_a), device))
    schedule = Schedule(
        plan.steps,
        plan.max_seconds,
        plan.validate_every,
        plan.patience,
        stream.rows_per_step,
        from_start=plan.linear_start,
        advice=_advice(plan),
    )
    loop = optimise(
        fit,
        schedule,
        state_path=state,
        resume=resume,
        description="fitting the translator",
        report=report,
        salvage=state is not None,
    )
    report.note(f"{loop.rows_per_second:.0f} rows/s over {loop.steps} steps; best at step {loop.best_step}")
    if _still_improving(loop):
        report.note("the fit was still improving when it ended: give it more --steps, or a longer --max-seconds")
    translator.eval().requires_grad_(False)
    separations = from_main(_compared(fit, inferred, material, report) if is_main_rank() else None)
    figures = replace(from_main(_measured(fit, loop) if is_main_rank() else None), **separations)
    # Written so that NaN is told too.
    if not figures.round_trip_error <= ROUND_TRIP_LIMIT:
        report.warn(f"the round trip T⁻¹(T(z)) is off by {figures.round_trip_error:.1e} of a component's std")
    return Fitted(translator, inferred, loop, figures, fit.noise, material.provenance)


def _advice(plan: TranslatorPlan) -> str:
    """Say what to do about a fit that diverges, by its likely cause."""
    if plan.learning_rate > FAST * plan.usual_rate:
        times = plan.learning_rate / plan.usual_rate
        return f"--learning-rate {plan.learning_rate:g} is {times:,.0f} times the default {plan.usual_rate:g}: lower it"
    return ADVICE


def _still_improving(loop: LoopResult) -> bool:
    """Say whether the last validations gained more than a hundredth of all that was gained, each."""
    scores = [figures["score"] for figures in loop.history if "score" in figures]
    if loop.stopped in ("held-out", "diverged") or len(scores) < 3:
        return False
    return min(scores[-3] - scores[-2], scores[-2] - scores[-1]) > STILL * (max(scores) - min(scores)) > 0


def _wanted(inferred: Inferred, stream: PairStream) -> dict[str, tuple[Alignment, ...]]:
    absent = inferred.spectrum.absent if inferred.spectrum is not None else ()
    return {name: alignments(inferred.factors, mask, absent) for name, mask in stream.masks.items()}


def _compared(fit: TranslatorFit, inferred: Inferred, material: Material, report: Reporter) -> dict[str, Any]:
    """Measure the separation, and return to the closed form where the flow separates a concept worse."""
    if inferred.spectrum is None or not inferred.spectrum.concepts:
        return {}
    latents, whitening = material.paired_latents(inferred.seed), inferred.spectrum.whitening().to(fit.device)
    start = found = separate(lambda z: whitening(z)[0], inferred.factors, latents, fit.device)
    linear = inferred.plan.method == "linear"
    if not linear or inferred.plan.gaussianise:
        found = separate(lambda z: fit.translator(z)[0], inferred.factors, latents, fit.device)
    if not linear and (lost := worse(found, start)):
        report.note(
            f"the flow separates {', '.join(lost)} worse than the closed form that it started from: "
            "the closed form is kept"
        )
        fit.translator.begin_at_identity()
        found = start
    return {"separation": found, "separation_linear": start}


def _measured(fit: TranslatorFit, loop: LoopResult) -> FitFigures:
    z = torch.cat([batch.z_a for batch in fit.held_out.values()])[:PROOF_ROWS].to(fit.device)
    held_out = fit.validate()
    return FitFigures(
        # The validation of the start has none, and a fit that diverges may have no other.
        train_nll=loop.history[-1]["train_nll"] if "train_nll" in loop.history[-1] else fit.train_nll(),
        heldout_nll=held_out["heldout_nll"],
        bits_per_dim=held_out["bits_per_dim"],
        round_trip_error=round_trip_error(fit.translator, z),
        log_det_error=log_det_error(fit.translator, z[: 8 if fit.translator.dim <= WIDE else 1]),
    )
