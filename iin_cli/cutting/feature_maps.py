"""Which axes of what a layer gives are averaged to make a latent of it: the rule of every cut and of `--all-layers`."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["FLAT_LIMIT", "averaged_axes"]

# The widest input of any last linear layer in torchvision (AlexNet, VGG): a translator that wide can still be fitted.
FLAT_LIMIT = 4096


def averaged_axes(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of a batch (B, *shape) to average over; none where flat it has at most 4,096 numbers a row.

    The channels stay: the first axis of a square map (C, S, S), else the last, of (S, S, C) or of tokens (T, C).

    >>> averaged_axes((512, 2, 2)), averaged_axes((512, 7, 7)), averaged_axes((197, 768))
    ((), (2, 3), (1,))
    """
    if math.prod(shape) <= FLAT_LIMIT or len(shape) < 2:
        return ()
    channels = 1 if len(shape) == 3 and shape[1] == shape[2] else len(shape)
    return tuple(axis for axis in range(1, len(shape) + 1) if axis != channels)
