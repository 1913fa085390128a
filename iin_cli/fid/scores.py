"""What the FID protocol found: distances, precision, recall and more of every set of images, as JSON and as a table."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from ..metrics.kernel_distance import KernelDistance
from ..results import Result, Table
from .comparison import kernel_name

__all__ = ["FLOOR", "ProtocolResult", "SetScores", "Trial"]

# What the reconstructions are called in a result.
FLOOR = "reconstructions"


@dataclass(frozen=True)
class Trial:
    """One set of images against the reference; what needs neighbours is None for too few images."""

    distance: float
    precision: float | None
    recall: float | None
    kernel: KernelDistance | None = None
    density: float | None = None
    coverage: float | None = None


@dataclass(frozen=True)
class SetScores:
    """All trials of one kind of images.

    Attributes:
        images: name of the prior that they were drawn from, or `reconstructions`.
        n: images of a trial.
        trials: in their order.
        truncation: ψ of the prior, None where there is none.
        is_ceiling: whether it is the backbone's own prior, untruncated.
    """

    images: str
    n: int
    trials: tuple[Trial, ...]
    truncation: float | None = None
    is_ceiling: bool = False

    @property
    def value(self) -> float:
        """Mean distance of the trials."""
        return statistics.mean(trial.distance for trial in self.trials)

    def as_dict(self) -> dict[str, Any]:
        """Return the mean, the standard deviation (divisor T − 1; None of one trial) and all T values of each score."""
        columns = {
            "value": [trial.distance for trial in self.trials],
            "precision": [trial.precision for trial in self.trials],
            "recall": [trial.recall for trial in self.trials],
            "kernel": [None if trial.kernel is None else trial.kernel.value for trial in self.trials],
            "density": [trial.density for trial in self.trials],
            "coverage": [trial.coverage for trial in self.trials],
        }
        scores: dict[str, Any] = {}
        for name, values in columns.items():
            known = None not in values
            scores[name] = statistics.mean(values) if known else None
            scores[f"{name}_std"] = statistics.stdev(values) if known and len(values) > 1 else None
            scores[f"{name}_trials"] = values
        scores["kernel_intervals"] = [
            None if trial.kernel is None else [trial.kernel.low, trial.kernel.high] for trial in self.trials
        ]
        return {
            "images": self.images,
            "n": self.n,
            "trials": len(self.trials),
            "truncation": self.truncation,
            **scores,
        }


@dataclass(frozen=True)
class ProtocolResult(Result):
    """What was measured.

    Attributes:
        metric: `fid` with the official Inception weights, else `fd`.
        network, weights_sha256, resize, features: what images went through, the digest of its weights, how they were
            brought to its size, and how many features it gives.
        data, reference: the dataset and its split that everything is compared with; n_reference images, all of them.
        n, trials: images of a trial, and trials of a prior.
        neighbours, n_neighbours: k of precision and recall, and how many images of each side all but the Fréchet
            distance are from.
        seed: the first seed.
        seconds: wall time.
        sets: one entry for each prior, in their order, and the reconstructions.
    """

    metric: str
    network: str
    weights_sha256: str
    resize: str
    features: int
    translator: str
    data: str
    reference: str
    n_reference: int
    n: int
    trials: int
    neighbours: int
    n_neighbours: int
    seed: int
    seconds: float
    sets: tuple[SetScores, ...]

    def gap_closed(self, scores: SetScores) -> float | None:
        """Return which part of the way from the ceiling to the floor `scores` has gone.

        1 is as good as reconstructions, 0 no better than the backbone's prior; None without both, or where the
        backbone's prior is the better.
        """
        floor = next((entry.value for entry in self.sets if entry.images == FLOOR), None)
        ceiling = next((entry.value for entry in self.sets if entry.is_ceiling), None)
        if floor is None or ceiling is None or ceiling <= floor:
            return None
        return (ceiling - scores.value) / (ceiling - floor)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        facts = {name: value for name, value in vars(self).items() if name != "sets"}
        return {**facts, "sets": [{**entry.as_dict(), "gap_closed": self.gap_closed(entry)} for entry in self.sets]}

    def tables(self) -> list[Table]:
        """Return one table: a line for each kind of images."""
        rows = []
        for entry in self.as_dict()["sets"]:
            scores = {
                column: _spread(entry[key], entry[f"{key}_std"])
                for column, key in (
                    (self.metric, "value"),
                    (kernel_name(self.metric), "kernel"),
                    *((name, name) for name in ("precision", "recall", "density", "coverage")),
                )
            }
            closed = entry["gap_closed"]
            rows.append(
                {
                    "images": entry["images"],
                    "n": entry["n"],
                    "trials": entry["trials"],
                    **scores,
                    "gap closed": None if closed is None else f"{100 * closed:.1f} %",
                }
            )
        title = f"{self.metric.upper()} to {self.data} {self.reference} ({self.n_reference:,} images)"
        return [(title, rows)]


def _spread(mean: float | None, deviation: float | None) -> str | None:
    if mean is None:
        return None
    return f"{mean:.4g}" if deviation is None else f"{mean:.4g} ± {deviation:.2g}"
