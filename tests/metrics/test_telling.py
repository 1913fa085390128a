"""What is told of labels and measurements: all, nothing, and what only a network sees."""

import numpy as np
import pytest

from iin_cli.errors import DataError
from iin_cli.metrics.informativeness import Lesson, Target
from iin_cli.metrics.telling import told

ROWS = np.random.default_rng(0).normal(size=(1500, 4))


def test_a_network_sees_what_no_line_separates():
    labels = (np.abs(ROWS[:, 0]) > 0.7).astype(np.int64)
    found = told(ROWS[1000:], Target(labels[1000:]), Lesson(ROWS[:1000], Target(labels[:1000])))
    assert found.linear < found.chance + 0.1 < 0.7
    assert found.network > 0.85


def test_nothing_is_chance():
    labels = np.random.default_rng(1).integers(0, 4, len(ROWS))
    found = told(ROWS, Target(labels))
    assert abs(found.chance - 0.25) < 0.05
    assert max(found.linear, found.network) < 0.35


def test_measurements_by_their_explained_variance():
    found = told(ROWS, Target(ROWS[:, :1] * 3 - 1))
    assert (found.chance, found.linear > 0.99, found.network > 0.8) == (0.0, True, True)
    squares = told(ROWS, Target(ROWS[:, :2] ** 2))
    assert squares.linear < 0.1 < 0.5 < squares.network


def test_one_label_cannot_be_told():
    with pytest.raises(DataError, match="same label"):
        told(ROWS, Target(np.zeros(len(ROWS), np.int64)))
