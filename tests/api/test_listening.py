"""Progress in a notebook: a function, a bar, a reporter or nothing; what was warned of is kept."""

import pytest

from iin_cli.api.listening import listen
from iin_cli.errors import UsageError


class Bar:
    made = []

    def __init__(self, total, desc, unit):
        self.total, self.desc, self.done, self.open, self.shown = total, desc, 0, True, {}
        Bar.made.append(self)

    def update(self, n):
        self.done += n

    def set_postfix(self, figures, refresh):
        self.shown = figures

    def close(self):
        self.open = False


def test_a_bar_moves_and_closes_even_when_the_work_fails():
    def work():
        with listen(Bar).task("fitting", 3, "steps") as task:
            task.advance(2, loss=1.5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    (bar,) = Bar.made
    assert (bar.total, bar.desc, bar.done, bar.open, bar.shown) == (3, "fitting", 2, False, {"loss": 1.5})


def test_warnings_are_kept_once(heard):
    listener = listen(heard)
    for _ in range(2):
        listener.warn("few images")
        listener.note("data: shapes")
    assert listener.warnings == heard.warnings == ["few images"]
    assert listener.notes == heard.notes == ["data: shapes"]
    assert listen(listener) is listener


def test_silence_says_nothing(capsys):
    with listen(None).task("fitting", 2) as task:
        task.advance()
    assert capsys.readouterr() == ("", "")


def test_anything_else_is_refused():
    with pytest.raises(UsageError, match="progress is a int: give a function"):
        listen(3)
