"""Fold batch norms into the convolutions before them: γ(Wx + b − μ)/√(v + ε) + β is one convolution of x.

The network itself is never changed: what is folded is a copy, and only one that gives the same numbers is used.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .cut import evaluating

__all__ = ["FOLD_TOLERANCE", "folded_copy"]

# A copy may differ by this part of the largest number: some roundings of float32, and a tenth of what G∘E may by.
FOLD_TOLERANCE = 1e-5
# Two images show which layer follows which; their maps are all kept meanwhile.
SHOWN = 2
Network = TypeVar("Network", bound=nn.Module)


def folded_copy(network: Network, compute: Callable[[Network, Tensor], Tensor], images: Tensor) -> Network:
    """Return a copy of `network` that computes the same faster: batch norms folded, weights with channels last.

    Args:
        compute: what is wanted of the network, from it and `images` to a tensor (B, …).
        images: (B, …), on which the copy must give the same within `FOLD_TOLERANCE` of the largest number.

    Returns the network itself where nothing can be folded, or the copy gives other numbers or cannot be made.

    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    >>> folded = folded_copy(network, lambda net, x: net(x), torch.rand(2, 3, 8, 8))
    >>> folded is network, network[1](torch.ones(1, 4, 1, 1)).sum() < 4, folded[1](torch.ones(1, 4, 1, 1)).sum() == 4
    (False, tensor(True), tensor(True))
    """
    # Outside inference mode, in which tensors do not count their changes.
    with torch.inference_mode(False), torch.no_grad(), evaluating(network):
        images = images.clone()
        try:
            wanted, faster = compute(network, images), copy.deepcopy(network)
            pairs = _pairs(faster, lambda: compute(faster, images[:SHOWN]))
            for convolution, norm in pairs:
                _fold(convolution, norm)
            found = compute(faster.to(memory_format=torch.channels_last), images) if pairs else None
        # A network of anybody's may refuse to be copied in as many ways as there are networks.
        except Exception:
            return network
    # Written so that a NaN is no agreement.
    alike = found is not None and bool((found - wanted).abs().max() <= FOLD_TOLERANCE * wanted.abs().max())
    return faster if alike else network


def _pairs(network: nn.Module, run: Callable[[], Any]) -> list[tuple[nn.Conv2d, _BatchNorm]]:
    """Return each convolution with the batch norm that takes its output as it is, both used once by `run`."""
    outputs: dict[int, tuple[nn.Conv2d, Tensor, int]] = {}
    uses: dict[nn.Module, int] = {}
    found: list[tuple[nn.Conv2d, _BatchNorm]] = []

    def after(module: nn.Module, _inputs: object, output: Tensor) -> None:
        uses[module] = uses.get(module, 0) + 1
        if isinstance(module, nn.Conv2d):
            # Held, so that no other tensor can be taken for it; its version tells whether it was changed in place.
            outputs[id(output)] = module, output, output._version

    def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        known = outputs.get(id(inputs[0])) if inputs else None
        if known is not None and isinstance(module, _BatchNorm) and known[2] == inputs[0]._version:
            found.append((known[0], module))

    parts = [part for part in network.modules() if isinstance(part, nn.Conv2d) or _is_foldable(part)]
    hooks = [part.register_forward_hook(after) for part in parts]
    hooks += [part.register_forward_pre_hook(before) for part in parts]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return [(convolution, norm) for convolution, norm in found if uses[convolution] == 1 and uses[norm] == 1]


def _is_foldable(part: nn.Module) -> bool:
    return isinstance(part, _BatchNorm) and part.running_mean is not None and _rest(part) is not None


def _rest(norm: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """Return what a batch norm does after normalising; None where that is not known."""
    if type(norm) is nn.BatchNorm2d:
        return lambda x: x
    drop, activate = getattr(norm, "drop", None), getattr(norm, "act", None)
    if isinstance(drop, nn.Module) and isinstance(activate, nn.Module):
        # timm's batch norm with its activation.
        return lambda x: activate(drop(x))
    return None


def _fold(convolution: nn.Conv2d, norm: _BatchNorm) -> None:
    """Give `convolution` the weights of both, and leave to `norm` what it does after normalising."""
    weight, kind = convolution.weight.detach().double(), convolution.weight.dtype
    zero = weight.new_zeros(len(weight))
    mean, variance, shift, bias = (
        zero if part is None else part.detach().double()
        for part in (norm.running_mean, norm.running_var, norm.bias, convolution.bias)
    )
    gain = (variance + norm.eps).rsqrt() * (1 if norm.weight is None else norm.weight.detach().double())
    folded = weight * gain[:, None, None, None], (bias - mean) * gain + shift
    convolution.weight, convolution.bias = (nn.Parameter(part.to(kind), requires_grad=False) for part in folded)
    # Of this copy alone: every way to call the module goes through its own `forward`.
    norm.forward = _rest(norm)  # pyright: ignore[reportAttributeAccessIssue]
