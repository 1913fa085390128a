"""A recipe: what is done to the factors of one image, the same in `iin edit`, `Interpretation.edit` and the explorer.

It is plain values and loads no tensors: a page's request, a command line and a Python program write the same recipe.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from ..errors import UsageError
from ..translator.factors import Factors

__all__ = ["MOST_STRENGTH", "Along", "Change", "Recipe"]

# A strength of 2 goes as far beyond the source as the source is away.
MOST_STRENGTH = 2.0
# Numbers further out have no meaning: N(0, 1) has none, and T⁻¹ would answer with infinities.
FURTHEST = 100.0
MOST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Change:
    """What is done to one factor: z̃_k ← z̃_k + s · (new_k − z̃_k) + x · u_1 + y · u_2.

    Attributes:
        factor: its name.
        source: where new_k comes from: the name of an image to swap from, the seed of a draw from N(0, 1), or None.
        strength: s in [0, 2]; 1 takes the source's factor whole.
        move: x and y along the factor's two principal axes u, in standard deviations of N(0, 1).

    Raises UsageError for values outside their range.

    >>> Change("digit", "seven.png").words()
    ['--swap', 'digit=seven.png']
    """

    factor: str
    source: str | int | None = None
    strength: float = 1.0
    move: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if isinstance(self.source, bool) or not isinstance(self.source, (str, int, type(None))):
            raise UsageError(f"{self.factor} is taken from an image's name or drawn by a seed, not {self.source!r}")
        if isinstance(self.source, int) and not 0 <= self.source <= MOST_SEED:
            raise UsageError(f"the seed {self.source} of {self.factor}: give a whole number from 0 to 2^63 - 1")
        if self.source == "":
            raise UsageError(f"{self.factor} is to be taken from an image without a name: name one")
        if not 0 <= self.strength <= MOST_STRENGTH:
            raise UsageError(f"the strength {self.strength:g} of {self.factor}: give a number from 0 to 2")
        if len(self.move) != 2 or not all(abs(step) <= FURTHEST for step in self.move):
            raise UsageError(f"the move {self.move} of {self.factor}: give two numbers, each at most {FURTHEST:g} SD")

    @property
    def moves(self) -> bool:
        """Whether it moves the factor along its axes."""
        return self.move != (0.0, 0.0)

    @property
    def does_nothing(self) -> bool:
        """Whether the factor stays as it is."""
        return not self.moves and (self.source is None or self.strength == 0)

    def as_dict(self) -> dict[str, Any]:
        """Return the change as JSON values, as `Recipe.of_json` reads them."""
        source = {} if self.source is None else {"swap" if isinstance(self.source, str) else "resample": self.source}
        return {"factor": self.factor, **source, "strength": self.strength, "move": list(self.move)}

    def words(self) -> list[str]:
        """Return the options of `iin edit` that make this change; none where it does nothing."""
        if self.does_nothing:
            return []
        words: list[str] = []
        if self.source is not None and self.strength:
            words += ["--swap" if isinstance(self.source, str) else "--resample", f"{self.factor}={self.source}"]
            words += ["--strength", f"{self.factor}={self.strength!r}"] if self.strength != 1 else []
        if self.moves:
            words += ["--move", f"{self.factor}={self.move[0]!r},{self.move[1]!r}"]
        return words


@dataclass(frozen=True)
class Along:
    """How much of an attribute is added (Eq 14): 1 is the whole difference of the means with it and without it."""

    name: str
    amount: float

    def __post_init__(self) -> None:
        if not abs(self.amount) <= FURTHEST:
            raise UsageError(f"the amount {self.amount:g} of {self.name}: give a number from -{FURTHEST:g} to 100")


@dataclass(frozen=True)
class Recipe:
    """What is done to one image: for each factor at most one change, then attributes.

    Attributes:
        locked: factors that attributes leave as they are; an axis of Eq 14 has a part in every factor.

    Raises UsageError where a factor or an attribute is named twice.

    >>> recipe = Recipe((Change("color", 7, 0.5), Change("digit", move=(1.0, 0.0))), (Along("class=cat", 2.0),))
    >>> recipe.line()
    '--resample color=7 --strength color=0.5 --move digit=1.0,0.0 --along class=cat=2.0'
    >>> Recipe.of_json(recipe.as_dict()) == recipe
    True
    """

    changes: tuple[Change, ...] = ()
    attributes: tuple[Along, ...] = ()
    locked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind, names in (
            ("factor", [change.factor for change in self.changes]),
            ("attribute", [each.name for each in self.attributes]),
            ("locked factor", list(self.locked)),
        ):
            if twice := [name for name in names if names.count(name) > 1]:
                raise UsageError(f"the {kind} {twice[0]} is given twice: give it once")

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the images that factors are taken from, each once."""
        found = (change.source for change in self.changes if not change.does_nothing)
        return tuple(dict.fromkeys(source for source in found if isinstance(source, str)))

    @property
    def moved(self) -> tuple[str, ...]:
        """The factors that are moved along their axes."""
        return tuple(change.factor for change in self.changes if change.moves)

    def require(self, factors: Factors) -> None:
        """Raise UsageError for a factor that is not one of `factors`."""
        for name in (*(change.factor for change in self.changes), *self.locked):
            factors.slice(name)

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return {
            "changes": [change.as_dict() for change in self.changes],
            "attributes": {each.name: each.amount for each in self.attributes},
            "locked": list(self.locked),
        }

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `as_dict` returns. UsageError naming what is wrong with anything else."""
        changes, attributes = value.get("changes") or [], value.get("attributes") or {}
        if not isinstance(changes, list) or not all(isinstance(change, Mapping) for change in changes):
            raise UsageError('"changes" must be a list of objects, {"factor": …, "swap": …, "strength": 1, …}')
        if not isinstance(attributes, Mapping):
            raise UsageError('"attributes" must be an object of names and amounts')
        locked = value.get("locked") or []
        if not isinstance(locked, list) or not all(isinstance(name, str) for name in locked):
            raise UsageError('"locked" must be a list of factors, as ["digit"]')
        return cls(
            tuple(map(_change_of, changes)),
            tuple(Along(str(name), _number(amount, str(name))) for name, amount in attributes.items()),
            tuple(locked),
        )

    @classmethod
    def of_options(
        cls,
        factors: Factors,
        swap: Sequence[str] = (),
        resample: Sequence[str] = (),
        strength: Sequence[str] = (),
        move: Sequence[str] = (),
        along: Sequence[str] = (),
        lock: Sequence[str] = (),
    ) -> Self:
        """Read the options of `iin edit`, each `FACTOR=VALUE` or a factor; UsageError for one that cannot be read.

        >>> Recipe.of_options(Factors.of({"digit": 2, "residual": 1}), swap=["digit=7.png"]).sources
        ('7.png',)
        """
        swaps, seeds, strengths, moves = (
            _assigned(texts, option, factors)
            for texts, option in (
                (swap, "--swap"),
                (resample, "--resample"),
                (strength, "--strength"),
                (move, "--move"),
            )
        )
        if both := swaps.keys() & seeds.keys():
            raise UsageError(f"{min(both)} is both swapped and resampled: leave one out")
        if idle := strengths.keys() - swaps.keys() - seeds.keys():
            name = min(idle)
            raise UsageError(f"--strength {name}=…: {name} is neither swapped nor resampled; give --swap or --resample")
        if lock and not along:
            raise UsageError(f"--lock {lock[0]} keeps a factor as it is while an attribute is added: give --along, too")
        for name in lock:
            factors.slice(name)
        sources: dict[str, str | int] = {**swaps}
        sources |= {name: _whole(text, f"--resample {name}={text}") for name, text in seeds.items()}
        changed = [name for name in factors.names if name in {*sources, *moves}]
        return cls(
            tuple(
                Change(
                    name,
                    sources.get(name),
                    _number(strengths.get(name, "1"), f"--strength {name}"),
                    _pair(moves[name], f"--move {name}={moves[name]}") if name in moves else (0.0, 0.0),
                )
                for name in changed
            ),
            tuple(map(_along, along)),
            tuple(lock),
        )

    def words(self) -> list[str]:
        """Return the options of `iin edit` that do the same; numbers are written so that they are read the same."""
        words = [word for change in self.changes for word in change.words()]
        along = [f"{each.name}={each.amount!r}" for each in self.attributes if each.amount]
        words += [word for text in along for word in ("--along", text)]
        # What attributes would leave alone needs no lock where there are none.
        return words + [word for name in self.locked if along for word in ("--lock", name)]

    def line(self) -> str:
        """Return `words` as a shell takes them."""
        return shlex.join(self.words())


def _change_of(value: Mapping[str, Any]) -> Change:
    factor = value.get("factor")
    if not isinstance(factor, str):
        raise UsageError('a change names its "factor"')
    if value.get("swap") is not None and value.get("resample") is not None:
        raise UsageError(f"{factor} is both swapped and resampled: leave one out")
    source = value.get("swap")
    if source is not None and not isinstance(source, str):
        raise UsageError(f'"swap" of {factor} must be the name of an image, not {source!r}')
    if (seed := value.get("resample")) is not None:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise UsageError(f'"resample" of {factor} must be a whole number, not {seed!r}')
        source = seed
    move = value.get("move") or (0.0, 0.0)
    if not isinstance(move, (list, tuple)) or len(move) != 2:
        raise UsageError(f'"move" of {factor} must be two numbers, not {move!r}')
    x, y = (_number(step, f'"move" of {factor}') for step in move)
    return Change(factor, source, _number(value.get("strength", 1.0), f'"strength" of {factor}'), (x, y))


def _assigned(texts: Iterable[str], option: str, factors: Factors) -> dict[str, str]:
    """Read `FACTOR=VALUE`; a factor's name may itself hold `=`. UsageError for an unknown factor, or one twice."""
    found: dict[str, str] = {}
    for text in texts:
        known = [name for name in factors.names if text.startswith(f"{name}=")]
        name = max(known, key=len) if known else text.partition("=")[0]
        factors.slice(name)
        value = text[len(name) + 1 :]
        if not value:
            raise UsageError(f"{option} {text}: write {option} {name}=…")
        if name in found:
            raise UsageError(f"{option} names {name} twice: give it once")
        found[name] = value
    return found


def _along(text: str) -> Along:
    name, equals, amount = text.rpartition("=")
    if not (name and equals):
        raise UsageError(f"--along {text}: write the attribute and how much of it, as Smiling=1 or class=cat=0.5")
    return Along(name, _number(amount, f"--along {text}"))


def _pair(text: str, option: str) -> tuple[float, float]:
    x, _, y = text.partition(",")
    return _number(x, option), _number(y or "0", option)


def _number(value: Any, what: str) -> float:
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    # JSON's whole numbers may be larger than any float.
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not math.isfinite(number):
        raise UsageError(f"{what}: {value!r} is not a number")
    return number


def _whole(text: str, option: str) -> int:
    # Python itself refuses to read thousands of digits.
    if not text.isdecimal() or len(text) > len(str(MOST_SEED)):
        raise UsageError(f"{option}: the seed must be a whole number from 0 to 2^63 - 1, as 7")
    return int(text)
