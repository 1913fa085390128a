"""What the FID protocol found, as JSON and as a table."""

import pytest

from iin_cli.fid.scores import ProtocolResult, SetScores, Trial


def scores(name, *distances, **facts):
    return SetScores(name, 9, tuple(Trial(value, 0.5, None) for value in distances), **facts)


def result(*sets):
    return ProtocolResult("fd", "net", "ab" * 32, "none", 4, "t", "d", "test", 9, 9, 3, 3, 9, 0, 1.0, sets)


def test_the_gap_between_ceiling_and_floor():
    translator, floor = scores("translator", 12, 14), scores("reconstructions", 10)
    ceiling = scores("backbone", 30, 30, truncation=1.0, is_ceiling=True)
    got = result(translator, ceiling, floor)
    assert [got.gap_closed(entry) for entry in got.sets] == [pytest.approx(0.85), 0, 1]
    assert result(translator, floor).gap_closed(translator) is None
    below = scores("backbone", 5, is_ceiling=True)
    assert result(translator, below, floor).gap_closed(translator) is None


def test_mean_and_deviation_are_those_of_a_sample():
    (row,) = result(scores("translator", 12, 14)).as_dict()["sets"]
    assert (row["value"], row["value_std"], row["value_trials"]) == (13, pytest.approx(2**0.5), [12, 14])
    assert (row["precision"], row["precision_std"], row["recall"], row["recall_std"]) == (0.5, 0, None, None)
    ((title, (line,)),) = result(scores("reconstructions", 12)).tables()
    assert title == "FD to d test (9 images)"
    assert (line["fd"], line["recall"], line["gap closed"]) == ("12", None, None)
