"""Explain single images by edits of each factor and by the nearest real images, and write JSON and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...distributed import choose_device
from ...figures.saving import save_figure
from ...interpretation.data_choice import DataChoice
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData
from ...io.output import Figures, Output
from ...measures.explanation.edits import EditChoice
from ...measures.explanation.explain import explain_images
from ...measures.explanation.library import LibraryChoice
from ...measures.explanation.results import ExplainResult
from ...progress import Reporter, Silent

__all__ = ["explain"]


def explain(
    translator: Path,
    choice: DataChoice,
    edits: EditChoice,
    library: LibraryChoice,
    images: Sequence[Path] = (),
    out: Path | None = None,
    *,
    top: int = 5,
    backbone: Path | None = None,
    device: str = "auto",
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> ExplainResult:
    """Change each factor of images many times, and see what is predicted and which real images are nearest.

    Args:
        choice: the data; without `images`, `choice.n` of them are explained.
        edits: how factors are changed.
        library: which training images are compared with.
        images: files or folders to explain.
        out: a new folder (`explain.json`, a figure per image), or a new `.json`, or for one image a `.png`.
        top: classes whose probability is reported.

    Results so far are saved after every image. Raises UsageError, DataError and CheckpointError.
    """
    report = report or Silent()
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    data = ChosenData(opened, choice, report)

    def work() -> ExplainResult:
        opened.choose_factors(edits.factors)
        targets = data.starts(images, choice.n)
        single, drawn = len(targets) == 1, []
        kinds = (".json", ".png") if single else (".json",)
        with Output.open(out, "explain", kinds, "an explanation", figures) as output:

            def placed(found: ExplainResult) -> ExplainResult:
                return replace(found, out=str(output.path), figures=tuple(drawn))

            def save(found: ExplainResult) -> None:
                number = len(found.images) - 1
                if (file := output.figure("explain" if single else f"explain-{number:03d}")) is not None:
                    save_figure(file, found.plot(number), output.figures.dpi)
                    drawn.append(file.name)
                output.write_json("explain.json", placed(found).as_dict())

            return placed(explain_images(library.open(data), targets, edits.open(data), top, report, save))

    return data.lead(work, bare=lambda found: replace(found, looks=()))
