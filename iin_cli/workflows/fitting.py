"""The fit of a translator by maximum likelihood: one step, its validation, and what proves the result."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from ..data.pairs import step_generator
from ..errors import DataError
from ..plan import TranslatorPlan
from ..translator.flow import STD_FLOOR, Translator
from ..translator.likelihood import bits_per_dim, nll, pair_nll
from .pair_streams import Batch, PairStream

__all__ = ["TranslatorFit", "bfloat16_is_fast", "log_det_error", "round_trip_error"]

FEATURE_NOISE_STREAM = 300
EVAL_PAIRS = 512


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
        self.noise_std = torch.zeros(translator.dim)
        self.held_out = stream.held_out()

    def initialize(self) -> None:
        """Set the actnorms, and the feature noise, from min(10·N, all) latents at least."""
        z = self.stream.initial(max(10 * self.translator.dim, 2000))
        std = z.std(0, correction=0)
        if not std.max() > 0:
            raise DataError("the latents do not vary: every item has the same z")
        # A dead feature gets some noise too, in the proportion that its actnorm gives it.
        self.noise_std = self.plan.feature_noise * std.clamp_min(STD_FLOOR * std.max())
        z = z + self.noise_std * torch.from_numpy(
            step_generator(self.seed, FEATURE_NOISE_STREAM, 2**32).standard_normal(tuple(z.shape), "float32")
        )
        self.translator.initialize(z.to(self.device))

    def step(self, step: int, fraction: float) -> dict[str, float]:
        """Take one step of Adam on the batch of step `step`."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate_at(step, fraction)
        batch = self._noised(self.stream.batch(step), step)
        loss = (self._nll(batch) * batch.weight.to(self.device)).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
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
            "noise_std": self.noise_std,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.translator.load_state_dict(state["translator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.noise_std = state["noise_std"]

    def _nll(self, batch: Batch) -> Tensor:
        """Nats per latent: of a pair half its joint −log p, so that it compares with single latents; (P,)."""
        z = batch.z_a if batch.z_b is None else torch.cat((batch.z_a, batch.z_b))
        with self.precision:
            z_tilde, log_det = self.translator(z.to(self.device, non_blocking=True))
        if batch.z_b is None or batch.rho is None:
            return nll(z_tilde, log_det)
        count = len(batch.z_a)
        rho = batch.rho.to(self.device)
        return 0.5 * pair_nll(z_tilde[:count], log_det[:count], z_tilde[count:], log_det[count:], rho)

    def _mean_nll(self, batch: Batch) -> float:
        pieces = []
        for start in range(0, len(batch.z_a), EVAL_PAIRS):
            part = slice(start, start + EVAL_PAIRS)
            z_b = None if batch.z_b is None else batch.z_b[part]
            rho = None if batch.rho is None else batch.rho[part]
            pieces.append(self._nll(self._noised(Batch(batch.z_a[part], z_b, rho, batch.weight[part]), -1 - start)))
        return torch.cat(pieces).mean().item()

    def _noised(self, batch: Batch, step: int) -> Batch:
        """Add the declared feature noise; without it a flow could put infinite density on a dead feature."""
        if not self.plan.feature_noise:
            return batch
        generator = step_generator(self.seed, FEATURE_NOISE_STREAM, step % 2**48)

        def noised(z: Tensor) -> Tensor:
            return z + self.noise_std * torch.from_numpy(generator.standard_normal(tuple(z.shape), "float32"))

        return Batch(noised(batch.z_a), None if batch.z_b is None else noised(batch.z_b), batch.rho, batch.weight)


def bfloat16_is_fast(device: torch.device) -> bool:
    """Say whether `device` has instructions for matrix products in bfloat16; without them it emulates them slowly."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    if not hasattr(torch.cpu, "get_capabilities"):
        return torch.cpu._is_avx512_bf16_supported()
    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


@torch.no_grad()
def round_trip_error(translator: Translator, z: Tensor) -> float:
    """Measure max |T⁻¹(T(z)) − z| over latents (B, N), in float32."""
    return (translator.inverse(translator(z)[0]) - z).abs().max().item()


def log_det_error(translator: Translator, z: Tensor) -> float:
    """Measure max |log|det T'(z)| − log|det J|| over latents (B, N): the float32 log-det against autograd's Jacobian.

    The Jacobian J (N, N) is taken in float64 by reverse-mode differentiation, so that it judges the float32 figure.
    """
    exact = copy.deepcopy(translator).double().cpu().requires_grad_(False)
    with torch.no_grad():
        claimed = translator(z)[1].double().cpu()
    worst = 0.0
    for row, value in zip(z.double().cpu(), claimed, strict=True):
        # N copies of the row, each asked for one output: a single backward pass gives the whole Jacobian.
        copies = row.expand(len(row), -1).clone().requires_grad_()
        (jacobian,) = torch.autograd.grad(exact(copies)[0], copies, torch.eye(len(row), dtype=row.dtype))
        worst = max(worst, abs(torch.linalg.slogdet(jacobian)[1].item() - value.item()))
    return worst
