"""What fails alone is said in one line; what ends everything does."""

import pytest

from iin_cli.errors import DataError, ResourceError
from iin_cli.workflows.attempts import attempt, reason


def raiser(error):
    def work():
        raise error

    return work


def test_what_fails_is_said_in_one_line():
    assert attempt(lambda: 3) is None
    assert attempt(raiser(DataError("no\nimages"))) == "no images"
    assert attempt(raiser(ZeroDivisionError("odd\nnumber"))) == "ZeroDivisionError: odd number"
    assert reason(MemoryError()) == "MemoryError:"


@pytest.mark.parametrize("error", [ResourceError("full"), KeyboardInterrupt(), SystemExit(3)])
def test_a_full_disk_and_the_user_end_everything(error):
    with pytest.raises(type(error)):
        attempt(raiser(error))
