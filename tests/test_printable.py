"""Names that cannot be printed as they are."""

import os

import pytest

from iin_cli.printable import printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain [red] $x$", "plain [red] $x$"),
        ("two\nlines\t", "two\\nlines\\t"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("café 猫\u00a0👩‍🔬", "café 猫\u00a0👩‍🔬"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_what_cannot_be_printed_is_escaped(name, shown):
    assert printable(name) == shown
    shown.encode("utf-8")
