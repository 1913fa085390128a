"""One verdict per factor, in words, from chance and from reality."""

from dataclasses import replace

import pytest

from iin_cli.editing.real_edits import Reality
from iin_cli.interpretation.answers import Classes, Images
from iin_cli.measures.responses import verdict
from iin_cli.metrics.bootstrap import Interval
from iin_cli.metrics.reality import RealEffect
from iin_cli.metrics.response import Comparison


def verdict_of(main, reality, answer=Classes):
    return verdict.verdict_of(main, reality, answer.effect)


def comparison(low, high, items=100):
    zero = Interval(0.1, 0.05, 0.15, items)
    return Comparison(zero, zero, Interval((low + high) / 2, low, high, items), None, (0.1,))


def reality(edited, share=None, moving=18):
    found = Interval(edited, edited - 0.03, edited + 0.03, 100)
    share = None if share is None else Interval(share, share - 0.05, share + 0.05, 100)
    return Reality("really changing greyscale", 100, RealEffect(found, found, share, None, moving))


def test_less_than_chance_along_a_walk_is_no_conclusion_where_the_real_edit_flips():
    said = verdict_of(comparison(-0.2, -0.1), reality(0.18, 0.9))
    assert said.headline == "moves the answer, and the factor carries it"
    assert str(said) == (
        "moves the answer, and the factor carries it: less than chance along its walk; but really changing greyscale "
        "flips 0.18 [0.15, 0.21]; exchanging this factor alone flips 0.18 and reproduces 0.90 [0.85, 0.95] of the real "
        "flips"
    )
    assert said.as_dict()["text"] == str(said)


@pytest.mark.parametrize(
    ("edited", "share", "headline"),
    [
        (0.01, 0.9, "hardly moves the answer"),
        (0.3, 0.1, "moves the answer, but the factor carries little of it"),
        (0.3, 0.5, "moves the answer, and the factor carries part of it"),
        (0.06, None, "may move the answer"),
    ],
)
def test_the_conclusion_is_made_of_the_real_edit(edited, share, headline):
    assert verdict_of(comparison(0.1, 0.2), reality(edited, share)).headline == headline


def test_matched_images_differ_in_more_so_that_the_walk_decides():
    found = replace(reality(0.98, 0.08), is_exact=False)
    said = verdict_of(comparison(0.1, 0.2), found)
    assert said.headline == "more than chance (walk)"
    assert str(said).startswith("more than chance along its walk; and really changing greyscale flips 0.98")


def test_what_could_not_be_seen_is_said():
    said = verdict_of(comparison(-0.1, 0.14), None)
    assert said.could_have_seen == pytest.approx(0.12)
    assert str(said) == "not distinguishable from chance along its walk (could only have seen a difference above 0.12)"
    assert verdict_of(comparison(0.01, 0.2), None).could_have_seen is None
    assert str(verdict_of(comparison(0.1, 0.2), Reality(why_not="no"))) == "more than chance along its walk"
    assert "too few images" in str(verdict_of(comparison(0.1, 0.2, items=5), None))


def test_few_or_no_flips_are_told():
    assert "too few images (3)" in str(verdict_of(comparison(0.1, 0.2), reality(0.06, moving=3)))
    still = verdict_of(comparison(-0.2, -0.1), reality(0.0, moving=0))
    assert str(still).endswith("really changing greyscale moves the answer to none of 100 images")
    images = verdict_of(comparison(0.1, 0.2), reality(0.3, 0.9), Images)
    assert "; and really changing greyscale changes images by 0.30" in str(images)
    # Of drawn images a fiftieth of full brightness is much, of predictions it is little.
    faint = Interval(0.03, 0.02, 0.04, 100)
    change = Reality("really changing blur", 100, RealEffect(faint, faint, None, None, 100))
    heads = [verdict_of(comparison(0.1, 0.2), change, kind).headline for kind in (Images, Classes)]
    assert heads == ["moves the answer", "hardly moves the answer"]


@pytest.mark.parametrize(
    ("low", "high", "headline"),
    [
        (0.1, 0.2, "hardly moves the answer"),
        (0.2, 0.3, "may move the answer"),
        (0.4, 0.6, "moves the answer"),
    ],
)
def test_matched_images_leave_the_headline_to_the_cue_that_images_are_called_by(low, high, headline):
    decided = Interval((low + high) / 2, low, high, 100)
    matched = replace(reality(0.9, 0.05), is_exact=False)
    for found in (matched, None):
        said = verdict.verdict_of(comparison(0.1, 0.2), found, Classes.effect, decided)
        assert said.headline == headline
        assert f"; {decided:.2f} of the images whose cues differ are called by this one" in str(said)
    # An exact edit knows better.
    exact = verdict.verdict_of(comparison(0.1, 0.2), reality(0.18, 0.9), Classes.effect, decided)
    assert exact.headline == "moves the answer, and the factor carries it"
