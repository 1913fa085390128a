"""How well a linear model and a small network tell a concept from rows: a user's check of what they still hold."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .informativeness import Lesson, Target

__all__ = ["Told", "told"]

HIDDEN = 128
# Of items that are both learned from and asked about, the part learned from.
LEARNED = 2 / 3


@dataclass(frozen=True)
class Told:
    """Part of labels told right, or R² of measurements.

    Attributes:
        linear: by a linear model.
        network: by a small network, one hidden layer of 128.
        chance: the part of the most frequent label, told right by saying nothing else; 0 for measurements.
    """

    linear: float
    network: float
    chance: float


def told(rows: np.ndarray, target: Target, lesson: Lesson | None = None, seed: int = 0) -> Told:
    """Tell `target` of rows (M, d), as learned from `lesson`; without one, of a third of the rows, from the others.

    Raises DataError as `Target.check`.

    >>> labels = np.arange(600) % 2
    >>> rows = np.random.default_rng(0).normal(size=(600, 3)) + 4 * labels[:, None]
    >>> told(rows, Target(labels)).linear > 0.99
    True
    """
    target.check()
    if lesson is None:
        order = np.random.default_rng(seed).permutation(len(rows))
        known, asked = np.split(order, [round(LEARNED * len(rows))])
        lesson, rows, target = (
            Lesson(rows[known], Target(target.values[known])),
            rows[asked],
            Target(target.values[asked]),
        )
    lesson.target.check()
    known, asked = _scaled(lesson.block, rows)
    values, wanted = lesson.target.values, target.values
    if target.continuous:
        values, wanted = _scaled(values, wanted)
    # A solver that stops early is as good a probe.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = _of_measurements(seed) if target.continuous else _of_labels(seed)
        linear, network = (round(float(model.fit(known, values).score(asked, wanted)), 4) for model in models)
    return Told(linear, network, _chance(target))


def _scaled(known: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both in units of the spread of what is known."""
    mean, std = known.mean(0), known.std(0)
    std = np.where(std > 1e-9, std, 1)
    return (known - mean) / std, (asked - mean) / std


def _chance(target: Target) -> float:
    if target.continuous:
        return 0.0
    return round(float(np.unique(target.values, return_counts=True)[1].max() / len(target.values)), 4)


def _of_labels(seed: int) -> tuple[Any, Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier((HIDDEN,), alpha=1.0, early_stopping=True, max_iter=100, random_state=seed)
    return LogisticRegression(C=0.1, max_iter=500), network


def _of_measurements(seed: int) -> tuple[Any, Any]:
    from sklearn.linear_model import RidgeCV
    from sklearn.neural_network import MLPRegressor

    network = MLPRegressor(
        hidden_layer_sizes=(HIDDEN,), alpha=1.0, early_stopping=True, max_iter=200, random_state=seed
    )
    return RidgeCV(alphas=np.geomspace(1e-2, 1e4, 13)), network
