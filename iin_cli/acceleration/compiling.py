"""Compile a module's passes by `torch.compile` where that works here, and else run it as it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..progress import Reporter

__all__ = ["Compiled"]


class Compiled(nn.Module):
    """`module`, compiled on its first call: kernels are fused.

    A machine without a compiler, or a module that cannot be compiled, costs a warning and nothing else: every call
    then runs `module` itself. The compiled passes round as their kernels do, in the last bits.

    Args:
        module: called with inputs of one shape; another shape is compiled once more.
        report: is told of the compilation, and why there is none.
    """

    def __init__(self, module: nn.Module, report: Reporter) -> None:
        super().__init__()
        self.module, self._report = module, report
        self._run: Any = None

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Return what `module` returns."""
        if self._run is None:
            return self._first(*inputs)
        return self._run(*inputs)

    def _first(self, *inputs: torch.Tensor) -> Any:
        self._report.note("compiling the passes, which takes a minute or so")
        try:
            self._run = torch.compile(self.module, dynamic=False)
            return self._run(*inputs)
        except Exception as error:
            why = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._report.warn(f"the passes are not compiled, and run as without --compile: {why}")
            self._run = self.module
            return self._run(*inputs)
