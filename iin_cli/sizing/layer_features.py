"""Read the features of every layer of a network in one pass over some images, and keep them in files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..interpretation.network import Network
from ..io.atomic import as_write_error
from ..io.paths import cache_dir
from ..latents.cache import as_images
from ..progress import Task

__all__ = ["LayerFeatures", "read_layers"]


class LayerFeatures:
    """Features of every layer, (rows, width) each, one file per layer."""

    def __init__(self, folder: Path, widths: dict[str, int]) -> None:
        self._folder, self.widths = folder, widths

    def __getitem__(self, layer: str) -> np.ndarray:
        """Read the features of one layer, float32 (rows, width)."""
        return np.fromfile(_file(self._folder, list(self.widths).index(layer)), np.float32).reshape(
            -1, self.widths[layer]
        )


@contextmanager
def read_layers(
    network: Network, layers: Sequence[str], batches: Iterable[np.ndarray], task: Task
) -> Iterator[LayerFeatures]:
    """Send every image through the network once and yield the features of `layers`; then the files are removed.

    Args:
        batches: images uint8 (B, S, S, 3).
        task: advanced by every batch.

    Raises DataError for a layer whose values are not finite, ResourceError when the disk is full.
    """
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".layers-") as folder:
            yield LayerFeatures(Path(folder), _write(network, layers, batches, task, Path(folder)))
    except OSError as error:
        raise as_write_error(cache_dir(), error) from error


@torch.inference_mode()
def _write(
    network: Network, layers: Sequence[str], batches: Iterable[np.ndarray], task: Task, folder: Path
) -> dict[str, int]:
    """Write each layer's features batch by batch; return their widths."""
    features: dict[str, Tensor] = {}
    with ExitStack() as open_until_done:
        files = [open_until_done.enter_context(_file(folder, place).open("wb")) for place in range(len(layers))]
        for pixels in batches:
            features = network.encode_layers(as_images(pixels).to(network.device), layers)
            for file, (layer, values) in zip(files, features.items(), strict=True):
                if not torch.isfinite(values).all():
                    raise DataError(f"layer {layer} of {network.name} gives values that are not finite")
                file.write(values.float().cpu().numpy().tobytes())
            task.advance(len(pixels))
        return {layer: values.shape[1] for layer, values in features.items()}


def _file(folder: Path, place: int) -> Path:
    return folder / f"{place}.f32"
