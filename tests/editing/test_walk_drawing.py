from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from iin_cli.editing.walk_drawing import class_rows, film_format, flip_rate, walk_plot
from iin_cli.editing.walk_paths import GridWalk, LinearWalk, Walks
from iin_cli.errors import UsageError
from iin_cli.interpretation.answers import Classes, Images
from iin_cli.interpretation.reading import Inputs

STRENGTHS = (-1.0, 0.0, 1.0)
IMAGES = SimpleNamespace(name="autoencoder", answer=Images())
CLASSES = SimpleNamespace(name="classifier", answer=Classes(tuple("abc")))


def values(*predicted):
    return torch.nn.functional.one_hot(torch.tensor(predicted), 3).double()[:, None].log_softmax(2)


def walks(strengths=()):
    return Walks(
        {"interpretable": torch.zeros(3, 1, 2)}, Inputs(torch.zeros(1).numpy(), ("one.png",)), None, {}, strengths
    )


def test_flips_are_counted_from_the_first_point_or_from_the_least_strength():
    assert flip_rate(values(0, 1, 1)) == 1
    assert flip_rate(values(0, 1, 1), STRENGTHS) == 0.5
    assert flip_rate(values(0, 0, 1), (1.0, 2.0, 3.0)) == 0.5


def test_rows_of_an_attribute_walk_name_the_strength():
    rows = class_rows({"interpretable": values(0, 1, 2)}, walks(STRENGTHS), CLASSES.answer)
    assert [(row["strength"], row["predicted"]) for row in rows] == [(-1, "a"), (0, "b"), (1, "c")]
    assert "strength" not in class_rows({"interpretable": values(0, 1, 2)}, walks(), CLASSES.answer)[0]


@pytest.mark.parametrize(("strengths", "name"), [(STRENGTHS, "strength"), ((), "step")])
def test_a_plot_is_over_what_changes(strengths, name):
    figure = walk_plot({"interpretable": values(0, 1, 2)}, walks(strengths), "abc", "title")
    axes = figure.axes[0]
    assert axes.get_xlabel() == name
    if strengths:
        assert [label.get_text() for label in axes.get_xticklabels()][::3] == ["-1", "0", "+1"]
        assert axes.get_xticks()[[0, 3, 6]].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("out", "animate", "expected"),
    [
        (None, None, "gif"),
        ("w", "webp", "webp"),
        ("w.png", None, None),
        ("w.WEBP", None, "webp"),
        ("v1.5", None, "gif"),
    ],
)
def test_the_film_of_images(out, animate, expected):
    assert film_format(IMAGES, LinearWalk(), out and Path(out), animate) == expected


def test_films_that_are_not_made():
    assert film_format(CLASSES, LinearWalk(), None, None) is None
    for network, mode, out, animate, words in (
        (CLASSES, GridWalk(), None, None, "draws no images for a grid"),
        (CLASSES, LinearWalk(), "w.gif", None, "no animation"),
        (CLASSES, LinearWalk(), "w.mp4", None, "no animation"),
        (CLASSES, LinearWalk(), None, "gif", "no animation"),
        (IMAGES, LinearWalk(), "w.png", "gif", "leave --animate out"),
        (IMAGES, LinearWalk(), None, "avi", "gif, webp, mp4"),
    ):
        with pytest.raises(UsageError, match=words):
            film_format(network, mode, out and Path(out), animate)
