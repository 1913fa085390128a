"""The translator as a scikit-learn transformer: latents X in, named Gaussian factors out, and back without loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from .api.fitting import fit
from .api.interpretation import Interpretation
from .errors import IinError
from .fitting.pairs import Pairs

__all__ = ["FactorTransformer"]

# Items whose measurements are nearest make pairs, this many to a group.
NEAREST = 8


class FactorTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fit a translator T to X (M, N); `transform` gives z̃ = T(X), `inverse_transform` X again.

    Args:
        concept: name of the factor that y is about. Two items of one label share it; of a measurement, two of the
            nearest values. Without y the factors are fitted without concepts (Eq 12).
        dims: concept -> dimensions; None infers them (Eq 11).
        sigma: correlation of pairs that share the concept, in [0, 1); None takes the plan's.
        steps, max_seconds, blocks, hidden: bounds of the fit and size of T; None infers them.
        random_state: of everything random.
        device: auto, cpu, cuda, cuda:1 or mps.

    Attributes:
        interpretation_: the fitted `iin_cli.Interpretation`.
        factors_: factor -> columns of z̃, a slice.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> t = FactorTransformer(concept="species", steps=20, blocks=2, hidden=16, random_state=0).fit(X, y)
    >>> list(t.factors_), bool(np.allclose(t.inverse_transform(t.transform(X)), X, atol=1e-3))
    (['species', 'residual'], True)
    """

    def __init__(
        self,
        concept: str = "y",
        *,
        dims: Mapping[str, int] | None = None,
        sigma: float | None = None,
        steps: int | None = None,
        max_seconds: float | None = None,
        blocks: int | None = None,
        hidden: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
    ) -> None:
        self.concept, self.dims, self.sigma = concept, dims, sigma
        self.steps, self.max_seconds, self.blocks, self.hidden = steps, max_seconds, blocks, hidden
        self.random_state, self.device = random_state, device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit T to X (M, N) and labels or measurements y (M,). ValueError for data that cannot be fitted."""
        X = validate_data(self, X, dtype=np.float64, ensure_min_features=2, ensure_min_samples=2)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        try:
            self.interpretation_: Interpretation = fit(
                _pairs(X, y, self.concept),
                seed=seed,
                dims=self.dims,
                sigma=self.sigma,
                steps=self.steps,
                max_seconds=self.max_seconds,
                blocks=self.blocks,
                hidden=self.hidden,
                device=self.device,
            )
        except IinError as error:
            raise ValueError(str(error)) from error
        factors = self.interpretation_.factors
        self.factors_ = {name: factors.slice(name) for name in factors.names}
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return z̃ = T(X), (M, N)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.interpretation_.transform(X).astype(np.float64)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return T⁻¹ of z̃ (M, N): latents (M, N)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.interpretation_.inverse_transform(X).astype(np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns of z̃: `digit0`, `digit1`, …, `residual0`, …"""
        check_is_fitted(self)
        return np.array(
            [f"{name}{place}" for name, where in self.factors_.items() for place in range(where.stop - where.start)],
            dtype=object,
        )


def _pairs(X: np.ndarray, y: Any, concept: str) -> Pairs:
    pairs = Pairs(X)
    if y is None:
        return pairs
    values = np.asarray(y).ravel()
    if type_of_target(values) != "continuous":
        return pairs.share(concept, values)
    order = np.argsort(values, kind="stable")
    groups = np.empty(len(values), np.int64)
    groups[order] = np.arange(len(values)) // NEAREST
    return pairs.share(concept, groups=groups)
