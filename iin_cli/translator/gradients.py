"""Passes through T with their gradients written out.

Autograd keeps a node for every operation, and a narrow net costs it as much time as its matrix products. Here a pair
of nets is one node, its products run in the precision of the surrounding autocast, and its sums and leaky ReLUs work in
place. `torch.autograd.gradcheck` judges these gradients in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["SLOPE", "affine", "normed", "permuted", "scale_and_shift"]

# Of the leaky ReLU (Table 6).
SLOPE = 0.01


def scale_and_shift(half: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return log s = tanh(net_s(half)) and t = net_t(half), both (B, m), in the dtype of `half` (B, n).

    Args:
        weights: of each layer, (2, inputs, outputs); index 0 is s, 1 is t.
        biases: of each layer, (2, 1, outputs).
    """
    return _ScaleShift.apply(half, len(weights), *weights, *biases)


def affine(half: Tensor, other: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return other·s(half) + t(half) (B, m) and Σ log s (B,), Eqs 15–16; `other` is (B, m), the rest as above."""
    return _Affine.apply(half, other, len(weights), *weights, *biases)


def normed(z: Tensor, loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return (z + loc)·scale (B, N) and Σ log|scale| (B,), with one loc and scale per dimension (A.1)."""
    return _Normed.apply(z, loc, scale)


def permuted(z: Tensor, order: Tensor, back: Tensor) -> Tensor:
    """Return z[:, order] (B, N), where `back` undoes `order`: so the gradient is gathered too, and not scattered."""
    return _Permuted.apply(z, order, back)


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        centred = z + loc
        ctx.save_for_backward(centred, scale)
        return centred * scale, scale.abs().log().sum().expand(len(z))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        grad, grad_log_det = grad_outputs
        centred, scale = ctx.saved_tensors
        grad_z = grad * scale
        if not ctx.needs_input_grad[1]:
            return grad_z, None, None
        return grad_z, grad_z.sum(0), (grad * centred).sum(0) + grad_log_det.sum() / scale


class _Permuted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, order: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        return z.index_select(1, order)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (back,) = ctx.saved_tensors
        return grad_outputs[0].index_select(1, back), None, None


class _ScaleShift(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, half: Tensor, layers: int, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift, saved = _through_nets(half, layers, parameters)
        ctx.save_for_backward(log_scale, *saved)
        return log_scale, shift

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        grad_log_scale, grad_shift = grad_outputs
        log_scale, *saved = ctx.saved_tensors
        half, parameters = _back_through_nets(
            grad_log_scale, grad_shift, log_scale, saved, ctx.needs_input_grad[0], ctx.needs_input_grad[2]
        )
        return half, None, *parameters


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, half: Tensor, other: Tensor, layers: int, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift, saved = _through_nets(half, layers, parameters)
        scale = log_scale.exp()
        ctx.save_for_backward(other, log_scale, scale, *saved)
        return torch.addcmul(shift, other, scale), log_scale.sum(1)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        grad, grad_log_det = grad_outputs
        other, log_scale, scale, *saved = ctx.saved_tensors
        grad_other = grad * scale
        grad_log_scale = torch.addcmul(grad_log_det[:, None], grad_other, other)
        half, parameters = _back_through_nets(
            grad_log_scale, grad, log_scale, saved, ctx.needs_input_grad[0], ctx.needs_input_grad[3]
        )
        return half, grad_other, None, *parameters


def _through_nets(half: Tensor, layers: int, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Return log s and t (B, m), and what the way back needs: each layer's input, then each layer's weights."""
    device = half.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else half.dtype
    weights = [weight.to(dtype) for weight in parameters[:layers]]
    biases = [bias.to(dtype) for bias in parameters[layers:]]
    with torch.autocast(device, enabled=False):
        # Both nets read the same half.
        inputs = [half.to(dtype).expand(2, -1, -1)]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            inputs.append(F.leaky_relu_(torch.baddbmm(bias, inputs[-1], weight), SLOPE))
        last = torch.baddbmm(biases[-1], inputs[-1], weights[-1]).to(half.dtype)
    return last[0].tanh(), last[1], (*inputs, *weights)


def _back_through_nets(
    grad_log_scale: Tensor,
    grad_shift: Tensor,
    log_scale: Tensor,
    saved: Sequence[Tensor],
    half_wanted: bool,
    parameters_wanted: bool,
) -> tuple[Tensor | None, list[Tensor | None]]:
    """Return the gradients of the half (B, n) and of every layer's weights, then biases; None where not wanted."""
    layers, dtype = len(saved) // 2, grad_shift.dtype
    inputs, weights = saved[:layers], saved[layers:]
    grad = torch.empty((2, *grad_shift.shape), dtype=weights[0].dtype, device=grad_shift.device)
    grad[0] = torch.ops.aten.tanh_backward(grad_log_scale, log_scale)
    grad[1] = grad_shift
    parameters: list[Tensor | None] = [None] * (2 * layers)
    for number in reversed(range(layers)):
        if parameters_wanted:
            parameters[number] = torch.bmm(inputs[number].transpose(1, 2), grad).to(dtype)
            parameters[layers + number] = grad.sum(1, keepdim=True).to(dtype)
        if number:
            grad = torch.bmm(grad, weights[number].transpose(1, 2))
            torch.ops.aten.leaky_relu_backward.grad_input(grad, inputs[number], SLOPE, True, grad_input=grad)
    half = torch.bmm(grad, weights[0].transpose(1, 2)).sum(0).to(dtype) if half_wanted else None
    return half, parameters
