"""Fit a translator: find → open → group → encode once → infer → fit → prove → save."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ..distributed import bfloat16_is_fast, choose_device, from_main, is_main_rank, leaders_first, world_size
from ..errors import UsageError
from ..interpretation.grouping import find_providers
from ..interpretation.opening import open_network, versions
from ..io import checkpoint
from ..io.rundir import write_json
from ..plan import WIDE, Cost, TranslatorPlan, Wishes, plan_translator
from ..progress import Reporter, Silent
from ..training.loop import LoopResult, Schedule, optimise
from ..training.parallel import batch_part, open_run_together
from ..training.resuming import resumable, seed_of_run
from ..translator.dims import as_estimator
from ..translator.factors import Factors
from ..translator.flow import Translator
from .attachment import Attachment
from .materials import Material, from_file, from_images, size_factors
from .pair_files import read_pairs
from .translator_fit import TranslatorFit, fitting_speed, log_det_error, round_trip_error

__all__ = ["FitResult", "fit_translator"]

PRODUCT = "translator.safetensors"
PROOF_ROWS = 1000
ROUND_TRIP_LIMIT = 1e-4


@dataclass(frozen=True)
class FitResult:
    """What was fitted.

    Attributes:
        checkpoint: the file; None after a dry run.
        factors: name -> dimensions.
        scores: concept -> score of Eq 11, where dimensions were inferred.
        train_nll, heldout_nll: nats per latent.
        round_trip_error: max |T⁻¹(T(z)) − z| over held-out latents in float32.
        log_det_error: float32 log-determinant against autograd.
        decode_error: max |f(x) − G(E(x))| over held-out images, where the backbone is a network cut in two.
        no_op_agreement: of a classifier, the fraction of held-out images whose class G(T⁻¹(T(z))) leaves as in f(x).
        rows_per_second: latents through the optimiser, per second of optimisation.
        plan: everything inferred.
        cost: what the fit was estimated to take, as `plan.Cost` says it.
        dominance: the few latents that make much of the variance, where dimensions were inferred from it.
    """

    checkpoint: str | None
    factors: dict[str, int]
    scores: dict[str, float]
    plan: dict[str, Any]
    seed: int
    cost: dict[str, Any] = field(default_factory=dict)
    dominance: dict[str, Any] | None = None
    parameters: int | None = None
    steps: int = 0
    best_step: int = 0
    stopped: str = ""
    seconds: float = 0.0
    rows_per_second: float = 0.0
    train_nll: float | None = None
    heldout_nll: float | None = None
    bits_per_dim: float | None = None
    round_trip_error: float | None = None
    log_det_error: float | None = None
    decode_error: float | None = None
    no_op_agreement: float | None = None
    out: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    def inferred(self) -> dict[str, Any]:
        """Return what was inferred before the fit, as `plan.json` keeps it."""
        return {"factors": self.factors, "scores": self.scores, "plan": self.plan, "seed": self.seed}

    def tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return the factors, and after a dry run the plan and its cost, as titled tables."""
        factors = [
            {"factor": name, "dims": size, "score": self.scores.get(name, 1.0 if self.scores else None)}
            for name, size in self.factors.items()
        ]
        plan = [{"plan": name, "value": value} for name, value in self.plan.items()]
        cost = [{"cost": name, "value": value} for name, value in self.cost.items()]
        return [("factors", factors)] + ([("plan", plan), ("cost", cost)] if self.checkpoint is None else [])


def fit_translator(
    backbone: str | None = None,
    concepts: Sequence[str] = (),
    *,
    latents: Path | None = None,
    data: str | None = None,
    data_root: Path | None = None,
    out: Path | None = None,
    dims: Mapping[str, int] | None = None,
    wishes: Wishes | None = None,
    estimator: str = "variance",
    weights: str = "default",
    layer: str | None = None,
    seed: int | None = None,
    device: str = "auto",
    dry_run: bool = False,
    resume: bool = False,
    report: Reporter | None = None,
) -> FitResult:
    """Fit T to the latents of `backbone` for `concepts`, or to a file of `latents`; without concepts by Eq 12.

    Args:
        backbone: checkpoint, run folder, or registered name.
        concepts: `NAME[:ARGUMENT]`; factors come in this order, the residual last.
        latents: safetensors with `z`, or `z_a`, `z_b`, `mask`; then no backbone is needed.
        dims: concept -> dimensions, instead of Eq 11.
        dry_run: stop once everything is inferred.
        resume: go on with the interrupted run in `out`.

    Under torchrun all processes share every step; encoding is done by one of a machine while its others wait.

    Raises UsageError, DataError, CheckpointError, DivergedError as their docstrings say.
    """
    report, wishes, started = report or Silent(), wishes or Wishes(), time.monotonic()
    if (backbone is None) == (latents is None):
        raise UsageError("give either --backbone or --latents")
    where, kind = choose_device(device), as_estimator(estimator)
    seed = seed_of_run(out, PRODUCT, seed, resume)
    with open_run_together(out, _label(backbone, concepts), resume, dry_run) as folder:
        if folder is not None:
            report.note(f"run folder {folder}")
        # Check f = G∘E on images, group, encode once.
        attachment = None
        with leaders_first():
            if latents is not None:
                material = from_file(read_pairs(latents, concepts), dims, kind, report)
            else:
                providers = find_providers(concepts)
                opened = open_network(str(backbone), where, weights, layer)
                root = choose_root(data, opened.data, data_root)
                dataset = open_data(data, opened.data, root, report)
                attachment = Attachment(opened, dataset, where)
                attachment.describe(report)
                material = from_images(opened, providers, dataset, root, dims, kind, seed, where, report)
        # Infer the factors and the plan.
        plan, factors, cost = from_main(_inferred(material, dims, wishes, where))
        report.note(f"factors {', '.join(f'{name} {size}' for name, size in factors.dims.items())} of {material.dim}")
        error = attachment.decode_error if attachment is not None else None
        report.note(cost.sentence(plan.steps))
        inferred = FitResult(
            None,
            factors.dims,
            material.scores,
            plan.as_dict(),
            seed,
            cost=cost.as_dict(),
            dominance=material.dominance and material.dominance.as_dict(),
            decode_error=error,
        )
        if folder is None:
            return inferred
        # Fit T, prove it, save.
        with resumable(folder, {**material.provenance, **inferred.inferred()}, resume) as state:
            fit, loop = _fitted(material, factors, plan, seed, where, state, resume, report)
            result = None
            if is_main_rank():
                result = _saved(fit, loop, factors, material, inferred, attachment, folder, started, report)
            return from_main(result)


