"""Latents: every item encoded once, memory-mapped, and found again by content.

A cache entry is a folder of `.npy` files named by the sha256 of everything that decides its values: images, order,
rendering, encoder, size. It appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, ResourceError
from ..io.paths import cache_dir
from ..progress import Reporter, Silent

__all__ = ["Latents", "as_images", "cached", "index_digest"]

FORMAT = 1
Encode = Callable[[Tensor], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class Latents:
    """Encoded items: `mean` (M, N) float32 and, of a stochastic encoder, `log_variance` (M, N); both memory-mapped."""

    mean: np.ndarray
    log_variance: np.ndarray | None


def as_images(pixels: np.ndarray) -> Tensor:
    """Turn uint8 (B, S, S, 3) into float (B, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def index_digest(indices: np.ndarray) -> str:
    """Return the sha256 of an index array: two lists of items with one digest are the same list."""
    return hashlib.sha256(np.ascontiguousarray(indices, dtype=np.int64).tobytes()).hexdigest()


def cached(
    identity: Mapping[str, Any],
    count: int,
    read: Callable[[np.ndarray], np.ndarray],
    encode: Encode,
    *,
    batch: int = 500,
    device: torch.device | str = "cpu",
    report: Reporter | None = None,
    description: str = "encoding",
) -> Latents:
    """Encode items 0 … `count` − 1 once, or find what an earlier run encoded.

    Args:
        identity: JSON values that decide the result; the cache key.
        count: M.
        read: positions (B,) -> images uint8 (B, S, S, 3).
        encode: images (B, 3, S, S) on `device` -> mean and log-variance (B, N), the latter None if deterministic.

    Raises DataError when a latent is not finite, ResourceError when the disk is full.
    """
    key = hashlib.sha256(json.dumps({"format": FORMAT, **identity}, sort_keys=True).encode()).hexdigest()
    folder = cache_dir() / "latents" / key[:2] / key
    if not folder.is_dir():
        _encode_into(folder, count, read, encode, batch, torch.device(device), report or Silent(), description)
    log_variance = folder / "log_variance.npy"
    return Latents(
        np.load(folder / "mean.npy", mmap_mode="r"),
        np.load(log_variance, mmap_mode="r") if log_variance.exists() else None,
    )


def _encode_into(
    folder: Path,
    count: int,
    read: Callable[[np.ndarray], np.ndarray],
    encode: Encode,
    batch: int,
    device: torch.device,
    report: Reporter,
    description: str,
) -> None:
    if count < 1:
        raise DataError("there are no items to encode")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
    except OSError as error:
        raise ResourceError(f"cannot write the cache {folder.parent}: {error.strerror}; set IIN_CACHE") from error
    try:
        files: dict[str, np.ndarray] = {}
        with report.task(description, count, "images") as task, torch.inference_mode():
            for start in range(0, count, batch):
                positions = np.arange(start, min(start + batch, count))
                mean, log_variance = encode(as_images(read(positions)).to(device))
                _store(files, unfinished, count, positions, {"mean": mean, "log_variance": log_variance})
                task.advance(len(positions))
        for values in files.values():
            values.flush()  # type: ignore[attr-defined]
        try:
            os.replace(unfinished, folder)
        except OSError:
            # Another process encoded the same meanwhile; its result is as good.
            if not folder.is_dir():
                raise
    except OSError as error:
        raise ResourceError(f"cannot write the cache {folder.parent}: {error.strerror}; set IIN_CACHE") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _store(
    files: dict[str, np.ndarray], folder: Path, count: int, positions: np.ndarray, values: Mapping[str, Tensor | None]
) -> None:
    for name, rows in values.items():
        if rows is None:
            continue
        finite = torch.isfinite(rows).all(1)
        if not finite.all():
            first = int(positions[int((~finite).nonzero()[0])])
            raise DataError(f"the backbone gives a {name} that is not finite for item {first}")
        if name not in files:
            shape = (count, rows.shape[1])
            files[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape)
        files[name][positions] = rows.float().cpu().numpy()
