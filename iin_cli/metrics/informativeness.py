"""Information of a block of dimensions about a concept: held-out probes, and blocks' DCI and mutual-information gap.

Blocks replace the single coordinates of Eastwood & Williams (2018) and Chen et al. (2018): rotating a block changes no
concept, and should change no figure. For labels the probe's cross-entropy bounds the information from below,
I(y; block) ≥ H(y) − CE (Barber & Agakov 2003); for measurements the explained share of the variance takes its place.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from .bootstrap import Resampling

__all__ = ["Lesson", "ProbeScores", "Target", "completeness", "disentanglement", "gap", "probe"]

FOLDS = 3
TREES = 60
# Smallest leaf as a fraction of the training items, so that trees give probabilities rather than votes.
LEAF = 0.01
# Inverse strength of the penalty on standardised features; a block without information must not seem to have any.
STRENGTH = 0.05
# The prior's weight in predicted probabilities: no single item may cost an infinite loss.
CAUTION = 0.02


@dataclass(frozen=True)
class Target:
    """The value to predict for each item: labels int64 (M,), or measurements float64 (M, k)."""

    values: np.ndarray

    @property
    def continuous(self) -> bool:
        """Whether the values are measurements."""
        return self.values.dtype.kind == "f"

    def check(self) -> None:
        """Raise DataError where nothing can be learned: too few items, or one value only."""
        if len(self.values) < 4 * FOLDS:
            raise DataError(f"{len(self.values)} items are too few for a probe: needs at least {4 * FOLDS}")
        if len(np.unique(self.values, axis=0)) < 2:
            raise DataError("every item has the same label")

    def followed_by(self, other: Target) -> Target:
        """Return these values and after them those of `other`, of the same kind."""
        return Target(np.concatenate((self.values, other.values)))

    def shuffled(self, seed: int) -> Target:
        """Return the values shuffled over the items."""
        return Target(np.random.default_rng(seed).permutation(self.values))


@dataclass(frozen=True)
class ProbeScores:
    """Errors of a probe on each item (M,) while it was held out, and those of a guess without the block.

    Attributes:
        loss, base_loss: nats for labels, squared error for measurements, of the probe and of the guess (the training
            items' frequencies or mean).
        miss, base_miss: 1 for a wrong label; for measurements the loss.
    """

    loss: np.ndarray
    base_loss: np.ndarray
    miss: np.ndarray
    base_miss: np.ndarray

    def rows(self, chosen: np.ndarray | slice) -> ProbeScores:
        """Return the scores of some of the items."""
        return ProbeScores(*(values[chosen] for values in (self.loss, self.base_loss, self.miss, self.base_miss)))

    def information(self, chosen: np.ndarray | slice = slice(None)) -> float:
        """Return (H − CE)/H, or R² for measurements: 1 is full information, 0 (or slightly below, by noise) none."""
        return _saved(self.loss[chosen], self.base_loss[chosen])

    def score(self, chosen: np.ndarray | slice = slice(None)) -> float:
        """Return (accuracy − chance)/(1 − chance), chance being the most frequent label's; R² for measurements."""
        return _saved(self.miss[chosen], self.base_miss[chosen])


@dataclass(frozen=True)
class Lesson:
    """What a probe learns from besides the items it is tested on: blocks (L, d) of other items, and their values."""

    block: np.ndarray
    target: Target


def probe(block: np.ndarray, target: Target, resampling: Resampling, lesson: Lesson | None = None) -> ProbeScores:
    """Predict `target` from `block` (M, d), as learned from `lesson`.

    Without a lesson it is learned from two thirds of the items and predicted on the rest, in turn. The probe is the
    mean of a linear model (logistic, or ridge regression) and a random forest, so that it finds linear and other
    relations. Raises DataError as `Target.check`.
    """
    target.check()
    if lesson is not None:
        lesson.target.check()
        fit = np.arange(len(lesson.block) + len(block)) < len(lesson.block)
        block, target = np.concatenate((lesson.block, block)), lesson.target.followed_by(target)
        turns = [(fit, ~fit)]
    else:
        folds = np.random.default_rng(resampling.seed).permutation(len(block)) % FOLDS
        turns = [(folds != fold, folds == fold) for fold in range(FOLDS)]
    scores = ProbeScores(*(np.empty(len(block)) for _ in range(4)))
    learn = _regression if target.continuous else _classification
    # A solver that stops early is as good a probe, and the user cannot help a fold with a single label.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for fit, held in turns:
            found = learn(_scaled(block, fit), target.values, fit, held, resampling)
            for column, values in zip(vars(scores).values(), found, strict=True):
                column[held] = values
    return scores if lesson is None else scores.rows(slice(len(lesson.block), None))


def disentanglement(importance: np.ndarray) -> float:
    """Return DCI's disentanglement of R (blocks, concepts): 1 where every block informs about one concept only.

    The mean over blocks of 1 − H(R_i. / Σ R_i.) in units of log(concepts), weighted by the block's fraction of ΣR. NaN
    without any information, or for one concept.

    >>> disentanglement(np.eye(3)), round(disentanglement(np.ones((2, 2))), 6)
    (1.0, 0.0)
    """
    rows = np.maximum(importance, 0)
    if rows.shape[1] < 2 or rows.sum() <= 0:
        return float("nan")
    weights = rows.sum(1) / rows.sum()
    return float(sum(weight * _purity(row) for weight, row in zip(weights, rows, strict=True) if weight > 0))


def completeness(importance: np.ndarray) -> float:
    """Return DCI's completeness of R (blocks, concepts): 1 where a single block informs about each concept.

    The mean over concepts of 1 − H(R_.j / Σ R_.j) in units of log(blocks); concepts without information in any block
    are left out.
    """
    columns = [column for column in np.maximum(importance, 0).T if column.sum() > 0]
    if importance.shape[0] < 2 or not columns:
        return float("nan")
    return float(np.mean([_purity(column) for column in columns]))


def gap(information: np.ndarray) -> float:
    """Return the mutual-information gap of one concept: its best block's information (blocks,) minus the second best's.

    >>> gap(np.array([0.1, 0.9, 0.2]))
    0.7
    """
    second, best = np.sort(np.maximum(information, 0))[-2:]
    return float(best - second)


def _saved(loss: np.ndarray, base: np.ndarray) -> float:
    total = base.sum()
    return float(1 - loss.sum() / total) if total > 0 else float("nan")


def _purity(parts: np.ndarray) -> float:
    shares = parts[parts > 0] / parts.sum()
    return float(1 + (shares * np.log(shares)).sum() / np.log(len(parts)))


def _scaled(block: np.ndarray, fit: np.ndarray) -> np.ndarray:
    mean, std = block[fit].mean(0), block[fit].std(0)
    return (block - mean) / np.where(std > 1e-9, std, 1)


def _forest(resampling: Resampling) -> dict[str, Any]:
    """Return the settings of a forest; each of its trees is fitted to one resample."""
    trees = min(TREES, resampling.resamples)
    return {"n_estimators": trees, "min_samples_leaf": LEAF, "random_state": resampling.seed}


def _classification(
    features: np.ndarray, labels: np.ndarray, fit: np.ndarray, held: np.ndarray, resampling: Resampling
) -> tuple[np.ndarray, ...]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    known, codes = np.unique(labels, return_inverse=True)
    # Every label keeps a little mass, even one that the training items lack.
    prior = (np.bincount(codes[fit], minlength=len(known)) + 1 / len(known)) / (fit.sum() + 1)
    predicted = np.tile(prior, (int(held.sum()), 1))
    if len(np.unique(codes[fit])) > 1:
        models = (
            LogisticRegression(C=STRENGTH, max_iter=300),
            RandomForestClassifier(**_forest(resampling)),
        )
        total = np.zeros_like(predicted)
        for model in models:
            model.fit(features[fit], codes[fit])
            total[:, model.classes_] += np.asarray(model.predict_proba(features[held])) / len(models)
        predicted = (1 - CAUTION) * total + CAUTION * prior
    truth, rows = codes[held], np.arange(int(held.sum()))
    miss, base_miss = predicted.argmax(1) != truth, prior.argmax() != truth
    return -np.log(predicted[rows, truth]), -np.log(prior[truth]), miss.astype(float), base_miss.astype(float)


def _regression(
    features: np.ndarray, values: np.ndarray, fit: np.ndarray, held: np.ndarray, resampling: Resampling
) -> tuple[np.ndarray, ...]:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import RidgeCV

    # In units of their spread, so that measurements of several kinds count equally.
    mean, std = values[fit].mean(0), values[fit].std(0)
    scaled = (values - mean) / np.where(std > 1e-12, std, 1)
    models = (
        RidgeCV(alphas=np.geomspace(1, 1e4, 9)),
        RandomForestRegressor(max_features=1 / 3, **_forest(resampling)),
    )
    predicted = np.zeros_like(scaled[held])
    for model in models:
        # The forest expects a single column as a vector.
        found = model.fit(features[fit], scaled[fit].squeeze()).predict(features[held])
        predicted += found.reshape(predicted.shape) / len(models)
    loss, base = np.square(predicted - scaled[held]).mean(1), np.square(scaled[held]).mean(1)
    return loss, base, loss, base
