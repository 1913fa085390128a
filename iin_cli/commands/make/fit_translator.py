"""Fit a translator and save it: find → open → group → encode once → infer → fit → prove → save."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...distributed import choose_device, from_main, is_main_rank
from ...errors import UsageError
from ...fitting.attachment import Attachment
from ...fitting.extending import Base
from ...fitting.fit import Fitted, fit_material
from ...fitting.inference import Inferred, infer
from ...fitting.materials import Material, PairMaterial, from_file, from_images
from ...fitting.pair_files import read_pairs
from ...interpretation.data_choice import DataChoice
from ...interpretation.encoding import is_encoded, settle_precision
from ...interpretation.grouping import MOST_NEEDED, find_providers
from ...interpretation.network import Network
from ...interpretation.network_choice import NetworkChoice
from ...interpretation.opening import open_translator
from ...io import checkpoint
from ...io.rundir import RESULT_NAME, write_json
from ...leading import leaders_first
from ...plan import Wishes
from ...plugin_api import ConceptProvider, Dataset
from ...progress import Reporter, Silent
from ...results import Result, Table
from ...sizing.estimate import sample_size
from ...training.logs import RunLog
from ...training.resuming import resumable
from ...training.runs import RunChoice
from ...training.saving import save_product
from ...translator.factors import RESIDUAL

__all__ = ["FitResult", "fit_translator"]

PRODUCT = "translator.safetensors"
# Of pairs of which it is not known what they share: how probable that is, tensor `shared` (P, K+1).
MASKS = "masks.safetensors"


@dataclass(frozen=True)
class FitResult(Result):
    """What was fitted.

    Attributes:
        checkpoint: the file; None after a dry run.
        factors: name -> dimensions.
        scores: concept -> score of Eq 11, where dimensions were inferred.
        train_nll, heldout_nll: nats per latent.
        round_trip_error: max |T⁻¹(T(z)) − z| over held-out latents in float32, in stds of each component.
        log_det_error: float32 log-determinant against autograd.
        decode_error: max |f(x) − G(E(x))| over held-out images, where the backbone is a network cut in two.
        no_op_agreement: fraction of held-out images whose class G(T⁻¹(T(z))) leaves as in f(x); None without classes.
        rows_per_second: latents trained on, per second of optimisation.
        plan: everything inferred.
        cost: what the fit was estimated to take, as `plan.Cost` says it.
        dominance: the few latents that make much of the variance, where dimensions were inferred from it.
        spectrum: what pairs of each concept explain of z (`iin_cli.translator.spectrum`), and the sizes from it.
        separation: concept -> what its own factor (`own`) and all others (`elsewhere`) tell of held-out pairs.
        separation_linear: the same of the closed form that the fit started from.
    """

    checkpoint: str | None
    factors: dict[str, int]
    scores: dict[str, float]
    plan: dict[str, Any]
    seed: int
    cost: dict[str, Any] = field(default_factory=dict)
    dominance: dict[str, Any] | None = None
    spectrum: dict[str, Any] | None = None
    separation: dict[str, Any] = field(default_factory=dict)
    separation_linear: dict[str, Any] = field(default_factory=dict)
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

    def facts(self) -> dict[str, Any]:
        """Return the single values; of a dry run those that it has."""
        found = super().facts()
        if self.checkpoint is not None:
            return found
        return {
            key: value
            for key, value in found.items()
            if key not in ("steps", "best step", "seconds", "rows per second")
        }

    def tables(self) -> list[Table]:
        """Return the factors, and after a dry run the plan and its cost, as titled tables."""
        made_of = self._spectra() if self.spectrum else self._scores()
        nothing = dict.fromkeys(next(iter(made_of.values()), ()))
        factors = [
            {"factor": name, "dims": size, **made_of.get(name, nothing), "sigma": self._sigma(name)}
            for name, size in self.factors.items()
        ]
        plan, cost = (
            [{what: name.replace("_", " "), "value": _told(value)} for name, value in values.items()]
            for what, values in (("plan", self.plan), ("cost", self.cost))
        )
        plan, cost = ([row for row in rows if row["value"] is not None] for rows in (plan, cost))
        return [("factors", factors), *([("plan", plan), ("cost", cost)] if self.checkpoint is None else [])]

    def _spectra(self) -> dict[str, dict[str, Any]]:
        """Return what sizes were made of: how much of z the pairs explain in a factor's directions, and in the next."""
        found = {}
        for concept in (self.spectrum or {})["concepts"]:
            # Next to nothing may be below it.
            values = [f"{max(value, 0.0):.2f}" for value in concept["values"]]
            own, rest = values[: concept["size"]], values[concept["size"] :]
            explained = own[0] if len(own) == 1 else f"{own[0]} … {own[-1]}"
            found[concept["name"]] = {"explained": explained, "next": rest[0] if rest else None}
        return found

    def _scores(self) -> dict[str, dict[str, Any]]:
        """Return the scores of Eq 11 that sizes were made of; nothing where the user gave sizes."""
        scores = {**self.scores, RESIDUAL: 1.0} if self.scores else {}
        return {name: {"score": score} for name, score in scores.items()}

    def _sigma(self, factor: str) -> float | None:
        """Return the correlation of pairs that share a factor, as it is fitted; None of what no pair shares."""
        return None if factor == RESIDUAL else self.plan.get("sigmas", {}).get(factor, self.plan.get("sigma"))


