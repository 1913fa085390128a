"""Which of two cues decides what a network calls an image: its shape bias, where the cues are shape and texture.

An image that shows the shape of a cat in the texture of an elephant is decided by its shape where the answer is "cat",
by its texture where it is "elephant", and by neither otherwise (Geirhos et al., ICLR 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.cue_conflict import imagenet_groups
from ..interpretation.answers import Classes
from ..interpretation.network import Network
from ..metrics.bootstrap import Interval, Resampling, bootstrap, mean_interval
from ..plugin_api import Dataset
from ..progress import Reporter
from ..results import Result, Table

__all__ = ["CueDecisions", "answers_among", "bias_of", "decide"]

IMAGES_AT_ONCE = 32


@dataclass(frozen=True)
class CueDecisions(Result):
    """How many images are decided by either of two cues, among those whose cues differ.

    Attributes:
        first, second: labels that say what either cue shows.
        n: images whose cues differ.
        by_first, by_second: fraction of them that are called by that cue.
        bias: fraction decided by the first, of those decided by either; None where there are none.
    """

    first: str
    second: str
    n: int
    by_first: Interval
    by_second: Interval
    bias: Interval | None

    def share(self, cue: str | None) -> Interval | None:
        """Return the fraction of images that are called by `cue`; None for a label that is neither of the two."""
        return {self.first: self.by_first, self.second: self.by_second}.get(cue or "")

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"of {self.n} images whose {self.first} and {self.second} differ, the network calls {self.by_first:.2f} "
            f"by their {self.first} and {self.by_second:.2f} by their {self.second}"
        )

    def tables(self) -> list[Table]:
        """Return one table with one row."""
        shares = {self.first: self.by_first, self.second: self.by_second, f"{self.first} bias": self.bias}
        row = {name: None if share is None else f"{share:.3f}" for name, share in shares.items()}
        return [("answers decided by", [{"images": self.n, **row}])]


def decide(
    network: Network,
    dataset: Dataset,
    items: np.ndarray,
    columns: Sequence[str],
    resampling: Resampling,
    report: Reporter,
    z: Tensor | None = None,
) -> CueDecisions | None:
    """Ask `network` what the items (M,) show, and say by which of two labels it decides.

    Args:
        columns: labels to choose from. The first two with the same names are the cues.
        z: latents of the items (M, N), where they are at hand; else their images are encoded.

    Returns None where there are no two such labels, or where the network names other classes. A name stands for the
    class of that name, or for its kinds among ImageNet's classes, whose probabilities are averaged.
    """
    cues = _two_alike(dataset, columns)
    if cues is None or not isinstance(network.answer, Classes):
        return None
    first, second = cues
    names = dataset.labels[first].names or ()
    groups = _places(names, network.answer.names)
    if groups is None:
        return None
    of_first, of_second = (dataset.labels[name].values[items] for name in cues)
    differ = of_first != of_second
    if not differ.any():
        return None
    rows, called = np.flatnonzero(differ), []
    with report.task("asking for answers", len(rows), "images") as task:
        for start in range(0, len(rows), IMAGES_AT_ONCE):
            part = rows[start : start + IMAGES_AT_ONCE]
            latents = _encoded(network, dataset, items[part]) if z is None else z[part]
            called.append(answers_among(network.answers(latents), groups))
            task.advance(len(part))
    answers = np.concatenate(called)
    return bias_of(first, second, answers == of_first[differ], answers == of_second[differ], resampling)


def answers_among(log_probabilities: Tensor, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Return which group of classes is most probable on average: (B, C) and G groups -> (B,).

    >>> answers_among(torch.tensor([[0.5, 0.3, 0.2]]).log(), [[0, 2], [1]]).tolist()
    [0]
    """
    probabilities = log_probabilities.double().exp()
    return torch.stack([probabilities[:, list(group)].mean(1) for group in groups], 1).argmax(1).numpy()


def bias_of(
    first: str, second: str, by_first: np.ndarray, by_second: np.ndarray, resampling: Resampling
) -> CueDecisions:
    """Return the decisions of images (M,), each by the first cue, the second, or neither."""

    def share(chosen: np.ndarray) -> float:
        decided = (by_first | by_second)[chosen].sum()
        return by_first[chosen].sum() / decided if decided else np.nan

    bias = bootstrap(share, len(by_first), resampling) if (by_first | by_second).any() else None
    of_first, of_second = mean_interval(by_first, resampling), mean_interval(by_second, resampling)
    return CueDecisions(first, second, len(by_first), of_first, of_second, bias)


def _encoded(network: Network, dataset: Dataset, items: np.ndarray) -> Tensor:
    return network.encode_pixels(dataset.images(items, network.backbone.image_size, network.backbone.interpolation))


def _two_alike(dataset: Dataset, columns: Sequence[str]) -> tuple[str, str] | None:
    known = [name for name in columns if name in dataset.labels and dataset.labels[name].names]
    for place, first in enumerate(known):
        for second in known[place + 1 :]:
            if dataset.labels[first].names == dataset.labels[second].names:
                return first, second
    return None


def _places(names: Sequence[str], classes: Sequence[str]) -> list[list[int]] | None:
    place = {name: number for number, name in enumerate(classes)}
    if set(names) <= place.keys():
        return [[place[name]] for name in names]
    return imagenet_groups(names, classes)
