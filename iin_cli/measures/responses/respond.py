"""Response analysis: what an answer owes to each factor, beside random subspaces of its size (section 4.2)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

from torch import Tensor

from ...distributed import draw_seed
from ...errors import IinError, ResourceError, UsageError, reason
from ...figures.plots import save_figure
from ...interpretation.opening import open_translator
from ...interpretation.reading import Reading
from ...io.rundir import write_json
from ...progress import Reporter, Silent
from ...translator.edit import Center
from .results import FactorResponse, RespondResult, compare_factor
from .walks import Each, Starts, WalkSettings, basis_of_control, measure_walks, read_starts

__all__ = ["measure_responses", "respond"]

# What an odd network or an odd walk may raise; the other factors are measured all the same.
ODD = (IinError, RuntimeError, ValueError, ArithmeticError)


def respond(
    translator: Path,
    factors: Sequence[str] = (),
    out: Path | None = None,
    *,
    n: int = 200,
    steps: int = 20,
    walks: int = 1,
    gamma: float = 0.1,
    walk_sigma: float | None = None,
    center: Center = "origin",
    controls: int = 3,
    raw: bool = False,
    data: str | None = None,
    data_root: Path | None = None,
    split: str = "test",
    seed: int | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> RespondResult:
    """Let each factor of many images wander, all else fixed, and measure what the network then answers.

    Of a classifier: how often its prediction flips, KL(start ‖ point), the log-probability of each class. Of an
    autoencoder: how much the image changes. Each beside walks in random subspaces of z̃ as large as the factor.

    Args:
        factors: which; none names all, the residual included.
        out: a new folder, or a new `.png` or `.json`.
        n: start images of the split, drawn by `seed`; where there are fewer, all.
        steps, walks: points of a walk, the start included, and walks from each image.
        gamma, walk_sigma, center: of the walk, as in `walk`.
        controls: random subspaces beside each factor.
        raw: write every point's log-probabilities as `respond.csv` too.

    The JSON is written after every factor. A factor that cannot be measured is recorded in `failed`; only where none
    can, its error is raised. Raises UsageError, DataError and CheckpointError as their docstrings say.
    """
    report, seed = report or Silent(), draw_seed(seed)
    _check_choices(n, steps, walks, gamma, center, controls)
    names = _check_factors(translator, factors)
    settings = WalkSettings(steps, walks, gamma, walk_sigma, center == "input", seed)
    label = "-".join(["respond", *factors])
    with open_output(out, label, (".png", ".json"), "a figure or its figures as JSON") as (place, is_file):
        if raw and is_file:
            raise UsageError(f"--raw writes respond.csv beside the rest: --out {place} must be a folder then")
        reading = open_reading(
            translator,
            data=data,
            data_root=data_root,
            split=split,
            n=n,
            seed=seed,
            backbone=backbone,
            device=device,
            report=report,
        )
        if raw and reading.opened.backbone.classes is None:
            raise UsageError("--raw writes log-probabilities, and this backbone draws images: leave it out")
        table = place if is_file else place / "respond.json"

        def save(found: RespondResult) -> None:
            if table.suffix.lower() == ".json":
                write_json(table, replace(found, out=str(place)).as_dict())

        with _raw_table(place / "respond.csv" if raw else None, reading) as rows:
            result = measure_responses(reading, names, settings, controls, report, save, rows)
        result = replace(result, out=str(place))
        if not is_file or place.suffix.lower() == ".png":
            save_figure(place if is_file else place / "respond.png", result.figure())
    return result


def measure_responses(
    reading: Reading,
    names: Sequence[str],
    settings: WalkSettings,
    controls: int = 3,
    report: Reporter | None = None,
    save: Callable[[RespondResult], None] | None = None,
    rows: Callable[[str, int | None], Each] | None = None,
) -> RespondResult:
    """Measure the response to factors `names` of items that are open already; writes nothing.

    Args:
        save: called with what there is so far after every factor.
        rows: given a factor and the number of a control (None: the factor itself), what takes its log-probabilities.
    """
    report = report or Silent()
    opened, starts = reading.opened, read_starts(reading)
    result = _empty(reading, starts, settings, controls)
    for name in names:
        try:
            found = _measure_factor(reading, starts, name, settings, controls, report, rows)
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
        report.note(f"{opened.path}: too few images to say which features are never negative")
    return result


def _measure_factor(
    reading: Reading,
    starts: Starts,
    name: str,
    settings: WalkSettings,
    controls: int,
    report: Reporter,
    rows: Callable[[str, int | None], Each] | None,
) -> FactorResponse:
    opened, measured = reading.opened, []
    with report.task(f"walking {name}", (controls + 1) * len(reading) * settings.points, "points") as task:
        for number in (None, *range(controls)):
            basis = None if number is None else basis_of_control(opened.factors, name, number, settings.seed)
            each = rows(name, number) if rows is not None else None
            measured.append(measure_walks(reading, starts, name, basis, settings, task, each))
    dim, classes = opened.factors.dims[name], opened.backbone.classes
    return compare_factor(name, dim, measured[0], measured[1:], starts, classes, settings.seed)


def _empty(reading: Reading, starts: Starts, settings: WalkSettings, controls: int) -> RespondResult:
    classes = reading.opened.backbone.classes
    return RespondResult(
        out="",
        translator=str(reading.opened.path),
        data=reading.dataset.name,
        kind="images" if classes is None else "classes",
        images=len(reading),
        steps=settings.steps,
        walks=settings.walks,
        gamma=settings.gamma,
        walk_sigma=settings.sigma,
        center="input" if settings.center_on_input else "origin",
        controls=controls,
        seed=settings.seed,
        features=reading.z.shape[1],
        never_negative=int(starts.never_negative.sum()),
        factors=(),
        failed={},
        items=tuple(reading.items.tolist()),
        classes=classes,
        starts=starts.answer.numpy() if classes is not None else None,
    )


@contextmanager
def _raw_table(file: Path | None, reading: Reading) -> Iterator[Callable[[str, int | None], Each] | None]:
    """Yield what adds a factor's points to a table, row by row, so that an interrupted run leaves what it has."""
    if file is None:
        yield None
        return
    classes = reading.opened.backbone.classes or ()
    with file.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text, lineterminator="\n")
        columns = ["factor", "control", "item", "point", "predicted"]
        writer.writerow(columns + [f"log_probability.{name}" for name in classes])

        def rows(name: str, number: int | None) -> Each:
            def write(first: int, answer: Tensor) -> None:
                for image, points in enumerate(answer, first):
                    start = [name, "" if number is None else number, int(reading.items[image])]
                    for point, values in enumerate(points, 1):
                        writer.writerow([*start, point, classes[int(values.argmax())], *values.tolist()])

            return write

        yield rows


def _check_choices(n: int, steps: int, walks: int, gamma: float, center: str, controls: int) -> None:
    if min(n, walks, controls) < 1:
        raise UsageError(f"n, walks and controls must be at least 1, got {n}, {walks} and {controls}")
    if steps < 2:
        raise UsageError(f"a walk needs at least 2 steps, got {steps}")
    if not 0 < gamma <= 1:
        raise UsageError(f"gamma must be in (0, 1], got {gamma}")
    if center not in get_args(Center):
        raise UsageError(f"--center {center!r}: choose from {', '.join(get_args(Center))}")


def _check_factors(translator: Path, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the factors to measure, before anything takes time; UsageError for an unknown one."""
    there = open_translator(translator, with_network=False).factors
    for name in wanted:
        there.slice(name)
    return tuple(dict.fromkeys(wanted)) or there.names
