"""Sizes and ages as people write them."""

import pytest

from iin_cli.errors import UsageError
from iin_cli.upkeep.amounts import parse_age, parse_size, shown_age, shown_size


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("500", 500), ("1k", 1000), ("10GB", 10**10), ("2 GiB", 2**31), ("1.5mb", 1500000)]
)
def test_sizes(text, count):
    assert parse_size("--max-size", text) == count


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30d", 2592000), ("0.5h", 1800), ("2W", 1209600)])
def test_ages(text, seconds):
    assert parse_age("--older-than", text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "GB", "10XB", "1e3", "nan", "1.2.3"])
def test_anything_else_is_refused(text):
    for parse in (parse_size, parse_age):
        with pytest.raises(UsageError, match="write "):
            parse("--option", text)


def test_what_is_shown_is_short_and_never_1000():
    assert [shown_size(count) for count in (999, 999_600, 1e15, 9.96e6)] == ["999 B", "1.0 MB", "1.0 PB", "10.0 MB"]
    assert [shown_age(seconds) for seconds in (-3, 89, 5399, 86400, 1e7)] == ["0 s", "89 s", "90 min", "24 h", "116 d"]
