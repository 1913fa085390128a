"""Find the smallest edits with which images are called another class, and write JSON and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...distributed import choose_device
from ...figures.saving import save_figure
from ...interpretation.data_choice import DataChoice
from ...interpretation.opening import open_network, open_translator
from ...interpretation.reading import ChosenData
from ...io.output import Figures, Output
from ...measures.counterfactuals.counterfactuals import find_counterfactuals
from ...measures.counterfactuals.results import CounterfactualResult
from ...measures.counterfactuals.saying import Saying
from ...measures.explanation.library import LibraryChoice
from ...progress import Reporter, Silent

__all__ = ["Aim", "find_ways"]

# Real images of the split that say what is likely.
REAL = 1000
# Images of which each has a figure; of more there is the matrix alone.
MOST_FIGURES = 20
MATRIX = "borders"


@dataclass(frozen=True)
class Aim:
    """Classes to be said, the factors to edit (all where none is named), and who looks at drawn images."""

    targets: tuple[str, ...]
    factors: tuple[str, ...] = ()
    oracle: Path | None = None


def find_ways(
    translator: Path,
    choice: DataChoice,
    aim: Aim,
    library: LibraryChoice,
    images: Sequence[Path] = (),
    out: Path | None = None,
    *,
    backbone: Path | None = None,
    device: str = "auto",
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> CounterfactualResult:
    """Find for images the smallest edit of each factor with which a class is said.

    Args:
        choice: the data; without `images`, `choice.n` of them are taken.
        library: among which training images those nearest to an edit are searched.
        images: files or folders.
        out: a new folder (`explain.json`, a figure per image, `borders.png`), or a new `.json`.

    Results so far are saved after every few images. Raises UsageError, DataError and CheckpointError.
    """
    report = report or Silent()
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    judge = None if aim.oracle is None else open_network(str(aim.oracle), opened.device, report=report)
    opened.choose_factors(aim.factors)
    Saying.of(opened, judge).numbers(aim.targets)
    data = ChosenData(opened, choice, report)

    def work() -> CounterfactualResult:
        inputs = data.starts(images, choice.n)
        reading = data.read(min(REAL, len(data.split_items())))
        with Output.open(out, "explain-target", (".json",), "an explanation", figures) as output:

            def save(found: CounterfactualResult) -> None:
                output.write_json("explain.json", replace(found, out=str(output.path)).as_dict())

            result = find_counterfactuals(
                library.open(data), reading, inputs, aim.targets, aim.factors, judge, report, save
            )
            result = replace(result, out=str(output.path), figures=_draw(result, output))
            save(result)
        if not result.found:
            report.note("nothing to search: each image is called the target already")
        return result

    return data.lead(work, judge, bare=lambda found: replace(found, looks=()))


def _draw(result: CounterfactualResult, output: Output) -> tuple[str, ...]:
    """Draw a figure of each image where there are few, and the matrix of the borders; return the files' names."""
    count, figures = len(result.found), []
    for number in range(count if count <= MOST_FIGURES else 0):
        if (file := output.figure("explain" if count == 1 else f"explain-{number:03d}")) is not None:
            save_figure(file, result.plot(number), output.figures.dpi)
            figures.append(file.name)
    if count > 1 and (file := output.figure(MATRIX)) is not None:
        save_figure(file, result.plot_borders(), output.figures.dpi)
        figures.append(file.name)
    return tuple(figures)
