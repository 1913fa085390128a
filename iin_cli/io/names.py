"""Names of files, folders and classes as text that can be printed, drawn and written."""

from __future__ import annotations

import unicodedata

__all__ = ["printable"]

# Control characters, halves of characters, ends of lines and of paragraphs.
ESCAPED = {"Cc", "Cs", "Zl", "Zp"}


def printable(name: str) -> str:
    r"""Return `name` with control characters, and bytes that are not UTF-8, written as escapes.

    >>> printable("two\nlines"), printable("caf\udce9"), printable("café, 猫")
    ('two\\nlines', 'caf\\xe9', 'café, 猫')
    """
    if name.isprintable():
        return name
    return "".join(_escape(letter) if unicodedata.category(letter) in ESCAPED else letter for letter in name)


def _escape(letter: str) -> str:
    # Python stands for a byte 0x80 … 0xff that is not UTF-8 by U+DC80 … U+DCFF.
    if "\udc80" <= letter <= "\udcff":
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")
