"""What a benchmark asks of a fitted translator's factors: z̃ of rendered items, and probes on them."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from iin_cli.interpretation.encoding import encode_items
from iin_cli.interpretation.open_translator import OpenTranslator
from iin_cli.plugin_api import ConceptProvider, Dataset
from iin_cli.progress import Silent

__all__ = ["auc", "latents", "r_squared", "sized_like", "trained_probe"]


def latents(
    opened: OpenTranslator,
    dataset: Dataset,
    items: np.ndarray,
    provider: ConceptProvider | None = None,
    variant: int = 0,
) -> Tensor:
    """Encode items `items`, as they are or as `provider` renders them, to z (M, N)."""
    found = encode_items(opened.require_network(), dataset, items, provider, variant, report=Silent())
    return torch.from_numpy(np.array(found.mean))


def sized_like(opened: OpenTranslator, z_tilde: Tensor, factor: str, size: int, seed: int = 0) -> np.ndarray:
    """The dimensions of `factor`, or `size` random orthogonal directions of them where it has more: (M, ≤ size)."""
    own = z_tilde[:, opened.factors.slice(factor)].double().numpy()
    if own.shape[1] <= size:
        return own
    directions = np.linalg.qr(np.random.default_rng(seed).standard_normal((own.shape[1], size)))[0]
    return own @ directions


def trained_probe(no: np.ndarray, yes: np.ndarray):
    """A logistic regression, on standardised features, that tells rows `yes` from rows `no`."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    return probe.fit(np.concatenate((no, yes)), np.repeat([0, 1], [len(no), len(yes)]))


def auc(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    """Area under the ROC curve of a linear probe trained on `train` (no, yes) and asked about `test`."""
    probe = trained_probe(*train)
    truth = np.repeat([0, 1], [len(part) for part in test])
    return float(roc_auc_score(truth, probe.decision_function(np.concatenate(test))))


def r_squared(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    """R² on `test` (features, values) of a ridge regression trained on `train`, its strength chosen inside `train`."""
    model = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-2, 4, 13))).fit(*train)
    return float(r2_score(test[1], model.predict(test[0])))
