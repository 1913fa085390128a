"""Measure how much a network's answer depends on each factor, and write figures, JSON and single points."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ...distributed import choose_device
from ...errors import UsageError
from ...figures.saving import save_figure
from ...interpretation.data_choice import DataChoice
from ...interpretation.factor_concepts import given_concepts
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData, Reading
from ...io.output import Figures, Output
from ...measures.responses.measure import TakeWalks, measure_responses, usual_images
from ...measures.responses.results import RespondResult
from ...measures.responses.walks import TakeAnswers, WalkDesign
from ...progress import Reporter, Silent

__all__ = ["respond"]


def respond(
    translator: Path,
    choice: DataChoice,
    design: WalkDesign,
    out: Path | None = None,
    *,
    raw: bool = False,
    concepts: Sequence[str] = (),
    backbone: Path | None = None,
    device: str = "auto",
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> RespondResult:
    """Let each factor of many images wander, all else fixed, and measure what the network then answers.

    Args:
        choice: the start images, `choice.n` of them; all where there are fewer, None takes `usual_images`.
        design: of the walks and the controls beside them.
        out: a new folder, or a new `.png` or `.json`.
        raw: write every point's log-probabilities as `respond.csv` too.
        concepts: `NAME[:ARGUMENT]` of concepts that the name of their factor does not say.

    The JSON is written after every factor. A factor that cannot be measured is recorded in `failed`; its error is
    raised only where none can be measured. Raises UsageError, DataError and CheckpointError.
    """
    report = report or Silent()
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    opened.require_network().require_head()
    data = ChosenData(opened, choice, report)

    def work() -> RespondResult:
        opened.choose_factors(design.walk.factors)
        given = given_concepts(concepts, opened.factors)
        if raw and not data.network.answer.names:
            raise UsageError("--raw writes log-probabilities, and this backbone draws images: leave it out")
        label = "-".join(["respond", *design.walk.factors])
        with Output.open(out, label, (".png", ".json"), "a figure or its figures as JSON", figures) as output:
            if raw and output.is_file:
                raise UsageError(f"--raw writes respond.csv beside the rest: --out {output.path} must be a folder then")
            reading = data.read(choice.n or usual_images(data.network))

            def save(found: RespondResult) -> None:
                output.write_json("respond.json", replace(found, out=str(output.path)).as_dict())

            with _points_table(output.path / "respond.csv" if raw else None, reading) as rows:
                result = measure_responses(reading, design, report, save, rows, given)
            if (file := output.figure("respond")) is not None:
                save_figure(file, result.plot(), output.figures.dpi)
        return replace(result, out=str(output.path))

    return data.lead(work)


@contextmanager
def _points_table(file: Path | None, reading: Reading) -> Iterator[TakeWalks | None]:
    """Yield what adds a factor's points to a table, row by row: an interrupted run leaves those measured so far."""
    if file is None:
        yield None
        return
    classes = reading.network.classes
    with file.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text, lineterminator="\n")
        columns = ["factor", "control", "item", "point", "predicted"]
        writer.writerow(columns + [f"log_probability.{name}" for name in classes])

        def rows(name: str, number: int | None) -> TakeAnswers:
            def write(first: int, answers: Tensor) -> None:
                for image, points in enumerate(answers, first):
                    start = [name, "" if number is None else number, int(reading.items[image])]
                    for point, values in enumerate(points, 1):
                        writer.writerow([*start, point, classes[int(values.argmax())], *values.tolist()])

            return write

        yield rows
