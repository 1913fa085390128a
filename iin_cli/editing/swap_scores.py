"""Score swaps of test images with judges that had no part in the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..interpretation.open_translator import OpenTranslator
from ..interpretation.reading import Inputs
from ..metrics.judges import Judge
from ..plugin_api import Dataset
from ..progress import Reporter, Silent
from ..results import Result
from .swap import swap_factors

__all__ = ["SwapScores", "score_swaps"]


@dataclass(frozen=True)
class SwapScores(Result):
    """How swaps did, as fractions of `count` pairs of test images that differ in class.

    Attributes:
        swap: factor -> `transfer`, the fraction whose swapped image shows the factor's concept of the source, and
            `kept`, the fraction that still shows the target's when the *other* factors are swapped, one at a time.
        reconstruction: factor -> the fraction whose plain reconstruction shows its own concept: what edits can reach.
    """

    swap: dict[str, dict[str, float]]
    reconstruction: dict[str, float]
    count: int


def score_swaps(
    opened: OpenTranslator,
    dataset: Dataset,
    judges: Mapping[str, Judge],
    *,
    count: int,
    seed: int,
    report: Reporter | None = None,
) -> SwapScores:
    """Swap every judged factor, alone, between `count` random pairs of test images, and ask all judges.

    Args:
        judges: factor name -> judge of its concept.
    """
    network = opened.require_network().require_images()
    target, source = _pairs(dataset, dataset.splits["test"], count, seed)
    with (report or Silent()).task("scoring swaps", len(judges) + 2, "passes") as task:
        z_target, z_source = (Inputs.of_items(network, dataset, items).latents(network) for items in (target, source))
        task.advance()
        plain = network.draw(z_target)
        reconstruction = {name: float(judge(plain, target, source).mean()) for name, judge in judges.items()}
        task.advance()
        transfer: dict[str, float] = {}
        kept: dict[str, list[float]] = {name: [] for name in judges}
        for swapped in judges:
            images = network.draw(swap_factors(opened, z_target, z_source, [swapped]))
            for name, judge in judges.items():
                if name == swapped:
                    transfer[name] = float(judge(images, source, target).mean())
                else:
                    kept[name].append(float(judge(images, target, source).mean()))
            task.advance()
    scores = {
        name: {"transfer": transfer[name], "kept": float(np.mean(kept[name])) if kept[name] else 1.0} for name in judges
    }
    return SwapScores(scores, reconstruction, count)


def _pairs(dataset: Dataset, items: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw pairs of items of different class, so that a transfer is never a coincidence."""
    generator = np.random.default_rng(seed)
    labels = dataset.labels["class"].values
    target = generator.choice(items, count)
    source = generator.choice(items, count)
    while (same := labels[target] == labels[source]).any():
        source[same] = generator.choice(items, int(same.sum()))
    return target, source
