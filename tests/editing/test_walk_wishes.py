from pathlib import Path
from types import SimpleNamespace

import pytest

from iin_cli.editing.walk_wishes import AxisWish, check_axis, check_choices, film_format, open_place, usual_steps
from iin_cli.errors import UsageError

IMAGES = SimpleNamespace(name="autoencoder", classes=None)
CLASSES = SimpleNamespace(name="classifier", classes=("a", "b"))


def wish(attributes=(), with_folder=None, without_folder=None, strength=None):
    return AxisWish(attributes, with_folder, without_folder, strength, 100)


def test_choices():
    check_choices("linear", "origin", [Path("x")], 3)
    for arguments, words in (
        (("circle", "origin", [], 4), "linear, ou, grid, attribute"),
        (("ou", "moon", [], 4), "origin, input"),
        (("grid", "origin", [Path("x")], 4), "no end"),
        (("grid", "origin", [], 3), "leave --n out"),
    ):
        with pytest.raises(UsageError, match=words):
            check_choices(*arguments)


def test_an_axis_comes_from_one_place():
    folder = Path("x")
    check_axis("linear", wish())
    check_axis("attribute", wish(["Smiling"], strength=(-1, 2)))
    check_axis("attribute", wish((), folder, folder))
    for mode, wanted, words in (
        ("linear", wish(["Smiling"]), "write --mode attribute"),
        ("ou", wish(strength=(-1, 1)), "write --mode attribute"),
        ("attribute", wish(["Smiling"], folder), "not both"),
        ("attribute", wish((), folder), "go together"),
        ("attribute", wish(), "which attribute"),
        ("attribute", wish(["Smiling"], strength=(3, -3)), r"--strength 3\.\.-3"),
        ("attribute", wish(["Smiling"], strength=(1, 1)), "from less to more"),
        ("attribute", wish(["Smiling"], strength=(0, float("inf"))), "from less to more"),
    ):
        with pytest.raises(UsageError, match=words):
            check_axis(mode, wanted)


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
    assert film_format(IMAGES, "linear", out and Path(out), animate) == expected


def test_films_that_are_not_made():
    assert film_format(CLASSES, "attribute", None, None) is None
    for backbone, mode, out, animate, words in (
        (CLASSES, "grid", None, None, "draws no images for a grid"),
        (CLASSES, "linear", "w.gif", None, "no animation"),
        (CLASSES, "linear", "w.mp4", None, "no animation"),
        (CLASSES, "linear", None, "gif", "no animation"),
        (IMAGES, "linear", "w.png", "gif", "leave --animate out"),
        (IMAGES, "linear", None, "avi", "gif, webp, mp4"),
    ):
        with pytest.raises(UsageError, match=words):
            film_format(backbone, mode, out and Path(out), animate)


def test_an_mp4_is_a_file(tmp_path):
    with open_place(tmp_path / "w.mp4", "walk", IMAGES) as place:
        assert place == (tmp_path / "w.mp4", True)
    assert not (tmp_path / "w.mp4").exists()
    with open_place(tmp_path / "v1.5", "walk", IMAGES) as (folder, is_file):
        assert (folder.is_dir(), is_file) == (True, False)
    with pytest.raises(UsageError, match=r"\.png or \.json or \.csv"), open_place(tmp_path / "w.pdf", "walk", CLASSES):
        pass


def test_strength_0_is_among_the_usual_points():
    assert [usual_steps(IMAGES, mode) for mode in ("linear", "attribute")] == [8, 7]
    assert [usual_steps(CLASSES, mode) for mode in ("ou", "attribute")] == [50, 51]
