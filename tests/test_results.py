"""What results are as JSON values."""

from dataclasses import dataclass, field

from iin_cli.results import Result


class Said:
    def as_dict(self):
        return {"said": 1}


@dataclass(frozen=True)
class Part:
    value: float
    drawn: object = field(default=None, compare=False)


@dataclass(frozen=True)
class Whole(Result):
    name: str
    parts: tuple
    by_name: dict
    made_of: object = field(compare=False)


def test_parts_say_what_they_are_and_what_does_not_count_is_left_out():
    whole = Whole("a", (Part(1.0), Said()), {"b": [Part(2.0)]}, object())
    assert whole.as_dict() == {"name": "a", "parts": ({"value": 1.0}, {"said": 1}), "by_name": {"b": [{"value": 2.0}]}}
