"""What every layer of a network gives for some images, read in one pass by hooks, kept in files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.latents import as_images
from ..errors import DataError, UsageError
from ..io.atomic import as_write_error
from ..io.paths import cache_dir
from ..plugin_api import Backbone
from ..progress import Task

__all__ = ["FLAT_LIMIT", "LayerFeatures", "pooled", "read_layers"]

# As where the network is cut behind one layer: what is larger is averaged over its map.
FLAT_LIMIT = 4096


class LayerFeatures:
    """Features of every layer, (rows, width) each, in a file of its own."""

    def __init__(self, folder: Path, widths: dict[str, int]) -> None:
        self._folder, self.widths = folder, widths

    def __getitem__(self, layer: str) -> np.ndarray:
        """Read the features of one layer, float32 (rows, width)."""
        return np.fromfile(_file(self._folder, list(self.widths).index(layer)), np.float32).reshape(
            -1, self.widths[layer]
        )


@contextmanager
def read_layers(
    backbone: Backbone, layers: Sequence[str], batches: Iterable[np.ndarray], device: torch.device, task: Task
) -> Iterator[LayerFeatures]:
    """Send every image through the network once, and yield what each of `layers` gave, while the files are there.

    Args:
        batches: images uint8 (B, S, S, 3).
        task: told of every batch.

    Raises UsageError for a network whose layers cannot be told by name, ResourceError when the disk is full.
    """
    modules = _modules(backbone, layers)
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".layers-") as folder:
            yield LayerFeatures(Path(folder), _write(backbone, modules, batches, device, task, Path(folder)))
    except OSError as error:
        raise as_write_error(cache_dir(), error) from error


def pooled(value: Tensor) -> Tensor:
    """Turn what a layer gives, (B, …), into float32 (B, N): flat, or where N were above 4,096 averaged over its map.

    The channels stay: the first axis of a square map (C, S, S), else the last, of (S, S, C) or of tokens (T, C).
    """
    shape = value.shape[1:]
    if shape.numel() <= FLAT_LIMIT or len(shape) < 2:
        return value.flatten(1).float()
    channels = 1 if len(shape) == 3 and shape[1] == shape[2] else len(shape)
    return value.float().mean([axis for axis in range(1, value.ndim) if axis != channels])


def _modules(backbone: Backbone, layers: Sequence[str]) -> dict[str, nn.Module]:
    """Find the modules called `layers`, in the backbone or in a network it holds."""
    for root in (backbone, *backbone.children()):
        known = dict(root.named_modules())
        if all(layer in known for layer in layers):
            return {layer: known[layer] for layer in layers}
    raise UsageError(f"--all-layers: {backbone.name} names layers that are no modules of it; look at one with --layer")


@torch.inference_mode()
def _write(
    backbone: Any,
    modules: dict[str, nn.Module],
    batches: Iterable[np.ndarray],
    device: torch.device,
    task: Task,
    folder: Path,
) -> dict[str, int]:
    """Write each layer's features as they come; return their widths."""
    seen: dict[str, Tensor] = {}
    with ExitStack() as open_until_done:
        files = [open_until_done.enter_context(_file(folder, place).open("wb")) for place in range(len(modules))]
        for layer, module in modules.items():
            hook = module.register_forward_hook(lambda _m, _i, value, layer=layer: _keep(seen, layer, value))
            open_until_done.callback(hook.remove)
        for pixels in batches:
            seen.clear()
            backbone(as_images(pixels).to(device))
            for file, layer in zip(files, modules, strict=True):
                if layer not in seen:
                    raise UsageError(f"--all-layers: {backbone.name} does not pass {layer}; look at one with --layer")
                if not torch.isfinite(seen[layer]).all():
                    raise DataError(f"layer {layer} of {backbone.name} gives values that are not finite")
                file.write(seen[layer].cpu().numpy().tobytes())
            task.advance(len(pixels))
        return {layer: value.shape[1] for layer, value in seen.items()} if seen else {}


def _keep(seen: dict[str, Tensor], layer: str, value: Tensor) -> None:
    # Copied at once, since the next layer may work in place; of several uses the last one stays.
    seen[layer] = pooled(value).clone()


def _file(folder: Path, place: int) -> Path:
    return folder / f"{place}.f32"
