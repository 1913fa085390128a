"""Fit a translator by maximum likelihood: one step, its validation, and the proofs of the result."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from ..acceleration.compiling import Compiled
from ..latents.pairs import step_generator
from ..latents.reading_ahead import read_ahead
from ..plan import TranslatorPlan
from ..plugin_api import BatchPart
from ..progress import Reporter, Silent
from ..training.averaging import AveragedWeights
from ..training.readout import Readout
from ..translator.alignment import Alignment, explained, reward, straight
from ..translator.feature_noise import FeatureNoise
from ..translator.flow import Translator
from ..translator.likelihood import bits_per_dim, marginal_pair_nll, nll, pair_nll
from ..translator.spectrum import PairSpectrum
from .replayed_step import ReplayedStep
from .streams import Batch, PairStream

__all__ = ["TranslatorFit", "fitting_speed", "log_det_error"]

FEATURE_NOISE_STREAM = 300
EVAL_PAIRS = 512
JACOBIAN_ROWS = 256
# Speed of a whole step relative to matrix products alone: 0.5 to 0.8 were measured on one core, in either precision.
STEP_EFFICIENCY = 0.6


class TranslatorFit:
    """Fits T to a stream of pairs (Eqs 4–10) or of single latents (Eq 12); driven by `loop.optimise`."""

    def __init__(
        self,
        translator: Translator,
        stream: PairStream,
        plan: TranslatorPlan,
        seed: int,
        device: torch.device,
        wanted: Mapping[str, Sequence[Alignment]] | None = None,
        report: Reporter | None = None,
    ) -> None:
        self.translator, self.stream, self.plan, self.seed, self.device = translator, stream, plan, seed, device
        on_gpu = device.type == "cuda"
        # The closed form alone has nothing to optimise.
        self.optimizer = torch.optim.Adam(
            [weight for weight in translator.parameters() if weight.requires_grad]
            or [torch.zeros(1, requires_grad=True, device=device)],
            # A captured step reads the rate where it lies.
            lr=torch.tensor(plan.learning_rate, device=device) if on_gpu else plan.learning_rate,
            betas=plan.betas,
            capturable=on_gpu,
            fused=on_gpu or device.type == "cpu",
        )
        # bfloat16 needs no loss scaling; weights, likelihood and optimiser stay float32.
        self.average = AveragedWeights(translator, plan.average) if plan.average else None
        self.precision = torch.autocast(device.type, torch.bfloat16, enabled=plan.autocast)
        self.noise = FeatureNoise.none(translator.dim)
        # Of the kinds of pairs that the stream has, in its order; none where only the likelihood counts.
        self.wanted = dict(wanted or {}) if plan.pair_reward else {}
        self.held_out = stream.held_out()
        self.batch_part: BatchPart | None = None
        self._report = report or Silent()
        self.fitted = self._compiled(translator)
        self._taken = self._replayed()
        self._read = Readout()
        self._ahead: Iterator[Batch] = iter(())
        # The step that the next of `_ahead` is for; none is drawn yet.
        self._expected = -1

    def distribute(self, part: BatchPart) -> None:
        """Train on a part of every batch from now on, with the main process's translator."""
        self.batch_part, self.fitted = part, self._compiled(part.replicate(self.translator))
        self._taken = self._replayed()

    def _compiled(self, module: nn.Module) -> nn.Module:
        return Compiled(module, self._report) if self.plan.compile else module

    def _replayed(self) -> Callable[[Batch], Tensor]:
        """Return `_take`, on one GPU as a graph; several exchange gradients within a step."""
        if self.device.type == "cuda" and self.batch_part is None:
            return ReplayedStep(self._take, self.device, self._report)
        return lambda batch: self._take(batch.on(self.device))

    def initialize(self, spectrum: PairSpectrum | None = None, noise: FeatureNoise | None = None) -> None:
        """Set actnorms and feature noise from at least min(10·N, all) latents; the same in every process.

        With a `spectrum` the translator begins as its closed form, and actnorms stay the identity. With `noise` the
        feature noise is that.
        """
        z = self.stream.initial(max(10 * self.translator.dim, 2000))
        self.noise = FeatureNoise.of(z, self.plan.feature_noise) if noise is None else noise
        # In place, since wide latents are the largest arrays of the fit.
        self.noise.add(z, step_generator(self.seed, FEATURE_NOISE_STREAM, 2**32))
        if spectrum is None:
            self.translator.initialize(z.to(self.device))
        else:
            self.translator.start_from(spectrum.whitening().to(self.device), z.to(self.device))

    def step(self, step: int, fraction: float) -> dict[str, float]:
        """Take one step of Adam on the batch of step `step`, or on this process's part of it."""
        self._set_rate(self.plan.learning_rate_at(step, fraction))
        batch = self._coming(step)
        if self.batch_part is not None:
            batch = batch.rows(self.batch_part.rows)
        figures = {"train_nll": self._read(self._taken(batch))}
        if self.average is not None:
            self.average.follow(self.translator, step)
        return figures

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _take(self, batch: Batch) -> Tensor:
        """Take a step on a batch that lies on the device; return its NLL, ()."""
        z_tilde, nats = self._nll(self.fitted, batch)
        nll = (nats * batch.weight).sum()
        loss = nll - self.plan.pair_reward * self._reward(z_tilde, batch) if self.wanted else nll
        self.optimizer.zero_grad(set_to_none=True)
        # The weights of all parts sum to 1, so gradients should be added, but replicas average them.
        (loss if self.batch_part is None else loss * self.batch_part.ranks).backward()
        if self.plan.clip_norm:
            _clip(self.translator, self.plan.clip_norm)
        self.optimizer.step()
        return nll.detach()

    @torch.no_grad()
    def train_nll(self) -> float:
        """Measure the NLL of the first batch, in nats per latent."""
        batch = self._noised(self.stream.batch(0), 0).on(self.device)
        return (self._nll(self.translator, batch)[1] * batch.weight).sum().item()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Measure the held-out NLL in nats per latent: each concept's mean over pairs, and their mean (Eq 10).

        The score is what is optimised: the NLL less the rewards of correlated pairs and of straight differences.
        """
        values, explain, kept = {}, [], []
        for name, batch in self.held_out.items():
            z_tilde, values[name] = self._measured(batch)
            if name in self.wanted:
                first, second = z_tilde.tensor_split(2)
                explain.append(explained(first, second, self.wanted[name]))
                if (begin := self._beginning(batch.on(self.device))) is not None:
                    kept.append(straight(first, second, begin, self.wanted[name]))
        mean = sum(values.values()) / len(values)
        # Each is a mean over kinds, as Eq 10's is.
        aligned, straightened = (sum(each) / len(self.held_out) for each in (explain, kept))
        differing = self._differing(self.held_out)
        each = {f"nll_{name}": value for name, value in values.items()} if len(values) > 1 else {}
        shown = {"heldout_nll": mean, "bits_per_dim": bits_per_dim(mean, self.translator.dim), **each}
        return {
            "score": mean - self.plan.pair_reward * (aligned + straightened),
            **({"pair_correlation": aligned} if explain else {}),
            **({"straightness": sum(kept) / differing} if differing else {}),
            **shown,
        }

    def weights(self) -> Mapping[str, Tensor]:
        """Return T's weights, averaged where they are."""
        return self._judged.state_dict()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put weights back into T."""
        self.translator.load_state_dict(weights)
        if self.average is not None:
            self.average.forget()

    def state_dict(self) -> dict[str, Any]:
        """Return T, its average, optimiser and noise; batches need no state, since they depend on (seed, step)."""
        average = {} if self.average is None else {"average": self.average.state_dict()}
        return {
            "translator": self.translator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "noise_std": self.noise.std,
            **average,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.translator.load_state_dict(state["translator"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        before = [{key: group[key] for key in ("lr", "capturable", "fused")} for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        # The state may be of another device, and the tensors of a captured step are no longer the optimiser's.
        for group, own in zip(self.optimizer.param_groups, before, strict=True):
            group.update(own)
        self._taken = self._replayed()
        self.noise = FeatureNoise(state["noise_std"])

    @property
    def _judged(self) -> nn.Module:
        """The translator that is validated and kept: the average of the steps, once there is one."""
        if self.average is None or not self.average.is_begun:
            return self.translator
        return self.average.module

    def _coming(self, step: int) -> Batch:
        """Return the batch of step `step` with its noise; a thread draws the next ones meanwhile."""
        if step == self._expected:
            batch = next(self._ahead)
        else:
            self._ahead = read_ahead(self._drawn, count(step))
            batch = next(self._ahead)
            # The thread's own limit became the default of all threads that start later.
            torch.set_num_threads(torch.get_num_threads())
        self._expected = step + 1
        return batch

    def _drawn(self, step: int) -> Batch:
        # Another team of threads would share the cores with the one that computes.
        if torch.get_num_threads() > 1:
            torch.set_num_threads(1)
        batch = self._noised(self.stream.batch(step), step)
        return batch.pinned() if self.device.type == "cuda" else batch

    def _reward(self, z_tilde: Tensor, batch: Batch) -> Tensor:
        """Return what this process's pairs, z̃ (2P, N), give to the reward of Eq 10's mean over kinds."""
        a, b = z_tilde.tensor_split(2)
        begin = self._beginning(batch)
        total = None if self.batch_part is None else self.batch_part.sum
        value, kinds = z_tilde.new_zeros(()), batch.kinds()
        for number, name in enumerate(self.stream.masks):
            if name in self.stream.counts and self.wanted.get(name):
                # The pairs of a kind lie side by side, and a GPU need not look for them.
                mine = slice(*torch.searchsorted(kinds, torch.tensor([number, number + 1])).tolist())
                before = None if begin is None else begin[mine]
                value = value + reward(a[mine], b[mine], self.wanted[name], self.stream.counts[name], total, before)
        return value / len(self.stream.counts)

    def _differing(self, kinds: Iterable[str]) -> int:
        """Return how many dimensions the factors have that differ, over these kinds of pairs."""
        return sum(each.size for name in kinds for each in self.wanted.get(name, ()) if each.sign < 0)

    def _beginning(self, batch: Batch) -> Tensor | None:
        """Return the differences (P, N) of pairs in the closed form that the fit began with; None where none count."""
        if batch.z_b is None or not self._differing(self.wanted):
            return None
        a, b = (self.translator.beginning(z) for z in (batch.z_a, batch.z_b))
        return a - b

    def _nll(self, translator: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return z̃ and nats per latent (P,): for a pair half of its joint −log p, as for two single latents."""
        z = batch.z_a if batch.z_b is None else torch.cat((batch.z_a, batch.z_b))
        with self.precision:
            z_tilde, log_det = translator(z)
        if batch.z_b is None or batch.rho is None:
            return z_tilde, nll(z_tilde, log_det)
        count = len(batch.z_a)
        members = z_tilde[:count], log_det[:count], z_tilde[count:], log_det[count:]
        if batch.prior is not None and batch.factors is not None:
            return z_tilde, 0.5 * marginal_pair_nll(*members, batch.factors, batch.prior)
        return z_tilde, 0.5 * pair_nll(*members, batch.rho)

    def _measured(self, batch: Batch) -> tuple[Tensor, float]:
        """Return z̃ of all first members, then of all second ones, and the mean NLL in nats per latent."""
        pieces, members = [], []
        for start in range(0, len(batch.z_a), EVAL_PAIRS):
            part = self._noised(batch.rows(slice(start, start + EVAL_PAIRS)), -1 - start).on(self.device)
            z_tilde, nats = self._nll(self._judged, part)
            pieces.append(nats)
            members.append(z_tilde.tensor_split(2))
        z_tilde = torch.cat([part for half in zip(*members, strict=True) for part in half])
        return z_tilde, torch.cat(pieces).mean().item()

    def _noised(self, batch: Batch, step: int) -> Batch:
        """Add the declared feature noise; without it a flow could put infinite density on a dead feature."""
        if not self.noise:
            return batch
        generator = step_generator(self.seed, FEATURE_NOISE_STREAM, step % 2**48)
        if batch.z_b is None or batch.rho is None:
            return replace(batch, z_a=self.noise.add(batch.z_a.clone(), generator))
        # The noise belongs to no concept, so to the residual: it is correlated as the pair's residuals are.
        z_a, z_b = self.noise.add_to_pairs(batch.z_a, batch.z_b, batch.rho[:, -1:], generator)
        return replace(batch, z_a=z_a, z_b=z_b)


