"""Measure how far an answer moves with each factor, beside random subspaces of the factor's size (section 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...editing.real_edits import reality_of
from ...errors import IinError, ResourceError, reason
from ...interpretation.answers import Images
from ...interpretation.network import Network
from ...interpretation.performance import Performance, performance_of
from ...interpretation.reading import Reading
from ...metrics.bootstrap import Resampling
from ...plugin_api import ConceptProvider
from ...progress import Reporter, Silent
from ...sizing.cue_decisions import CueDecisions, decide
from .results import FactorResponse, Readout, RespondResult, readout_of
from .walks import TakeAnswers, WalkDesign, Walker

__all__ = ["TakeWalks", "measure_responses", "usual_images"]

# What an odd network or an odd walk may raise; the other factors are measured all the same.
ODD = (IinError, RuntimeError, ValueError, ArithmeticError)

# Images that walk by default; drawing one of more than LARGE pixels a side takes a hundred times as long.
USUAL, USUAL_DRAWN, LARGE = 500, 100, 64

TakeWalks = Callable[[str, int | None], TakeAnswers]


def usual_images(network: Network) -> int:
    """Return how many images walk where nobody says it: as many as take a minute or two, fewer where each is drawn."""
    draws_large = isinstance(network.answer, Images) and network.backbone.image_size > LARGE
    return USUAL_DRAWN if draws_large else USUAL


def measure_responses(
    reading: Reading,
    design: WalkDesign,
    report: Reporter | None = None,
    save: Callable[[RespondResult], None] | None = None,
    rows: TakeWalks | None = None,
    given: Mapping[str, ConceptProvider] | None = None,
) -> RespondResult:
    """Let one factor of every item walk at a time, all else fixed, and measure what the network then answers.

    A classifier is measured by how often its prediction flips, KL(start ‖ point), and the log-probability of each
    class; an autoencoder by how much the image changes. Beside it stands what the network answers to the same images
    really edited in the factor's concept, where they can be.

    Args:
        design: of the walks; `design.walk.factors` are measured, all factors where it names none.
        save: called with the result so far after every factor.
        rows: given a factor and the number of a control (None: the factor itself), what takes its answers.
        given: factor -> concept, where the factor's name does not say it.

    A factor that cannot be measured is recorded in `failed`; its error is raised only where none can be measured.
    Raises UsageError for an unknown factor, DataError where a walk leaves the finite numbers.
    """
    report = report or Silent()
    reading.network.require_head()
    names = reading.opened.choose_factors(design.walk.factors)
    walker = Walker(reading, design)
    readout = readout_of(reading.network.answer, walker.starts.answer)
    result = _empty(walker, readout, performance_of(reading, design.seed, report))
    decisions = _decisions(reading, design.seed, report)
    result = replace(result, decisions=decisions)
    for name in names:
        try:
            found = _measure_factor(walker, readout, name, report, rows)
            reality = reality_of(reading, name, report, (given or {}).get(name), design.seed)
            decided = decisions.share(reading.dataset.column(name)) if decisions is not None else None
            found = replace(found, reality=reality, effect=reading.network.answer.effect, decided=decided)
            result = replace(result, factors=(*result.factors, found))
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


def _decisions(reading: Reading, seed: int, report: Reporter) -> CueDecisions | None:
    """Say which of two cues decides what the items are called, where the factors are such cues."""
    columns = [column for name in reading.opened.factors.names if (column := reading.dataset.column(name))]
    resampling = Resampling(seed=seed)
    found = decide(reading.network, reading.dataset, reading.items, columns, resampling, report, reading.z)
    if found is not None:
        report.note(str(found))
    return found


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


def _empty(walker: Walker, readout: Readout, performance: Performance) -> RespondResult:
    reading, design = walker.reading, walker.design
    return RespondResult(
        out="",
        translator=reading.opened.called,
        data=reading.dataset.name,
        kind=reading.network.answer.kind,
        images=len(reading),
        steps=design.walk.steps,
        points=design.points,
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
        performance=performance,
        items=tuple(reading.items.tolist()),
        readout=readout,
    )