def fit_translator(
    source: NetworkChoice | Path | None,
    concepts: Sequence[str] = (),
    data: DataChoice | None = None,
    wishes: Wishes | None = None,
    run: RunChoice | None = None,
    report: Reporter | None = None,
    *,
    start: Path | None = None,
    moved: Path | None = None,
) -> FitResult:
    """Fit T to the latents of a network, or to those of a file, and save it; without concepts by Eq 12.

    Args:
        source: the network, or a safetensors file with `z`, or `z_a`, `z_b` and `mask`; None takes that of `start`.
        concepts: `NAME[:ARGUMENT]`; factors come in this order, the residual last.
        data: what the network encodes; None takes the data it was trained on.
        start: a translator to which the concepts are added; its factors stay as they are.
        moved: where the network of `start` lies now, if it was moved.

    Under torchrun all processes share every step; the encoding is shared, too.

    Raises UsageError, DataError, CheckpointError, DivergedError as their docstrings say.
    """
    data, wishes, run = data or DataChoice(), wishes or Wishes(), run or RunChoice()
    report, started, device = report or Silent(), time.monotonic(), choose_device(run.device)
    seed = run.final_seed(PRODUCT)
    with run.open(_label(source, concepts), report) as folder:
        with leaders_first():
            base = None if start is None else _base(start, source, moved, concepts, device, report)
            if isinstance(source, Path):
                found = from_file(read_pairs(source, concepts), report)
            else:
                found = _found(*_opened(source, base, device, report), concepts, data, report)
        if isinstance(found, Material):
            material, attachment = found, None
        else:
            material, attachment = _encoded(found, seed, report, wishes if folder is None else None)
        # Encoding is no part of --max-seconds: it is done once, and takes what the network takes.
        encoded = time.monotonic()
        seen = material if base is None else base.seen(material)
        inferred = from_main(infer(seen, wishes, seed, device, report))
        if base is not None:
            inferred = inferred.behind(base)
            backbone = material.provenance["backbone"] or base.opened.metadata.get("backbone")
            material = replace(material, provenance={**material.provenance, "backbone": backbone, "from": base.origin})
        result = _dry(inferred, attachment)
        if folder is None:
            return result
        with resumable(folder, {**material.provenance, **inferred.as_dict()}, run.resume) as state:
            log = RunLog(folder, run.log, report)
            fitted = fit_material(material, inferred, device, report, state, run.resume, encoded, log)
            if is_main_rank():
                proofs = _proofs(fitted, attachment, report)
                save_product(folder / PRODUCT, fitted.tensors(), fitted.metadata(proofs))
                _write_masks(folder, material, fitted)
                result = _finished(result, fitted, proofs, folder, time.monotonic() - started)
                write_json(folder / RESULT_NAME, {**result.as_dict(), "history": fitted.history})
            result = from_main(result)
            fitted.loop.require_converged(folder / PRODUCT)
            return result


def _base(
    start: Path,
    source: NetworkChoice | Path | None,
    moved: Path | None,
    concepts: Sequence[str],
    device: torch.device,
    report: Reporter,
) -> Base:
    """Open the translator to which concepts are added, with its network unless the latents come from a file."""
    base = Base.of(open_translator(start, device, moved, not isinstance(source, Path), report))
    names = concepts if isinstance(source, Path) else [provider.concept for provider in find_providers(concepts)]
    base.require_new(names)
    return base


