"""What a benchmark asks of a fitted translator's factors: z̃ of rendered items, and probes on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from iin_cli.interpretation.encoding import encode_items
from iin_cli.interpretation.open_translator import OpenTranslator
from iin_cli.plugin_api import ConceptProvider, Dataset
from iin_cli.progress import Silent
from iin_cli.translator.edit import swap

__all__ = ["auc", "latents", "oracle", "probes", "r_squared", "sized_like", "told_by_label", "trained_probe"]

SWAPPED = 2000


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


def oracle(z: np.ndarray, labels: np.ndarray) -> Any:
    """Fit a linear classifier of `labels` (M,) to z (M, N), which judges edits."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)).fit(z, labels)


def probes(z: np.ndarray, labels: np.ndarray, seed: int) -> list[Any]:
    """Fit a linear and a small nonlinear classifier of `labels` (M,) to z (M, d)."""
    small = MLPClassifier((128,), alpha=1.0, early_stopping=True, max_iter=100, random_state=seed)
    linear = LogisticRegression(C=0.1, max_iter=500)
    return [make_pipeline(StandardScaler(), model).fit(z, labels) for model in (linear, small)]


def told_by_label(opened: OpenTranslator, dataset: Dataset, concept: str, seed: int) -> dict[str, Any]:
    """Measure one concept of a translator that is a label of the data: probes of factors, and swaps judged by one of z.

    Of own and all other factors: accuracy on test items of a linear probe and of a small nonlinear one, trained on the
    training items. `takes`: how often a probe of z says the source's label after a swap; `residual`: how often it says
    another after the residual is swapped; both of pairs that it tells apart.
    """
    labels = dataset.labels[concept].values
    parts = [np.asarray(dataset.splits[name]) for name in ("train", "test")]
    z = [latents(opened, dataset, items) for items in parts]
    tilde = [opened.transform(each) for each in z]
    known = [labels[items] for items in parts]
    told = {}
    for factor in opened.factors.names:
        train, test = (each[:, opened.factors.slice(factor)].numpy() for each in tilde)
        told[factor] = [probe.score(test, known[1]) for probe in probes(train, known[0], seed)]
    # Its probe of z has no part in any translator.
    judge = oracle(z[0].numpy(), known[0])
    generator, said = np.random.default_rng(seed), judge.predict(z[1].numpy())
    a, b = generator.integers(0, len(said), (2, SWAPPED))
    differ = said[a] != said[b]
    a, b = a[differ], b[differ]

    def after(factor: str) -> np.ndarray:
        return judge.predict(opened.inverse_transform(swap(tilde[1][a], tilde[1][b], opened.factors, [factor])).numpy())

    others = [told[name] for name in opened.factors.names if name != concept]
    return {
        "own": told[concept],
        "others": np.max(others, axis=0).tolist(),
        "takes": float((after(concept) == said[b]).mean()),
        "residual": float((after("residual") != said[a]).mean()),
        "z": float(judge.score(z[1].numpy(), known[1])),
    }
