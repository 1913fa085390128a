"""From latents to pixels or logits, such that a row's result does not depend on the rows beside it.

Matrix products of different heights may differ in their last bits. Everything is therefore computed in pieces of one
constant height, the last one filled up with zeros: the same z gives the same bytes however a job was cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..latents.reading_ahead import each_core

__all__ = ["MANY_ROWS", "image_rows", "in_pieces", "piece_rows", "to_pixels"]

# Height of a piece for what maps thousands of rows in any case, as walks do: narrow networks take a third less time.
MANY_ROWS = 256
# Pixels of a piece of images: 64 of 64² on a CPU; fewer than 4 images would keep no core busy.
CPU_PIXELS, GPU_PIXELS, LEAST_IMAGES = 2**18, 2**22, 4


def piece_rows(device: torch.device) -> int:
    """Return the constant height of a piece: enough to keep the device busy, little enough not to waste a small job."""
    return 64 if device.type == "cpu" else 256


def image_rows(device: torch.device, size: int) -> int:
    """Return the constant height of a piece of images S² (S = `size`): of large ones a few, since one may be all."""
    pixels = CPU_PIXELS if device.type == "cpu" else GPU_PIXELS
    return max(LEAST_IMAGES, min(piece_rows(device), pixels // size**2))


def in_pieces(
    count: int,
    take: Callable[[slice], Tensor],
    compute: Callable[[Tensor], Tensor],
    device: torch.device,
    height: int | None = None,
    *,
    is_concurrent: bool = False,
    one_core_each: bool = False,
) -> Iterator[Tensor]:
    """Yield `compute` of `count` rows piece by piece, on the CPU; `take` makes a piece's rows in their turn.

    Every piece has the same height, `piece_rows` unless `height` is given; the padding is cut off.

    Args:
        is_concurrent: whether `take` and `compute` may be called from several threads: then each core of a CPU computes
            pieces of its own.
        one_core_each: whether one core computes a piece that is alone, too, where its last bits depend on that.
    """
    height = height or piece_rows(device)
    is_spread = is_concurrent and device.type == "cpu" and (count > height or one_core_each)
    for_each = each_core if is_spread else map
    yield from for_each(lambda start: _piece(start, height, take, compute, device), range(0, count, height))


def _piece(
    start: int,
    height: int,
    take: Callable[[slice], Tensor],
    compute: Callable[[Tensor], Tensor],
    device: torch.device,
) -> Tensor:
    piece = take(slice(start, start + height))
    rows = len(piece)
    if rows < height:
        piece = torch.cat((piece, piece.new_zeros(height - rows, *piece.shape[1:])))
    with torch.inference_mode():
        return compute(piece.to(device))[:rows].cpu()


def to_pixels(images: Tensor) -> np.ndarray:
    """Turn float (B, 3, S, S) in [-1, 1] into uint8 (B, S, S, 3); values outside are clipped."""
    levels = ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
