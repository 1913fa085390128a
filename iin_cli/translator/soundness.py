"""Whether the numbers of a translator make an invertible map: what every reader of weights asks before it uses them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from .flow import Translator
from .gaussianise import Gaussianise
from .layers import ActNorm, Shuffle, Whitening

__all__ = ["unsound"]

# A rotation saved in float32 is one to rounding; the sum over N of its products stays far below this.
ROTATION = 1e-3
PROBES = 16


@torch.no_grad()
def unsound(translator: Translator) -> str | None:
    """Say in a few words what is wrong with the weights, or None: T must have an inverse, and be finite.

    >>> translator = Translator(4, blocks=1, hidden=8)
    >>> unsound(translator)
    >>> translator.layers[0].scale.data[2] = 0
    >>> unsound(translator)
    'layers.0.scale has a zero'
    """
    return next(_problems(translator), None)


def _problems(translator: Translator) -> Iterator[str]:
    for name, tensor in translator.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            yield f"{name} has values that are not finite"
    modules = cast("Iterator[tuple[str, nn.Module]]", translator.named_modules())
    for name, layer in modules:
        if isinstance(layer, ActNorm):
            if not layer.scale.all():
                yield f"{name}.scale has a zero"
        elif isinstance(layer, Shuffle):
            if not _is_permutation(layer.order, layer.back):
                yield f"{name}.order and {name}.back are no permutation and its inverse"
        elif isinstance(layer, Whitening):
            yield from (f"{name}.{problem}" for problem in _of_whitening(layer))
        elif isinstance(layer, Gaussianise):
            for knots in ("x", "y"):
                if not (getattr(layer, knots).diff(dim=1) > 0).all():
                    yield f"{name}.{knots} does not rise"


def _of_whitening(layer: Whitening) -> Iterator[str]:
    for scale in ("scale", "first_scale"):
        if not (getattr(layer, scale) > 0).all():
            yield f"{scale} has values that are not positive"
    for rotation in ("first", "second"):
        if not _is_orthogonal(getattr(layer, rotation)):
            yield f"{rotation} is no rotation: it is not orthogonal"


def _is_permutation(order: Tensor, back: Tensor) -> bool:
    numbers = torch.arange(len(order), device=order.device)
    return torch.equal(order.sort().values, numbers) and torch.equal(back, order.argsort())


def _is_orthogonal(rotation: Tensor) -> bool:
    """Say whether RᵀR v = v for a few vectors v of ±1, which costs N² rather than N³."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (len(rotation), PROBES), generator=generator).to(rotation) * 2 - 1
    return bool(((rotation.T @ (rotation @ signs)) - signs).abs().max() < ROTATION)
