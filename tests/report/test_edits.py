"""What cannot be drawn is said, and what is drawn has a safe name."""

import pytest

from iin_cli.errors import DataError
from iin_cli.report import edits
from iin_cli.report.page import Fault, Heading, Picture


def test_a_section_with_no_picture_at_all_fails_with_the_first_reason():
    picture = Picture(b"", "png", (1, 1), "alt", "caption")
    blocks = [Heading("a"), Fault("a", "first"), Fault("b", "second")]
    assert edits._unless_all_failed([*blocks, picture]) == [*blocks, picture]
    with pytest.raises(DataError, match="first"):
        edits._unless_all_failed(blocks)


def test_a_file_name_is_safe_whatever_the_factor_is_called():
    assert edits._safe("swap", "a/b ../<c>") == "swap-a-b-..-c-"
