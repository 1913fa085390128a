"""Names as text that a terminal can be given: nothing in them moves the cursor, changes a colour or begins a line."""

from __future__ import annotations

import unicodedata

__all__ = ["printable"]

# Control characters, halves of characters (bytes of a file name that are no text), and ends of lines.
ESCAPED = ("Cc", "Cs", "Zl", "Zp")
# Marks that turn the direction of writing, so that a name reads as another.
TURNING = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    r"""Return `text` in one line, with everything that is no visible character escaped as Python writes it.

    >>> print(printable("café\x1b[31m\nkind  backbone"))
    café\x1b[31m\nkind  backbone
    """
    if text.isprintable():
        return text
    return "".join(_escaped(each) for each in text)


def _escaped(each: str) -> str:
    # Python stands for a byte 0x80 … 0xff that is not UTF-8 by U+DC80 … U+DCFF.
    if "\udc80" <= each <= "\udcff":
        return f"\\x{ord(each) - 0xDC00:02x}"
    if each in TURNING or unicodedata.category(each) in ESCAPED:
        return each.encode("unicode_escape", "surrogatepass").decode("ascii")
    return each