def _clip(module: nn.Module, limit: float) -> None:
    """Shrink the gradients to a norm of `limit` where it is larger; others are read once and not written."""
    weights = [weight for weight in module.parameters() if weight.grad is not None]
    norm = get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    # Reading the norm would make a GPU wait.
    if norm.device.type != "cpu" or not norm.item() <= limit:
        clip_grads_with_norm_(weights, limit, norm)


def log_det_error(translator: Translator, z: Tensor) -> float:
    """Measure max |log|det T'(z)| − log|det J|| over latents (B, N): the float32 log-det against autograd's Jacobian.

    The Jacobian J (N, N) is computed in float64, so that it can judge float32, by reverse-mode differentiation one
    layer at a time, so that one layer at most is held in float64.
    """
    with torch.no_grad():
        claimed = translator(z)[1].double().cpu()
    worst = 0.0
    for row, value in zip(z.double(), claimed, strict=True):
        worst = max(worst, abs(torch.linalg.slogdet(_jacobian(translator, row))[1].item() - value.item()))
    return worst


def _jacobian(translator: Translator, z: Tensor) -> Tensor:
    """Return ∂T(z)/∂z (N, N) in float64 at one latent (N,), by the chain rule over the layers."""
    where = "cpu" if z.device.type == "mps" else z.device
    inputs = [z.to(where)[None]]
    for layer in translator.layers:
        with torch.no_grad():
            inputs.append(copy.deepcopy(layer).to(where).double()(inputs[-1])[0])
    jacobian = torch.eye(len(z), dtype=torch.float64, device=where)
    for layer, at in zip(reversed(translator.layers), reversed(inputs[:-1]), strict=True):
        exact = copy.deepcopy(layer).to(where).double().requires_grad_(False)
        for rows in jacobian.split(JACOBIAN_ROWS):
            # One copy of the input per row of J, each differentiated for its row.
            copies = at.expand(len(rows), -1).clone().requires_grad_()
            rows.copy_(torch.autograd.grad(exact(copies)[0], copies, rows)[0])
    return jacobian


def fitting_speed(device: torch.device, plan: TranslatorPlan, dim: int) -> float:
    """Estimate how fast `device` fits by `plan`, in floating-point operations per second, from a matrix product.

    It takes a few hundredths of a second. The fastest of several counts, since other programs only slow it down.
    """
    half = torch.ones(2 * plan.batch_pairs, dim, device=device)
    weight = torch.ones(dim, plan.hidden, device=device)
    seconds = []
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=plan.autocast):
        for _ in range(5):
            started = time.perf_counter()
            # Reading a number waits until a GPU is done.
            (half @ weight)[0, 0].item()
            seconds.append(time.perf_counter() - started)
    return STEP_EFFICIENCY * 2.0 * len(half) * dim * plan.hidden / min(seconds)
