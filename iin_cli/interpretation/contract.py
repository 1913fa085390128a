"""The contract of a backbone, checked when a plugin's is opened: a first batch through E and G, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from ..distributed import seeded
from ..errors import IinError
from ..plugin_api import Backbone, Interpolation

__all__ = ["breach_of", "shape_of", "unlike_answers", "unlike_features"]

ROWS = 2


def breach_of(backbone: Any) -> str | None:
    """Say how `backbone` breaks the contract of `plugin_api.Backbone`; None where it keeps it.

    It is put into evaluation mode, and gets a batch of two images of all brightnesses. Raises what E and G raise.
    """
    if not (isinstance(backbone, nn.Module) and isinstance(backbone, Backbone)):
        return f"it made a {type(backbone).__name__} instead of a torch module that is a Backbone"
    if (wrong := _wrong_attribute(backbone)) is not None:
        return wrong
    side, first = backbone.image_size, next(backbone.parameters(), torch.zeros(()))
    images = torch.linspace(-1, 1, ROWS * 3 * side**2, device=first.device).view(ROWS, 3, side, side)
    # What E draws at random must not change what is drawn later.
    with torch.no_grad(), seeded(0, first.device):
        backbone.eval()
        z = backbone.encode(images)
        if (wrong := unlike_features(z, ROWS, backbone.latent_dim)) is not None:
            return wrong
        if not backbone.has_head:
            return None
        try:
            return unlike_answers(backbone.decode(z.float()), ROWS, backbone.classes)
        except IinError as error:
            return f"decode refuses its own z, {error}"


def unlike_features(z: Any, rows: int, dim: int | None = None, finite: bool = True) -> str | None:
    """Say how what E gave for `rows` inputs is no z (B, N) of real numbers, all finite; None where it is one."""
    wanted = f"({rows}, {'N' if dim is None else dim})"
    if not isinstance(z, Tensor) or z.ndim != 2 or len(z) != rows or dim not in (None, z.shape[1]):
        return f"E must give z (B, N), here {wanted}, and gives {shape_of(z)}"
    return _unlike_numbers("E", z, finite)


def unlike_answers(answers: Any, rows: int, classes: Sequence[str] | None) -> str | None:
    """Say how what G gave for `rows` latents is neither logits (B, C) nor images (B, 3, S, S), as `classes` says."""
    if classes is None:
        if not isinstance(answers, Tensor) or answers.ndim != 4 or answers.shape[:2] != (rows, 3):
            return f"without classes G must give images (B, 3, S, S), and gives {shape_of(answers)}"
    elif not isinstance(answers, Tensor) or answers.ndim != 2 or len(answers) != rows:
        return f"with {len(classes)} classes G must give logits (B, C), and gives {shape_of(answers)}"
    elif answers.shape[1] != len(classes) and (answers.shape[1], len(classes)) != (1, 2):
        return f"it names {len(classes)} classes, and G gives {answers.shape[1]} logits"
    return _unlike_numbers("G", answers)


def shape_of(value: Any) -> str:
    """Return the shape of a tensor, the type of anything else, for a message."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _unlike_numbers(part: str, values: Tensor, finite: bool = True) -> str | None:
    if not values.is_floating_point():
        return f"{part} gives {str(values.dtype).removeprefix('torch.')}, not floating-point numbers"
    if finite and not values.isfinite().all():
        return f"{part} gives values that are not finite: its weights may be those of a diverged training"
    return None


def _wrong_attribute(backbone: Backbone) -> str | None:
    for name, least in (("latent_dim", 2), ("image_size", 1)):
        value = getattr(backbone, name)
        if not isinstance(value, int) or value < least:
            return f"its {name} is {value!r}, and must be a whole number of at least {least}"
    if backbone.interpolation not in get_args(Interpolation):
        return (
            f"its interpolation is {backbone.interpolation!r}, and must be one of {', '.join(get_args(Interpolation))}"
        )
    names = backbone.classes
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        return f"its classes are {names!r:.60}, and must be names, one per logit, or None"
    return None if names else "its classes are empty: None is for a network that draws images"
