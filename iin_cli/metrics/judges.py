"""Judges of whether an edit worked, which never saw the backbone or the translator.

A judge decides for each edited image whether it shows the concept of one item rather than that of another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from PIL import Image

__all__ = ["ColorJudge", "Judge", "LabelJudge", "color_of", "shape_classifier"]

Predict = Callable[[np.ndarray], np.ndarray]
SHAPE_SIDE = 16


class Judge(Protocol):
    """Decides which item's concept an image shows."""

    def __call__(self, images: np.ndarray, chosen: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Say whether each image uint8 (B, S, S, 3) shows the concept of `chosen`, not of `other`; bool (B,)."""
        ...


class LabelJudge:
    """A classifier's prediction against the item's label."""

    def __init__(self, predict: Predict, labels: np.ndarray) -> None:
        self.predict, self.labels = predict, labels

    def __call__(self, images: np.ndarray, chosen: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Say whether the classifier predicts the label of `chosen`; `other` is ignored."""
        return self.predict(images) == self.labels[chosen]


class ColorJudge:
    """The colour of the strokes, measured in the image, against the colours of two items."""

    def __init__(self, colors: np.ndarray) -> None:
        self.colors = colors

    def __call__(self, images: np.ndarray, chosen: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Say whether the image's colour is nearer (Euclid, RGB) to that of `chosen` than to that of `other`."""
        seen = color_of(images)
        to_chosen, to_other = (np.linalg.norm(seen - self.colors[items], axis=1) for items in (chosen, other))
        return to_chosen < to_other


def color_of(images: np.ndarray) -> np.ndarray:
    """Measure the colour of strokes minus ground in images uint8 (B, S, S, 3): (B, 3) in units of full brightness.

    The strokes are the brightest 5 % of the pixels, the ground the darkest 20 %. For an image x · c, x in [-1, 1], this
    is the colour c: strokes at (1 + c)/2, ground at (1 − c)/2.
    """
    pixels = images.reshape(len(images), -1, 3).astype(np.float32) / 255
    by_brightness = np.argsort(pixels.sum(2), axis=1)
    count = pixels.shape[1]
    ground, strokes = by_brightness[:, : max(1, count // 5)], by_brightness[:, -max(1, count // 20) :]
    return _mean_of(pixels, strokes) - _mean_of(pixels, ground)


def shape_classifier(images: np.ndarray, labels: np.ndarray) -> Predict:
    """Train a support vector machine on shapes alone, blind to colour: images uint8 (M, S, S, 3), labels (M,)."""
    from sklearn.svm import SVC

    machine = SVC(C=10.0).fit(_shapes(images), labels)
    return lambda edited: machine.predict(_shapes(edited))


def _shapes(images: np.ndarray) -> np.ndarray:
    ground = np.quantile(images, 0.1, axis=(1, 2), keepdims=True)
    grey = np.clip(images - ground, 0, 255).max(3).astype(np.uint8)
    small = [np.asarray(Image.fromarray(one).resize((SHAPE_SIDE, SHAPE_SIDE), Image.Resampling.BOX)) for one in grey]
    flat = np.stack(small).reshape(len(images), -1).astype(np.float32)
    return flat / np.maximum(flat.max(1, keepdims=True), 1)


def _mean_of(pixels: np.ndarray, which: np.ndarray) -> np.ndarray:
    return np.take_along_axis(pixels, which[:, :, None], axis=1).mean(1)
