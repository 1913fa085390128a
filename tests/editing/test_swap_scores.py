"""Scores of swaps between images whose concepts are known."""

import numpy as np

from iin_cli.data import open_dataset
from iin_cli.editing.swap_scores import score_swaps
from iin_cli.interpretation.opening import open_translator


def judges_that_record(calls):
    def judge(name):
        def speak(images, chosen, other):
            calls.append((name, images.copy(), chosen.copy(), other.copy()))
            return np.arange(len(images)) % 4 != 0

        return speak

    return {"digit": judge("digit"), "color": judge("color")}


def test_each_factor_is_swapped_alone_and_every_judge_is_asked_about_the_right_item(files):
    calls = []
    dataset = open_dataset("digits")
    opened = open_translator(files.of_images)
    scores = score_swaps(opened, dataset, judges_that_record(calls), count=40, seed=1)
    assert scores.count == 40
    assert scores.reconstruction == {"digit": 0.75, "color": 0.75}
    assert scores.swap == {name: {"transfer": 0.75, "kept": 0.75} for name in ("digit", "color")}
    (_, plain, target, source), _, *swapped = calls
    labels = dataset.labels["class"].values
    assert (labels[target] != labels[source]).all()
    assert set(target) | set(source) <= set(dataset.splits["test"])
    asked = [(name, (chosen == source).all(), (chosen == target).all()) for name, _, chosen, _ in swapped]
    # First the digit is swapped, then the colour: the swapped factor's judge is asked for the source.
    assert asked == [
        ("digit", True, False),
        ("color", False, True),
        ("digit", False, True),
        ("color", True, False),
    ]
    assert not np.array_equal(swapped[0][1], plain)
    assert not np.array_equal(swapped[0][1], swapped[2][1])
