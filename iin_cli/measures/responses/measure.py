"""Measure how far an answer moves with each factor, beside random subspaces of the factor's size (section 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...errors import IinError, ResourceError, reason
from ...interpretation.reading import Reading
from ...progress import Reporter, Silent
from .results import FactorResponse, Readout, RespondResult, readout_of
from .walks import TakeAnswers, WalkDesign, Walker

__all__ = ["TakeWalks", "measure_responses"]

# What an odd network or an odd walk may raise; the other factors are measured all the same.
ODD = (IinError, RuntimeError, ValueError, ArithmeticError)

TakeWalks = Callable[[str, int | None], TakeAnswers]


def measure_responses(
    reading: Reading,
    design: WalkDesign,
    report: Reporter | None = None,
    save: Callable[[RespondResult], None] | None = None,
    rows: TakeWalks | None = None,
) -> RespondResult:
    """Let one factor of every item walk at a time, all else fixed, and measure what the network then answers.

    A classifier is measured by how often its prediction flips, KL(start ‖ point), and the log-probability of each
    class; an autoencoder by how much the image changes.

    Args:
        design: of the walks; `design.walk.factors` are measured, all factors where it names none.
        save: called with the result so far after every factor.
        rows: given a factor and the number of a control (None: the factor itself), what takes its answers.

    A factor that cannot be measured is recorded in `failed`; its error is raised only where none can be measured.
    Raises UsageError for an unknown factor, DataError where a walk leaves the finite numbers.
    """
    report = report or Silent()
    reading.network.require_head()
    names = reading.opened.choose_factors(design.walk.factors)
    walker = Walker(reading, design)
    readout = readout_of(reading.network.answer, walker.starts.answer)
    result = _empty(walker, readout)
    for name in names:
        try:
            result = replace(result, factors=(*result.factors, _measure_factor(walker, readout, name, report, rows)))
        except ResourceError:
            raise
        except ODD as error:
            if name == names[-1] and not result.factors:
                raise
            why = reason(error)
            report.warn(f"{name} is not measured: {why}")
            result = replace(result, failed={**result.failed, name: why})
        if save is not None and result.factors:
            save(result)
    if not result.never_negative and bool((reading.z >= 0).all(0).any()):
        report.note(f"{len(reading)} images are too few to say which features are never negative")
    return result


def _measure_factor(
    walker: Walker, readout: Readout, name: str, report: Reporter, rows: TakeWalks | None
) -> FactorResponse:
    design, measured = walker.design, []
    points = (design.controls + 1) * len(walker.reading) * design.points
    with report.task(f"walking {name}", points, "points") as task:
        for number in (None, *range(design.controls)):
            take = rows(name, number) if rows is not None else None
            measured.append(walker.measure(name, number, task, take))
    dim = walker.reading.opened.factors.dims[name]
    return readout.compare(name, dim, measured[0], measured[1:], design.seed)


def _empty(walker: Walker, readout: Readout) -> RespondResult:
    reading, design = walker.reading, walker.design
    return RespondResult(
        out="",
        translator=reading.opened.called,
        data=reading.dataset.name,
        kind=reading.network.answer.kind,
        images=len(reading),
        steps=design.walk.steps,
        walks=design.walks,
        gamma=design.walk.gamma,
        walk_sigma=design.walk.sigma,
        center=design.walk.center,
        controls=design.controls,
        seed=design.seed,
        features=reading.z.shape[1],
        never_negative=int(walker.starts.never_negative.sum()),
        factors=(),
        failed={},
        items=tuple(reading.items.tolist()),
        readout=readout,
    )
