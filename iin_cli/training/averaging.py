"""Average a network's weights over the last part of its training, which generalises better than its last weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel, get_ema_multi_avg_fn

__all__ = ["AveragedWeights"]

# Steps between two updates: an average over hundreds of steps needs no more, and large networks are read each time.
EVERY = 10


class AveragedWeights(AveragedModel):
    """Averages the weights of `module`; their mean age is `part` of the steps taken so far.

    The average follows the run at any length: step s counts in proportion to s^γ, γ = 1/part − 2, so update t
    keeps β_t = (1 − 1/t)^(γ + 1) of what was there (the power function average of Karras et al., "Analyzing and
    Improving the Training Dynamics of Diffusion Models", CVPR 2024, section 3.1).

    Args:
        module: the network that is trained; the average is a network like it, in the attribute `module`.
        part: above 0, at most ½.
        every: steps between two updates.

    >>> line = nn.Linear(1, 1, bias=False)
    >>> average = AveragedWeights(line, part=0.1)
    >>> for step in range(1000):
    ...     _ = line.weight.data.fill_(step + 1)
    ...     average.follow(line, step)
    >>> round(1000 - average.module.weight.item(), -1)
    100.0
    """

    def __init__(self, module: nn.Module, part: float, every: int = EVERY) -> None:
        self._power, self.every = 1 / part - 1, every
        super().__init__(module, multi_avg_fn=self._keep)
        self.requires_grad_(False)

    @property
    def is_begun(self) -> bool:
        """Whether there is an average yet."""
        return bool(self.n_averaged > 0)

    def follow(self, module: nn.Module, step: int) -> None:
        """Take the weights of `module` after step number `step` into the average, where an update is due."""
        if (step + 1) % self.every == 0:
            self.update_parameters(module)

    def forget(self) -> None:
        """Begin once more with the next weights."""
        self.n_averaged.zero_()

    def _keep(self, average: PARAM_LIST, current: PARAM_LIST, updates: Tensor | int) -> None:
        # Read from the buffer, which stays on the CPU: reading `updates` would make a GPU wait.
        update = int(self.n_averaged) + 1
        get_ema_multi_avg_fn((1 - 1 / update) ** self._power)(average, current, updates)