def _inferred(
    material: Material, dims: Mapping[str, int] | None, wishes: Wishes, device: torch.device
) -> tuple[TranslatorPlan, Factors, Cost]:
    plan = plan_translator(
        material.dim, material.rows, device.type, wishes, not material.stochastic, bfloat16_is_fast(device)
    )
    # Processes share every step.
    speed = fitting_speed(device, plan, material.dim) * world_size()
    return plan, size_factors(material, dims, plan), plan.cost(material.dim, speed)


def _fitted(
    material: Material,
    factors: Factors,
    plan: TranslatorPlan,
    seed: int,
    device: torch.device,
    state: Path,
    resume: bool,
    report: Reporter,
) -> tuple[TranslatorFit, LoopResult]:
    translator = Translator(material.dim, plan.blocks, plan.hidden, plan.depth, seed).to(device)
    stream = material.stream(factors, plan, seed)
    fit = TranslatorFit(translator, stream, plan, seed, device)
    if not resume:
        fit.initialize()
    if world_size() > 1:
        fit.distribute(batch_part(len(stream.batch(0).z_a), device))
    schedule = Schedule(plan.steps, plan.max_seconds, plan.validate_every, plan.patience, stream.rows_per_step)
    loop = optimise(fit, schedule, state_path=state, resume=resume, description="fitting the translator", report=report)
    report.note(f"{loop.rows_per_second:.0f} rows/s over {loop.steps} steps; best at step {loop.best_step}")
    return fit, loop


def _saved(
    fit: TranslatorFit,
    loop: LoopResult,
    factors: Factors,
    material: Material,
    inferred: FitResult,
    attachment: Attachment | None,
    folder: Path,
    started: float,
    report: Reporter,
) -> FitResult:
    """Prove and save what was fitted; returns `inferred` with what came of it."""
    translator = fit.translator
    figures = _figures(fit, loop)
    if figures["round_trip_error"] > ROUND_TRIP_LIMIT:
        report.warn(f"the round trip T⁻¹(T(z)) is off by {figures['round_trip_error']:.1e}")
    if attachment is not None:
        figures["decode_error"] = attachment.decode_error
        figures["no_op_agreement"] = attachment.no_op_agreement(translator, report)
    metadata = _metadata(translator, factors, material, fit.plan, inferred.seed, loop, figures)
    checkpoint.save(folder / PRODUCT, translator.state_dict(), metadata)
    result = replace(
        inferred,
        checkpoint=str(folder / PRODUCT),
        parameters=sum(p.numel() for p in translator.parameters()),
        **figures,
        steps=loop.steps,
        best_step=loop.best_step,
        stopped=loop.stopped,
        seconds=round(time.monotonic() - started, 2),
        rows_per_second=round(loop.rows_per_second, 1),
        out=str(folder),
    )
    write_json(folder / "result.json", {**result.as_dict(), "history": loop.history})
    return result


def _figures(fit: TranslatorFit, loop: LoopResult) -> dict[str, float | None]:
    fit.translator.eval()
    z = torch.cat([batch.z_a for batch in fit.held_out.values()])[:PROOF_ROWS].to(fit.device)
    return {
        "train_nll": loop.history[-1]["train_nll"],
        "heldout_nll": loop.best["heldout_nll"],
        "bits_per_dim": loop.best["bits_per_dim"],
        "round_trip_error": round_trip_error(fit.translator, z),
        "log_det_error": log_det_error(fit.translator, z[: 8 if fit.translator.dim <= WIDE else 1]),
    }


def _metadata(
    translator: Translator,
    factors: Factors,
    material: Material,
    plan: TranslatorPlan,
    seed: int,
    loop: LoopResult,
    figures: Mapping[str, float | None],
) -> dict[str, Any]:
    training = {
        **plan.as_dict(),
        **figures,
        "seed": seed,
        "steps": loop.steps,
        "best_step": loop.best_step,
        "seconds": round(loop.seconds, 2),
        "rows_per_second": round(loop.rows_per_second, 1),
    }
    return {
        "kind": "translator",
        "name": "translator",
        "config": translator.config,
        "factors": factors.as_json(),
        **material.provenance,
        "training": training,
        "versions": versions(),
    }


def _label(backbone: str | None, concepts: Sequence[str]) -> str:
    name = Path(backbone).stem if backbone else "latents"
    return "-".join(["fit-translator", name, *concepts])
