"""Fit a translator: find → open → group → encode once → infer → fit → prove → save."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..distributed import choose_device, draw_seed
from ..errors import UsageError
from ..io import checkpoint
from ..io.rundir import open_run, recorded_seed, write_json
from ..plan import TranslatorPlan, Wishes, plan_translator
from ..progress import Reporter, Silent
from ..translator.dims import Estimator, allocate, complete
from ..translator.factors import RESIDUAL, Factors
from ..translator.flow import Translator
from .fitting import TranslatorFit, log_det_error, round_trip_error
from .grouping import find_providers, group, score_concepts
from .loop import LoopResult, Schedule, optimise
from .opening import OpenBackbone, describe_data, open_backbone, open_data, versions
from .pair_files import PairFile, held_out_pairs, read_pairs
from .pair_streams import FixedPairs, FreshPairs, PairStream, SingleRows

__all__ = ["FitResult", "fit_translator"]

HELD_OUT_PAIRS = 2048
PROOF_ROWS = 1000


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
        rows_per_second: latents through the optimiser, per second of optimisation.
        plan: everything inferred.
    """

    checkpoint: str | None
    factors: dict[str, int]
    scores: dict[str, float]
    plan: dict[str, Any]
    seed: int
    parameters: int
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
    out: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    def tables(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Return the factors, and after a dry run the plan, as titled tables."""
        factors = [
            {"factor": name, "dims": size, "score": self.scores.get(name, 1.0 if self.scores else None)}
            for name, size in self.factors.items()
        ]
        plan = [{"plan": name, "value": value} for name, value in self.plan.items()]
        return [("factors", factors)] + ([("plan", plan)] if self.checkpoint is None else [])


@dataclass(frozen=True)
class _Material:
    """What a fit works on: a stream to be made once factors and batch are known."""

    dim: int
    rows: int
    relations: dict[str, Any]
    scores: dict[str, float]
    stochastic: bool
    provenance: dict[str, Any]
    stream: Any


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
    estimator: Estimator = "variance",
    weights: str = "default",
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

    Raises UsageError, DataError, CheckpointError, DivergedError as their docstrings say.
    """
    report, wishes, started = report or Silent(), wishes or Wishes(), time.monotonic()
    if (backbone is None) == (latents is None):
        raise UsageError("give either --backbone or --latents")
    where = choose_device(device)
    with open_run(out, _label(backbone, concepts), resume, dry_run) as folder:
        if folder is not None:
            report.note(f"run folder {folder}")
        seed = recorded_seed(folder, seed) if resume and folder is not None else draw_seed(seed)
        # Group, encode once.
        if latents is not None:
            material = _from_file(read_pairs(latents, concepts), dims, estimator, report)
        else:
            opened = open_backbone(str(backbone), where, weights)
            material = _from_images(opened, concepts, data, data_root, dims, estimator, seed, where, report)
        # Infer the factors and the plan.
        plan = plan_translator(material.dim, material.rows, where.type, wishes, not material.stochastic)
        factors = _factors(material, concepts, dims, plan)
        report.note(f"factors {', '.join(f'{name} {size}' for name, size in factors.dims.items())} of {material.dim}")
        translator = Translator(material.dim, plan.blocks, plan.hidden, plan.depth, seed).to(where)
        parameters = sum(p.numel() for p in translator.parameters())
        summary = {"factors": factors.dims, "scores": material.scores, "plan": plan.as_dict(), "seed": seed}
        if folder is None:
            return FitResult(None, **summary, parameters=parameters)
        write_json(folder / "plan.json", {"parameters": parameters, **material.provenance, **summary})
        # Fit T, prove it, save.
        stream = material.stream(factors, plan, seed)
        fit, loop = _fit(translator, stream, plan, seed, where, folder, resume, report)
        figures = _figures(fit, loop, stream, where)
        metadata = _metadata(translator, factors, material, plan, seed, loop, figures)
        checkpoint.save(folder / "translator.safetensors", translator.state_dict(), metadata)
        result = FitResult(
            str(folder / "translator.safetensors"),
            **summary,
            parameters=parameters,
            **figures,
            steps=loop.steps,
            best_step=loop.best_step,
            stopped=loop.stopped,
            seconds=round(time.monotonic() - started, 2),
            rows_per_second=loop.rows_per_second,
            out=str(folder),
        )
        write_json(folder / "result.json", {**result.as_dict(), "history": loop.history})
        return result


def _from_images(
    opened: OpenBackbone,
    concepts: Sequence[str],
    data: str | None,
    data_root: Path | None,
    dims: Mapping[str, int] | None,
    estimator: Estimator,
    seed: int,
    device: torch.device,
    report: Reporter,
) -> _Material:
    providers = find_providers(concepts)
    dataset = open_data(data, opened.data, data_root)
    table, pairs, held_out = group(opened, dataset, providers, seed, device, report)
    scores = score_concepts(table, pairs, seed, estimator) if pairs and not dims else {}

    def stream(factors: Factors, plan: TranslatorPlan, seed: int) -> PairStream:
        if pairs:
            return FreshPairs(table, pairs, factors, plan.batch_pairs, seed, HELD_OUT_PAIRS)
        return SingleRows(table, held_out, 2 * plan.batch_pairs, seed, 2 * HELD_OUT_PAIRS)

    provenance = {"backbone": opened.provenance, "data": describe_data(dataset, data_root)}
    relations = {concept.name: concept.relation for concept in pairs}
    return _Material(table.dim, len(table), relations, scores, table.stochastic, provenance, stream)


def _from_file(file: PairFile, dims: Mapping[str, int] | None, estimator: Estimator, report: Reporter) -> _Material:
    held_out = held_out_pairs(file, report)

    def stream(factors: Factors, plan: TranslatorPlan, seed: int) -> PairStream:
        if file.table is not None:
            return SingleRows(file.table, held_out, 2 * plan.batch_pairs, seed, 2 * HELD_OUT_PAIRS)
        return FixedPairs(file.z_a, file.z_b, file.mask, held_out, factors, plan.batch_pairs, seed, HELD_OUT_PAIRS)

    provenance = {
        "backbone": None,
        "data": {"name": str(file.path.resolve()), "root": None, "fingerprint": file.sha256},
    }
    relations = dict.fromkeys(file.names[:-1], "share")
    return _Material(file.dim, file.rows, relations, {} if dims else file.scores(estimator), False, provenance, stream)


def _factors(
    material: _Material, concepts: Sequence[str], dims: Mapping[str, int] | None, plan: TranslatorPlan
) -> Factors:
    wanted = list(material.relations)
    if dims:
        given = [name for name in dims if name != RESIDUAL]
        if sorted(given) != sorted(wanted):
            raise UsageError(
                f"--dims names {', '.join(given) or 'nothing'}; the concepts are {', '.join(wanted) or 'none'}"
            )
        sizes = complete(
            {name: dims[name] for name in [*wanted, *([RESIDUAL] if RESIDUAL in dims else [])]}, material.dim
        )
    else:
        sizes = allocate(material.scores, material.dim)
    return Factors.of(sizes, plan.sigma, material.relations)


def _fit(
    translator: Translator,
    stream: PairStream,
    plan: TranslatorPlan,
    seed: int,
    device: torch.device,
    folder: Path,
    resume: bool,
    report: Reporter,
) -> tuple[TranslatorFit, LoopResult]:
    fit = TranslatorFit(translator, stream, plan, seed, device)
    fit.initialize()
    schedule = Schedule(plan.steps, plan.max_seconds, plan.validate_every, plan.patience, stream.rows_per_step)
    loop = optimise(
        fit,
        schedule,
        state_path=folder / "training-state.safetensors",
        resume=resume,
        description="fitting the translator",
        report=report,
    )
    report.note(f"{loop.rows_per_second:.0f} rows/s over {loop.steps} steps; best at step {loop.best_step}")
    return fit, loop


def _figures(fit: TranslatorFit, loop: LoopResult, stream: PairStream, device: torch.device) -> dict[str, float]:
    fit.translator.eval()
    z = torch.cat([batch.z_a for batch in fit.held_out.values()])[:PROOF_ROWS].to(device)
    return {
        "train_nll": loop.history[-1]["train_nll"],
        "heldout_nll": loop.best["heldout_nll"],
        "bits_per_dim": loop.best["bits_per_dim"],
        "round_trip_error": round_trip_error(fit.translator, z),
        "log_det_error": log_det_error(fit.translator, z[: 8 if fit.translator.dim <= 256 else 1]),
    }


def _metadata(
    translator: Translator,
    factors: Factors,
    material: _Material,
    plan: TranslatorPlan,
    seed: int,
    loop: LoopResult,
    figures: Mapping[str, float],
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