def _opened(
    choice: NetworkChoice | None, base: Base | None, device: torch.device, report: Reporter
) -> tuple[Network, dict[str, Any] | None]:
    """Return the network, and the data that are taken where the user names none."""
    if base is not None:
        return base.opened.require_network(), base.opened.recorded_data
    if choice is None:
        raise UsageError("give a network, or a file of latents")
    network = choice.open(device, report)
    return network, network.data


@dataclass(frozen=True)
class _Subject:
    """What is fitted to: a network, data, where these lie, and concepts."""

    network: Network
    dataset: Dataset
    root: Path | None
    providers: Sequence[ConceptProvider]


def _found(
    network: Network, recorded: dict[str, Any] | None, concepts: Sequence[str], data: DataChoice, report: Reporter
) -> _Subject:
    """Look at the data and find the concepts; settle in which precision latents are computed."""
    dataset = data.open(recorded, report)
    providers = find_providers(concepts, dataset)
    settle_precision(network, dataset, report)
    return _Subject(network, dataset, data.root_of(recorded), providers)


def _encoded(subject: _Subject, seed: int, report: Reporter, planned: Wishes | None) -> tuple[Material, Attachment]:
    """Check f = G∘E on images, group the training images, encode each once, or what the plan `planned` needs."""
    network, dataset = subject.network, subject.dataset
    attachment = Attachment(network, dataset)
    attachment.describe(report)
    # The main process decides: to another, which is slower, all may be encoded already.
    most = from_main(_needed(network, dataset, planned) if planned is not None and is_main_rank() else None)
    return from_images(network, dataset, subject.root, subject.providers, seed, report, most), attachment


def _needed(network: Network, dataset: Dataset, wishes: Wishes) -> int | None:
    """Return from how many images and renderings a plan is made; None for all, where they are encoded already."""
    everything = np.asarray(dataset.splits["train"])
    if is_encoded(network, dataset, everything):
        return None
    if wishes.dims and wishes.preset != "auto":
        # Nothing is inferred from latents, except whether they are random.
        return MOST_NEEDED
    return sample_size(network.latent_dim)


def _write_masks(folder: Path, material: Material, fitted: Fitted) -> None:
    """Write how probable it is that each pair shares each factor, where that is not known of all pairs."""
    if not isinstance(material, PairMaterial) or not material.partly_known:
        return
    device = next(fitted.translator.buffers()).device
    with torch.no_grad():
        shared = material.shared(lambda z: fitted.translator(z.to(device))[0].cpu(), fitted.factors)
    checkpoint.save(folder / MASKS, {"shared": shared}, {"kind": "masks", "factors": fitted.factors.as_json()})


def _dry(inferred: Inferred, attachment: Attachment | None) -> FitResult:
    return FitResult(
        None,
        **inferred.as_dict(),
        cost=inferred.cost.as_dict(),
        dominance=inferred.dominance and inferred.dominance.as_dict(),
        spectrum=inferred.spectrum and inferred.spectrum.as_dict(),
        decode_error=attachment.decode_error if attachment is not None else None,
    )


def _proofs(fitted: Fitted, attachment: Attachment | None, report: Reporter) -> dict[str, float | None]:
    """Measure what holds of the network with the fitted translator between E and G."""
    if attachment is None:
        return {}
    return {
        "decode_error": attachment.decode_error,
        "no_op_agreement": attachment.no_op_agreement(fitted.translator, report),
    }


def _finished(
    dry: FitResult, fitted: Fitted, proofs: dict[str, float | None], folder: Path, seconds: float
) -> FitResult:
    loop = fitted.loop
    return replace(
        dry,
        checkpoint=str(folder / PRODUCT),
        parameters=sum(p.numel() for p in fitted.translator.parameters()),
        **asdict(fitted.figures),
        **proofs,
        steps=loop.steps,
        best_step=loop.best_step,
        stopped=loop.stopped,
        seconds=round(seconds, 2),
        rows_per_second=round(loop.rows_per_second, 1),
        out=str(folder),
    )


def _told(value: Any) -> Any:
    """Write lists and mappings of a plan as a person reads them; None where they are empty."""
    if isinstance(value, Mapping):
        return (
            ", ".join(
                f"{name} {entry:.3g}" if isinstance(entry, float) else f"{name} {entry}"
                for name, entry in value.items()
            )
            or None
        )
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or None
    return value


def _label(source: NetworkChoice | Path | None, concepts: Sequence[str]) -> str:
    name = "latents" if source else "more"
    if isinstance(source, NetworkChoice):
        # The commit of an address is in the plan.
        name = Path(source.name).stem.partition("@")[0]
    return "-".join(["fit-translator", name, *concepts])
