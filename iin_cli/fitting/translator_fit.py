"""The fit of a translator by maximum likelihood: one step, its validation, and what proves the result."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from ..latents.pairs import step_generator
from ..plan import TranslatorPlan
from ..plugin_api import BatchPart
from ..translator.feature_noise import FeatureNoise
from ..translator.flow import Translator
from ..translator.likelihood import bits_per_dim, nll, pair_nll
from .streams import Batch, PairStream

__all__ = ["TranslatorFit", "fitting_speed", "log_det_error", "round_trip_error"]

FEATURE_NOISE_STREAM = 300
EVAL_PAIRS = 512
JACOBIAN_ROWS = 256
# Of its speed at matrix products alone, what a whole step reached: 0.5 to 0.8 on one core, in either precision.
STEP_EFFICIENCY = 0.6


class TranslatorFit:
    """Fits T to a stream of pairs (Eqs 4–10) or of single latents (Eq 12); driven by `loop.optimise`."""

    def __init__(
        self, translator: Translator, stream: PairStream, plan: TranslatorPlan, seed: int, device: torch.device
    ) -> None:
        self.translator, self.stream, self.plan, self.seed, self.device = translator, stream, plan, seed, device
        self.optimizer = torch.optim.Adam(
            translator.parameters(), lr=plan.learning_rate, betas=plan.betas, fused=device.type in ("cpu", "cuda")
        )
        # bf16 needs no loss scaling; weights, likelihood and optimiser stay float32.
        self.precision = torch.autocast(device.type, torch.bfloat16, enabled=plan.autocast)
        self.noise = FeatureNoise.none(translator.dim)
        self.held_out = stream.held_out()
        self.batch_part: BatchPart | None = None
        self.fitted: nn.Module = translator

    def distribute(self, part: BatchPart) -> None:
        """Train on a part of every batch from now on; the translator becomes the main process's."""
        self.batch_part, self.fitted = part, part.replicate(self.translator)

    def initialize(self) -> None:
        """Set the actnorms, and the feature noise, from min(10·N, all) latents at least; the same in every process."""
        z = self.stream.initial(max(10 * self.translator.dim, 2000))
        self.noise = FeatureNoise.of(z, self.plan.feature_noise)
        # In place: of wide latents these are the largest arrays of the fit.
        self.noise.add(z, step_generator(self.seed, FEATURE_NOISE_STREAM, 2**32))
        self.translator.initialize(z.to(self.device))

    def step(self, step: int, fraction: float) -> dict[str, float]:
        """Take one step of Adam on the batch of step `step`; of several processes, each on its part of it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate_at(step, fraction)
        batch = self._noised(self.stream.batch(step), step)
        if self.batch_part is not None:
            batch = batch.rows(self.batch_part.part)
        loss = (self._nll(self.fitted, batch) * batch.weight.to(self.device)).sum()
        self.optimizer.zero_grad(set_to_none=True)
        # The weights of all parts sum to 1: the gradients have to be added, and are averaged.
        (loss if self.batch_part is None else loss * self.batch_part.ranks).backward()
        if self.plan.clip_norm:
            clip_grad_norm_(self.translator.parameters(), self.plan.clip_norm)
        self.optimizer.step()
        return {"train_nll": loss.item()}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Held-out NLL in nats per latent: the mean over concepts of the mean over pairs (Eq 10), and each's own."""
        values = {name: self._mean_nll(batch) for name, batch in self.held_out.items()}
        mean = sum(values.values()) / len(values)
        each = {f"nll_{name}": value for name, value in values.items()} if len(values) > 1 else {}
        return {"score": mean, "heldout_nll": mean, "bits_per_dim": bits_per_dim(mean, self.translator.dim), **each}

    def weights(self) -> Mapping[str, Tensor]:
        """T's weights."""
        return self.translator.state_dict()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put weights back into T."""
        self.translator.load_state_dict(weights)

    def state_dict(self) -> dict[str, Any]:
        """T and the optimiser; batches need no state, they depend on (seed, step)."""
        return {
            "translator": self.translator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "noise_std": self.noise.std,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.translator.load_state_dict(state["translator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.noise = FeatureNoise(state["noise_std"])

    def _nll(self, translator: nn.Module, batch: Batch) -> Tensor:
        """Nats per latent: of a pair half its joint −log p, so that it compares with single latents; (P,)."""
        z = batch.z_a if batch.z_b is None else torch.cat((batch.z_a, batch.z_b))
        with self.precision:
            z_tilde, log_det = translator(z.to(self.device, non_blocking=True))
        if batch.z_b is None or batch.rho is None:
            return nll(z_tilde, log_det)
        count = len(batch.z_a)
        rho = batch.rho.to(self.device)
        return 0.5 * pair_nll(z_tilde[:count], log_det[:count], z_tilde[count:], log_det[count:], rho)

    def _mean_nll(self, batch: Batch) -> float:
        pieces = []
        for start in range(0, len(batch.z_a), EVAL_PAIRS):
            part = self._noised(batch.rows(slice(start, start + EVAL_PAIRS)), -1 - start)
            pieces.append(self._nll(self.translator, part))
        return torch.cat(pieces).mean().item()

    def _noised(self, batch: Batch, step: int) -> Batch:
        """Add the declared feature noise; without it a flow could put infinite density on a dead feature.

        In a pair the noises are correlated as the pair's residuals are: by σ where it shares the residual, else not.
        """
        if not self.noise:
            return batch
        generator = step_generator(self.seed, FEATURE_NOISE_STREAM, step % 2**48)
        if batch.z_b is None or batch.rho is None:
            return replace(batch, z_a=self.noise.add(batch.z_a.clone(), generator))
        # No concept's, the noise belongs to the residual: it is as alike in both as the pair's residuals are.
        z_a, z_b = self.noise.add_to_pairs(batch.z_a, batch.z_b, batch.rho[:, -1:], generator)
        return replace(batch, z_a=z_a, z_b=z_b)


@torch.no_grad()
def round_trip_error(translator: Translator, z: Tensor) -> float:
    """Measure max |T⁻¹(T(z)) − z| over latents (B, N), in float32."""
    return (translator.inverse(translator(z)[0]) - z).abs().max().item()


def log_det_error(translator: Translator, z: Tensor) -> float:
    """Measure max |log|det T'(z)| − log|det J|| over latents (B, N): the float32 log-det against autograd's Jacobian.

    The Jacobian J (N, N) is taken in float64 by reverse-mode differentiation, so that it judges the float32 figure. Its
    rows go back layer by layer, so that no more than one layer is held in float64.
    """
    with torch.no_grad():
        claimed = translator(z)[1].double().cpu()
    worst = 0.0
    for row, value in zip(z.double(), claimed, strict=True):
        worst = max(worst, abs(torch.linalg.slogdet(_jacobian(translator, row))[1].item() - value.item()))
    return worst


def _jacobian(translator: Translator, z: Tensor) -> Tensor:
    """Return ∂T(z)/∂z (N, N) in float64 for one latent (N,), by the chain rule over the layers."""
    where = "cpu" if z.device.type == "mps" else z.device
    inputs = [z.to(where)[None]]
    for layer in translator.layers:
        with torch.no_grad():
            inputs.append(copy.deepcopy(layer).to(where).double()(inputs[-1])[0])
    jacobian = torch.eye(len(z), dtype=torch.float64, device=where)
    for layer, at in zip(reversed(translator.layers), reversed(inputs[:-1]), strict=True):
        exact = copy.deepcopy(layer).to(where).double().requires_grad_(False)
        for rows in jacobian.split(JACOBIAN_ROWS):
            # As many copies of the input as rows of J so far, each asked for one of them.
            copies = at.expand(len(rows), -1).clone().requires_grad_()
            rows.copy_(torch.autograd.grad(exact(copies)[0], copies, rows)[0])
    return jacobian


def fitting_speed(device: torch.device, plan: TranslatorPlan, dim: int) -> float:
    """Estimate how fast `device` fits by `plan`, in floating-point operations per second, from a matrix product.

    Takes a few hundredths of a second; the best of several, since other programs only ever slow it down.
    """
    half = torch.ones(2 * plan.batch_pairs, dim, device=device)
    weight = torch.ones(dim, plan.hidden, device=device)
    seconds = []
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=plan.autocast):
        for _ in range(5):
            started = time.perf_counter()
            # Reading a number waits for a GPU to be done.
            (half @ weight)[0, 0].item()
            seconds.append(time.perf_counter() - started)
    return STEP_EFFICIENCY * 2.0 * len(half) * dim * plan.hidden / min(seconds)
