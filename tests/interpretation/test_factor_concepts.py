"""How a concept is found by its factor's name, or named by the user."""

import numpy as np
import pytest

from iin_cli.data import open_dataset
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.factor_concepts import concept_of_factor, given_concepts
from iin_cli.interpretation.memory import MemoryDataset
from iin_cli.translator.factors import Factors


def test_a_factors_name_says_its_concept():
    shapes, digits = open_dataset("shapes"), open_dataset("digits")
    share = Factors.of({"roundness_": 1, "roundness": 1, "digit": 1, "gone": 1, "residual": 1})
    differ = Factors.of({"hue": 1, "greyscale": 1, "residual": 1}, relations={"hue": "differ", "greyscale": "differ"})
    assert concept_of_factor("digit", share, digits) == "digit"
    assert concept_of_factor("greyscale", differ, digits) == "greyscale"
    assert concept_of_factor("hue", differ, shapes) == "redraw:hue"
    assert concept_of_factor("hue", Factors.of({"hue": 1, "residual": 1}), shapes) == "attribute:hue"
    measured = MemoryDataset(np.zeros((3, 8, 8), np.uint8), {"color": [0.1, 0.5, 0.2]})
    # Only labels are paired by the concept of that name.
    assert concept_of_factor("color", Factors.of({"color": 1, "residual": 1}), measured) == "attribute:color"
    with pytest.raises(DataError, match=r"no label 'gone'.*--concept"):
        concept_of_factor("gone", share, digits)


def test_a_concept_that_is_no_factor():
    with pytest.raises(UsageError, match=r"no factor 'class'.*choose from: color, digit"):
        given_concepts(["class"], Factors.of({"digit": 1, "color": 1, "residual": 1}))
