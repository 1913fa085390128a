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

from ..cutting.feature_maps import averaged_axes
from ..errors import DataError, UsageError
from ..io.atomic import as_write_error
from ..io.paths import cache_dir
from ..latents.cache import as_images
from ..plugin_api import Backbone
from ..progress import Task

__all__ = ["LayerFeatures", "read_layers"]


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
    averaged = averaged_axes(value.shape[1:])
    # Copied at once, since the next layer may work in place; of several uses the last one stays.
    seen[layer] = (value.float().mean(averaged) if averaged else value.flatten(1).float()).clone()


def _file(folder: Path, place: int) -> Path:
    return folder / f"{place}.f32"
