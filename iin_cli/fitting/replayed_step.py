"""Replay a step of a fit as one CUDA graph: one launch, where a GPU would wait for thousands."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import reason
from ..progress import Reporter
from .streams import Batch

__all__ = ["ReplayedStep"]

# Steps taken as they are before one is captured: libraries choose their kernels and optimisers make their moments.
WARM_UP = 3


class ReplayedStep:
    """`take`, captured on its fourth call and replayed from then on; the arithmetic is the same, kernel for kernel.

    A step that cannot be captured costs a warning and nothing else: every step is then taken as it is. So is a batch
    of other shapes or kinds than the captured one.

    Args:
        take: makes a step of a batch on the GPU and returns its figure; it reads no number, and writes in place.
        device: the GPU.
        report: is told why steps are not replayed.
    """

    def __init__(self, take: Callable[[Batch], Tensor], device: torch.device, report: Reporter) -> None:
        self._take, self._device, self._report = take, device, report
        self._graph: torch.cuda.CUDAGraph | None = None
        self._left = WARM_UP

    def __call__(self, batch: Batch) -> Tensor:
        """Take the step of `batch`, on the CPU or the GPU; the figure returned changes with the next call."""
        if self._graph is None and self._left == 0:
            self._capture(batch)
        if self._graph is None or not self._batch.is_like(batch):
            self._left -= 1
            return self._take(batch.on(self._device))
        for here, there in zip(self._batch.tensors(), batch.tensors(), strict=True):
            here.copy_(there, non_blocking=True)
        self._graph.replay()
        return self._figure

    def _capture(self, batch: Batch) -> None:
        """Record what a step of `batch` does, without doing it."""
        self._batch = batch.on(self._device)
        graph = torch.cuda.CUDAGraph()
        try:
            # Meanwhile another thread pins the next batches, which concerns no stream.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._figure = self._take(self._batch)
        # What cannot be captured fails in torch's own ways.
        except RuntimeError as error:
            self._report.warn(f"steps are not replayed as one CUDA graph, and are slower: {reason(error)[:200]}")
            # A capture that fails leaves the GPU's generator as if within one.
            generator = torch.cuda.default_generators[torch.cuda.current_device()]
            generator.graphsafe_set_state(generator.clone_state())
            return
        self._graph = graph
