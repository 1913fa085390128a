"""Calibration against closed forms."""

import numpy as np
import pytest

from iin_cli.metrics.bootstrap import Resampling
from iin_cli.metrics.calibration import calibration_error, calibration_interval


def test_a_network_that_is_as_sure_as_it_is_right_has_no_error():
    confidence = np.repeat([0.5, 0.75, 1.0], 4)
    right = np.array([1, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1], bool)
    assert calibration_error(confidence, right) == pytest.approx(0)
    assert calibration_error(confidence, ~right) == pytest.approx((0 + 0.5 + 1) / 3)


def test_errors_of_one_bin_cancel_and_those_of_two_do_not():
    right = np.array([True, False])
    # Both in the bin [0.6, 0.667): mean confidence 0.63, accuracy 0.5.
    assert calibration_error(np.array([0.61, 0.65]), right) == pytest.approx(0.13)
    assert calibration_error(np.array([0.61, 0.95]), right) == pytest.approx((0.39 + 0.95) / 2)


def test_its_interval_covers_it():
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1, 400)
    found = calibration_interval(confidence, generator.random(400) < 0.5, Resampling(200))
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(0.25, abs=0.06)
