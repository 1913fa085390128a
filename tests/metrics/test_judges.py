"""Judges against images whose concepts are known."""

import numpy as np

from iin_cli.data.embedded import open_colordigits
from iin_cli.metrics.judges import ColorJudge, LabelJudge, color_of, shape_classifier


def test_the_colour_of_real_images_is_the_colour_they_were_drawn_in():
    dataset = open_colordigits()
    items = dataset.splits["test"][:300]
    error = np.abs(color_of(dataset.images(items, 32)) - dataset.colors[items])
    assert np.median(error) < 0.03
    assert error.mean() < 0.05


def test_the_colour_judge_tells_two_items_apart():
    dataset = open_colordigits()
    items = dataset.splits["test"][:200]
    others = np.roll(items, 1)
    images = dataset.images(items, 32)
    judge = ColorJudge(dataset.colors)
    assert judge(images, items, others).mean() > 0.98
    assert judge(images, others, items).mean() < 0.02


def test_the_shape_classifier_is_right_on_unseen_shapes_and_blind_to_colour():
    dataset = open_colordigits()
    labels = dataset.labels["digit"].values
    _, first = np.unique(dataset.sources, return_index=True)
    train = np.intersect1d(first, dataset.splits["train"])
    test = np.intersect1d(first, dataset.splits["test"])
    predict = shape_classifier(dataset.images(train, 32), labels[train])
    assert (predict(dataset.images(test, 32)) == labels[test]).mean() > 0.97
    other_colour = np.array([np.flatnonzero(dataset.sources == dataset.sources[item])[5] for item in test])
    assert (predict(dataset.images(other_colour, 32)) == labels[test]).mean() > 0.97


def test_the_label_judge_asks_for_the_chosen_items_label():
    judge = LabelJudge(lambda images: np.array([3, 1]), np.array([1, 3, 2]))
    images = np.zeros((2, 4, 4, 3), np.uint8)
    assert judge(images, np.array([1, 0]), np.array([2, 2])).all()
    assert not judge(images, np.array([0, 1]), np.array([2, 2])).any()
