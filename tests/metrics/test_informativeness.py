"""Probes against known information, DCI and the gap against closed forms."""

import numpy as np
import pytest

from iin_cli.errors import DataError
from iin_cli.metrics import informativeness
from iin_cli.metrics.bootstrap import Resampling
from iin_cli.metrics.informativeness import Lesson, Target, completeness, disentanglement, gap


def probe(block, target):
    return informativeness.probe(block, target, Resampling())


def labelled(count, classes, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, classes, count), generator.standard_normal((count, 4)), generator


def test_the_information_of_two_normal_classes_is_near_its_true_value_and_not_above():
    labels, block, _ = labelled(1200, 2)
    block[:, 0] += 2 * labels
    right = 1 / (1 + np.exp(-(2 * block[:, 0] - 2) * (2 * labels - 1)))
    true = 1 + np.log(right).mean() / np.log(2)
    found = probe(block, Target(labels)).information()
    assert true - 0.1 < found < true + 0.01


def test_no_information_is_none_and_all_is_all():
    labels, block, _ = labelled(600, 5)
    nothing, shuffled = probe(block, Target(labels)), probe(np.eye(5)[labels], Target(labels).shuffled(1))
    everything = probe(np.eye(5)[labels] + 0.01 * block[:, :1], Target(labels))
    assert nothing.information() < 0.02
    assert shuffled.information() < 0.02
    assert abs(nothing.score()) < 0.08
    assert everything.score() == 1
    assert everything.information() > 0.85


def test_a_lesson_teaches_what_the_items_are_too_few_for():
    labels, _, generator = labelled(332, 16)
    block = np.eye(16)[labels] + 0.2 * generator.standard_normal((332, 16))
    few, rest = slice(32), slice(32, None)
    alone = probe(block[few], Target(labels[few]))
    lesson = Lesson(block[rest], Target(labels[rest]))
    taught = informativeness.probe(block[few], Target(labels[few]), Resampling(), lesson)
    assert len(taught.loss) == 32
    assert taught.score() > 0.95 > alone.score() + 0.1
    wrong = Lesson(block[rest], Target(labels[rest]).shuffled(1))
    assert informativeness.probe(block[few], Target(labels[few]), Resampling(), wrong).information() < 0.05


def test_what_is_not_linear_is_found_too():
    _, block, _ = labelled(900, 2)
    labels = (np.abs(block[:, 0]) > 0.67).astype(int)
    assert probe(block[:, :2], Target(labels)).score() > 0.5


def test_measurements_give_the_share_of_variance_explained():
    _, block, generator = labelled(900, 2)
    values = 10 * (0.8 * block[:, :2] + 0.6 * generator.standard_normal((900, 2))) + 50
    found = probe(block, Target(values))
    assert found.information() == pytest.approx(0.64, abs=0.08)
    assert found.score() == found.information()
    assert probe(block[:, 2:], Target(values)).information() < 0.02
    assert probe(block, Target(values[:, :1])).information() == pytest.approx(0.64, abs=0.08)


def test_rotating_a_block_hardly_matters():
    labels, block, _ = labelled(900, 3)
    block[:, 0] += 2 * labels
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))
    assert probe(block @ turn, Target(labels)).information() == pytest.approx(
        probe(block, Target(labels)).information(), abs=0.05
    )


def test_a_label_that_training_items_lack_costs_no_infinity():
    labels, block, _ = labelled(60, 2)
    labels[0] = 7
    assert np.isfinite(probe(block, Target(labels)).loss).all()


@pytest.mark.parametrize(
    ("values", "words"), [(np.zeros(50, int), "same label"), (np.arange(11), "11 items are too few")]
)
def test_nothing_to_learn(values, words):
    with pytest.raises(DataError, match=words):
        probe(np.zeros((len(values), 2)), Target(values))


def test_disentanglement_and_completeness():
    # Two concepts in one block: complete but not disentangled; one concept in two blocks: the other way round.
    together, spread = np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert (disentanglement(together), completeness(together)) == pytest.approx((0, 1))
    assert (disentanglement(spread), completeness(spread)) == pytest.approx((1, 0))
    # Half of the importance in a pure row, half in one that is even.
    assert disentanglement(np.array([[2.0, 0.0], [1.0, 1.0]])) == pytest.approx(0.5)
    assert np.isnan(disentanglement(np.ones((3, 1))))
    assert np.isnan(completeness(np.zeros((2, 2))))


def test_the_gap_ignores_noise_below_zero():
    assert gap(np.array([-0.1, 0.5, -0.2])) == 0.5
