"""Bytes and times as people write them: `10GB`, `30d`."""

from __future__ import annotations

import re

from ..errors import UsageError

__all__ = ["parse_age", "parse_size", "shown_age", "shown_size"]

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
SIZES = ("B", "kB", "MB", "GB", "TB", "PB")


def parse_size(option: str, text: str) -> int:
    """Turn `10GB`, `1.5 GiB` or `500000` into bytes. UsageError for anything else.

    >>> parse_size("--max-size", "10GB"), parse_size("--max-size", "1.5KiB")
    (10000000000, 1536)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgtp])(i?)b?|b)?\s*", text, re.IGNORECASE)
    if found is None:
        raise UsageError(f"{option} {text!r} is no size: write 500MB, 10GB or 1.5GiB")
    power = "kmgtp".index(found[2].lower()) + 1 if found[2] else 0
    return int(float(found[1]) * (1024 if found[3] else 1000) ** power)


def parse_age(option: str, text: str) -> float:
    """Turn `30d`, `12h`, `2w` into seconds. UsageError for anything else.

    >>> parse_age("--older-than", "2w")
    1209600.0
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdwy])\s*", text, re.IGNORECASE)
    if found is None:
        raise UsageError(f"{option} {text!r} is no age: write 12h, 30d or 8w")
    return float(found[1]) * SECONDS[found[2].lower()]


def shown_size(count: float) -> str:
    """Return bytes for a reader.

    >>> shown_size(0), shown_size(1234), shown_size(56_000_000)
    ('0 B', '1.2 kB', '56 MB')
    """
    power = 0
    while count >= 999.5 and power < len(SIZES) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.1f} {SIZES[power]}" if 0 < count < 10 and power else f"{count:.0f} {SIZES[power]}"


def shown_age(seconds: float) -> str:
    """Return a time that has passed for a reader.

    >>> shown_age(5), shown_age(90), shown_age(3 * 86400)
    ('5 s', '2 min', '3 d')
    """
    for limit, unit, name in ((90, 1, "s"), (90 * 60, 60, "min"), (36 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{max(seconds, 0) / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} d"
