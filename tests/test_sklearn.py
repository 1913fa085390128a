"""`FactorTransformer` is a transformer of scikit-learn's: its own checks, a pipeline, and round trips."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from iin_cli.sklearn import FactorTransformer


def quick(**options):
    return FactorTransformer(steps=15, blocks=2, hidden=8, random_state=0, **options)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([quick()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_in_a_pipeline_with_names_for_its_columns():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), quick(concept="species", dims={"species": 2}))
    z_tilde = pipeline.fit_transform(X, y)
    assert z_tilde.shape == X.shape
    assert pipeline[-1].get_feature_names_out().tolist() == ["species0", "species1", "residual0", "residual1"]
    np.testing.assert_allclose(pipeline.inverse_transform(z_tilde), X, atol=1e-3)


def test_a_measurement_is_a_concept_of_nearest_values():
    X, _ = load_iris(return_X_y=True)
    t = quick(concept="petal").fit(X, X[:, 3] + 0.01 * np.arange(len(X)))
    assert list(t.factors_) == ["petal", "residual"]


def test_what_cannot_be_fitted_is_a_value_error():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="the concepts are y"):
        quick(dims={"species": 2}).fit(X, y)
