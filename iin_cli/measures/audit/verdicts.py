"""One verdict in words for each factor: what it is usable for, and why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...metrics.bootstrap import Interval
from ...translator.factors import RESIDUAL, Factors
from .findings import Figure

__all__ = ["FactorVerdict", "Judgement", "judge_factors"]

Judgement = Literal["yes", "no", "unclear", "not measured"]
Verdict = Literal[
    "usable", "usable in part", "not usable", "unclear", "not judged", "free of concepts", "not free of concepts"
]

WORST_FIRST: tuple[Judgement, ...] = ("no", "unclear", "yes")
# A concept counts as read where half of the information on it is in its factor, and as gone where a tenth is left.
KNOWN, LEFT = 0.5, 0.1
# Of the correlation that T was fitted to.
AGREED = 0.5
# Parts of what a judge sees without a swap.
MOVED, KEPT = 0.8, 0.9
# Of T⁻¹(T(z)): the greatest error in stds, and the least share of images whose class stays.
MOST_ERROR, LEAST_AGREEMENT = 0.01, 0.99


@dataclass(frozen=True)
class FactorVerdict:
    """What one factor is usable for.

    Attributes:
        read: whether the factor tells of its concept.
        compare: whether images that are alike in the concept, and only these, are alike in the factor.
        change: whether exchanging the factor changes its concept and no other.
        remove: whether no other factor tells of the concept, so that nothing of it is left without this one.
        reasons: what speaks against a use, or leaves it open; where nothing does, what speaks for it.

    The residual has no concept: it is judged by `remove` alone, whether it tells of none.
    """

    factor: str
    read: Judgement | None
    compare: Judgement | None
    change: Judgement | None
    remove: Judgement
    reasons: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """The uses in a word."""
        if self.read is None and self.remove in ("yes", "no"):
            return "free of concepts" if self.remove == "yes" else "not free of concepts"
        uses = [use for use in (self.read, self.compare, self.change, self.remove) if use not in (None, "not measured")]
        if not uses:
            return "not judged"
        if self.read == "no" or set(uses) == {"no"}:
            return "not usable"
        if set(uses) == {"yes"}:
            return "usable"
        return "usable in part" if "yes" in uses else "unclear"

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return {"verdict": self.verdict, **asdict(self)}

    def as_row(self) -> dict[str, str]:
        """Return the verdict as columns of a table."""
        uses = {"to read": self.read, "to compare": self.compare, "to change": self.change, "to remove": self.remove}
        return {
            "factor": self.factor,
            "verdict": self.verdict,
            **{use: judgement or "" for use, judgement in uses.items()},
            "why": "; ".join(self.reasons),
        }


@dataclass(frozen=True)
class _Check:
    """One figure against a bound: whether it is on the good side, and what to say where it is not."""

    judgement: Judgement
    said: str


def judge_factors(factors: Factors, figures: Mapping[str, Figure]) -> tuple[FactorVerdict, ...]:
    """Judge every factor by the figures of an audit.

    A use is granted where the whole 95 % interval of each figure it rests on is on the good side of a bound, refused
    where one is on the bad side, and unclear where a bound lies within: more images would tell.
    """
    return tuple(
        _of_residual(factors, figures) if name == RESIDUAL else _of_concept(name, factors, figures)
        for name in factors.names
    )


def _of_concept(name: str, factors: Factors, figures: Mapping[str, Figure]) -> FactorVerdict:
    leaks = list(_leaks(name, factors, figures))
    uses = [
        list(_reads(name, figures)),
        list(_compares(name, factors, figures)),
        list(_changes(name, factors, figures)),
        leaks,
    ]
    read, compare, change, remove = map(_together, uses)
    against = [check.said for checks in uses for check in checks if check.judgement != "yes"]
    reasons = tuple(dict.fromkeys(against)) or tuple(_praise(name, factors, figures))
    return FactorVerdict(name, read, compare, change, remove, reasons or ("nothing of it could be measured",))


def _of_residual(factors: Factors, figures: Mapping[str, Figure]) -> FactorVerdict:
    names = [name for name in factors.names if name != RESIDUAL]
    checks = [
        _below(figure, LEFT, f"it still tells of {name}: {figure.interval.value:.2f} known from it")
        for name in names
        if (figure := figures.get(f"leakage.{name}")) is not None
    ]
    against = tuple(check.said for check in checks if check.judgement != "yes")
    if against or checks:
        reasons = against or (f"it tells of none of {', '.join(names)}",)
    else:
        reasons = ("what it tells of the concepts could not be measured",)
    return FactorVerdict(RESIDUAL, None, None, None, _together(checks), reasons)


def _reads(name: str, figures: Mapping[str, Figure]) -> Iterator[_Check]:
    figure = figures.get(f"information.{name}")
    if figure is None:
        return
    interval, null = figure.interval, figure.null
    if null is not None and interval.low <= null.high:
        words = f"no more of {name} is known from it than by chance ({interval.value:.2f})"
        yield _Check("no" if interval.high < KNOWN else "unclear", words)
    else:
        yield _above(figure, KNOWN, f"only {interval.value:.2f} of {name} is known from it")


def _compares(name: str, factors: Factors, figures: Mapping[str, Figure]) -> Iterator[_Check]:
    figure = figures.get(f"correlation.{name}.{name}")
    if figure is None:
        return
    value, promised = figure.interval.value, _sigma(name, factors)
    if factors.relation(name) == "share":
        words = f"pairs of {name} correlate {value:.2f} where sigma promises {promised:g}"
        yield _above(figure, AGREED * promised, words)
    else:
        words = f"pairs that differ in {name} alone still correlate {value:.2f} in it where 0 is promised"
        yield _below(figure, AGREED, words)


def _changes(name: str, factors: Factors, figures: Mapping[str, Figure]) -> Iterator[_Check]:
    others = [other for other in factors.names if other not in (name, RESIDUAL)]
    moved = figures.get(f"transfer.{name}")
    if moved is not None:
        yield _above(moved, MOVED, f"exchanging it moves {name} in {moved.interval.value:.2f} of the cases")
    else:
        yield from _leaks(name, factors, figures)
    for other in others:
        kept, told = figures.get(f"preservation.{other}.{name}"), figures.get(f"leakage.{other}.{name}")
        if kept is not None:
            words = f"exchanging it keeps {other} in {kept.interval.value:.2f} of the cases only"
            yield _above(kept, KEPT, words)
        elif told is not None:
            yield _below(told, LEFT, f"it tells of {other} too: {told.interval.value:.2f} known from it")
    if factors.relation(name) != "share":
        for other in (*others, RESIDUAL):
            same = figures.get(f"correlation.{name}.{other}")
            if same is not None:
                promised = _sigma(other, factors)
                words = f"{other} changes along: it correlates {same.interval.value:.2f} where {promised:g} is promised"
                yield _above(same, AGREED * promised, words)
    yield from _undone(figures)


def _leaks(name: str, factors: Factors, figures: Mapping[str, Figure]) -> Iterator[_Check]:
    for other in factors.names:
        figure = figures.get(f"leakage.{name}" if other == RESIDUAL else f"leakage.{name}.{other}")
        if figure is not None and other != name:
            where = "the residual" if other == RESIDUAL else other
            yield _below(figure, LEFT, f"{name} leaks into {where}: {figure.interval.value:.2f} known from it")


def _undone(figures: Mapping[str, Figure]) -> Iterator[_Check]:
    """Ask whether T⁻¹ undoes T, without which no edit means anything."""
    error, stays = figures.get("round_trip_error"), figures.get("no_op_agreement")
    if error is not None and error.interval.value > MOST_ERROR:
        yield _Check("no", f"T is not undone exactly: an unedited z comes back {error.interval.value:.2g} stds away")
    if stays is not None and stays.interval.value < LEAST_AGREEMENT:
        yield _Check("no", f"without any edit only {stays.interval.value:.1%} of the images keep their class")


def _praise(name: str, factors: Factors, figures: Mapping[str, Figure]) -> Iterator[str]:
    """Say on what a verdict without objections rests."""
    known = figures.get(f"information.{name}")
    if known is not None:
        yield f"{known.interval.value:.2f} of {name} is known from it"
    told = [
        figure.interval.value
        for other in factors.names
        if (figure := figures.get(f"leakage.{name}" if other == RESIDUAL else f"leakage.{name}.{other}")) is not None
    ]
    if told:
        yield f"at most {max(0.0, *told):.2f} from any other factor"
    pairs = figures.get(f"correlation.{name}.{name}")
    if pairs is not None and factors.relation(name) == "share":
        yield f"pairs correlate {pairs.interval.value:.2f} (sigma {_sigma(name, factors):g})"


def _together(checks: Sequence[_Check]) -> Judgement:
    found = {check.judgement for check in checks}
    for word in WORST_FIRST:
        if word in found:
            return word
    return "not measured"


def _above(figure: Figure, bound: float, said: str) -> _Check:
    return _judged(figure.interval, figure.interval.low >= bound, figure.interval.high < bound, said)


def _below(figure: Figure, bound: float, said: str) -> _Check:
    return _judged(figure.interval, figure.interval.high <= bound, figure.interval.low > bound, said)


def _judged(interval: Interval, good: bool, bad: bool, said: str) -> _Check:
    if good or bad:
        return _Check("yes" if good else "no", said)
    return _Check("unclear", f"{said} (between {interval.low:.2f} and {interval.high:.2f}: too few images to say)")


def _sigma(name: str, factors: Factors) -> float:
    return next(factor.sigma for factor in factors if factor.name == name)
