"""Fit a translator to a material as inferred: optimise, compare with the closed form, prove; nothing is written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..distributed import from_main, is_main_rank, world_size
from ..interpretation.opening import FEATURE_NOISE, versions
from ..plan import WIDE, TranslatorPlan
from ..progress import Reporter, Silent
from ..sizing.paired_latents import PairedLatents
from ..training.logs import RunLog
from ..training.loop import ADVICE, LoopResult, Schedule, optimise
from ..training.parallel import batch_part
from ..translator.alignment import Alignment, alignments
from ..translator.factors import Factors
from ..translator.feature_noise import FeatureNoise
from ..translator.flow import Translator
from ..translator.round_trip import round_trip_error
from .inference import Inferred
from .materials import Material
from .separation import Separation, separate, worse
from .streams import PairStream
from .translator_fit import TranslatorFit, log_det_error

__all__ = ["FitFigures", "Fitted", "fit_material"]

PROOF_ROWS = 1000
# A fit that gains this part of everything at each of its last validations was stopped too early.
STILL = 0.01
ROUND_TRIP_LIMIT = 1e-4
# After patience has run out the rate falls to zero within this part of the steps to the best weights.
COOLDOWN = 1.0
# Of a limit in seconds, the part kept for the proofs that follow the steps.
PROOFS = 0.03
# A learning rate so many times the default is the likely cause of a fit that diverges.
FAST = 3.0


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


def fit_material(
    material: Material,
    inferred: Inferred,
    device: torch.device,
    report: Reporter | None = None,
    state: Path | None = None,
    resume: bool = False,
    started: float | None = None,
    log: RunLog | None = None,
) -> Fitted:
    """Fit a translator to `material` as inferred and prove it: Eqs 4–10 for pairs, Eq 12 for single latents.

    Args:
        state: file in which an interrupted fit is kept; None keeps nothing.
        resume: continue the fit in `state` exactly.
        started: when the plan's `max_seconds` began, in seconds of `time.monotonic`; None is now.
        log: gets the figures as the fit goes.

    A fit with a `state` that diverges returns the best weights so far, if there are any; `loop.diverged` says why.
    Under torchrun all processes share every step. Raises DataError for latents that do not vary or are too few,
    DivergedError where the fit diverges, CheckpointError for a state that does not fit.

    >>> import numpy as np
    >>> from iin_cli.fitting.inference import infer
    >>> from iin_cli.fitting.pairs import Pairs
    >>> from iin_cli.plan import Wishes
    >>> labels = np.arange(200) % 2
    >>> z = np.random.default_rng(0).normal(size=(200, 4)) + 3 * labels[:, None]
    >>> material, cpu = Pairs(z).share("side", labels).material(Silent()), torch.device("cpu")
    >>> inferred = infer(material, Wishes(steps=5, blocks=1, hidden=8, dims={"side": 1}), 0, cpu, Silent())
    >>> fitted = fit_material(material, inferred, cpu)
    >>> fitted.factors.dims, fitted.loop.steps, fitted.figures.round_trip_error < 1e-4
    ({'side': 1, 'residual': 3}, 5, True)
    """
    report, plan, began = report or Silent(), inferred.plan, time.monotonic()
    translator = _translator(inferred).to(device)
    stream = material.stream(inferred.factors, plan, inferred.seed)
    fit = TranslatorFit(translator, stream, plan, inferred.seed, device, _wanted(inferred, stream), report)
    if not resume:
        fit.initialize(inferred.spectrum, None if inferred.base is None else inferred.base.noise)
    if world_size() > 1 and plan.steps:
        fit.distribute(batch_part(len(stream.batch(0).z_a), device))
    closed_form = _closed_form(fit, inferred, material) if is_main_rank() else None
    schedule = Schedule(
        plan.steps,
        from_main(_seconds_left(plan, began if started is None else started, closed_form, report)),
        plan.validate_every,
        plan.patience,
        COOLDOWN if plan.decay == "cosine" else 0.0,
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
        log=log,
    )
    report.note(f"{loop.rows_per_second:.0f} rows/s over {loop.steps} steps; best at step {loop.best_step}")
    if _still_improving(loop):
        report.note("the fit was still improving when it ended: give it more --steps, or a longer --max-seconds")
    translator.eval().requires_grad_(False)
    separations = from_main(_compared(fit, inferred, closed_form, report) if closed_form else {})
    figures = replace(from_main(_measured(fit, loop) if is_main_rank() else None), **separations)
    # Written so that NaN is told too.
    if not figures.round_trip_error <= ROUND_TRIP_LIMIT:
        report.warn(f"the round trip T⁻¹(T(z)) is off by {figures.round_trip_error:.1e} of a component's std")
    return Fitted(translator, inferred, loop, figures, fit.noise, material.provenance)


def _translator(inferred: Inferred) -> Translator:
    """Build the translator that is fitted, as it is before any fit."""
    plan = inferred.plan
    config: dict[str, Any] = {
        "dim": sum(inferred.sizes),
        "blocks": plan.blocks,
        "hidden": plan.hidden,
        "depth": plan.depth,
        "seed": inferred.seed,
        "linear_start": plan.linear_start,
        "within": inferred.sizes if plan.within else None,
        "gaussianise": plan.gaussianise,
    }
    return Translator(**config) if inferred.base is None else inferred.base.continued(config)


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


@dataclass(frozen=True)
class _ClosedForm:
    """What a fit starts from: its separation of the concepts of `latents`, which took `seconds` to measure."""

    separation: dict[str, Separation]
    latents: PairedLatents | None
    seconds: float


def _closed_form(fit: TranslatorFit, inferred: Inferred, material: Material) -> _ClosedForm:
    """Measure how the closed form separates concepts; nothing for the presets and without concepts."""
    began = time.monotonic()
    if inferred.spectrum is None or not inferred.spectrum.concepts:
        return _ClosedForm({}, None, 0.0)
    latents, whitening = material.paired_latents(inferred.seed), inferred.spectrum.whitening().to(fit.device)
    begin = (lambda z: whitening(z)[0]) if inferred.base is None else inferred.base.behind(whitening)
    found = separate(begin, inferred.factors, latents, fit.device)
    return _ClosedForm(found, latents, time.monotonic() - began)


def _seconds_left(plan: TranslatorPlan, started: float, start: _ClosedForm | None, report: Reporter) -> float | None:
    """Return how long the steps may take, so that the proofs after them end within `max_seconds` too."""
    if plan.max_seconds is None or start is None:
        return None
    left = plan.max_seconds * (1 - PROOFS) - (time.monotonic() - started) - start.seconds
    if left <= 0 and plan.steps:
        report.warn(
            f"{plan.max_seconds:g} seconds leave none for the steps: what is inferred before them and measured after "
            "them takes longer; give a longer --max-seconds, or --method linear"
        )
    return max(left, 0.0)


def _compared(fit: TranslatorFit, inferred: Inferred, start: _ClosedForm, report: Reporter) -> dict[str, Any]:
    """Measure the separation, and return to the closed form where the flow separates a concept worse."""
    if start.latents is None:
        return {}
    found, linear = start.separation, inferred.plan.method == "linear"
    if not linear or inferred.plan.gaussianise:
        found = separate(lambda z: fit.translator(z)[0], inferred.factors, start.latents, fit.device)
    if not linear and (lost := worse(found, start.separation)):
        report.note(
            f"the flow separates {', '.join(lost)} worse than the closed form that it started from: "
            "the closed form is kept"
        )
        fit.translator.begin_at_identity()
        found = start.separation
    return {"separation": found, "separation_linear": start.separation}


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
