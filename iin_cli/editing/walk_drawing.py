"""What a walk shows: figure and film of the images drawn, or plot and table of the classes predicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ..errors import UsageError
from ..figures.animation import FORMATS, require_format, save_animation, there_and_back, tile
from ..figures.grids import Sheet
from ..figures.plots import plot_walks
from ..interpretation.answers import Answer
from ..interpretation.network import Network
from ..io.output import PICTURES
from ..progress import Reporter
from .walk_paths import WalkMode, Walks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FILES", "class_rows", "film_format", "flip_rate", "save_film", "walk_plot", "walk_sheet"]

# What the network answers with -> endings of the files that can hold a walk, and what such a file is.
FILES = {
    "images": ((".png", *(f".{name}" for name in FORMATS)), "a figure or an animation"),
    "classes": ((".png", ".json", ".csv"), "a plot or a table"),
}
SMALLEST_IN_FILM, SMALLEST_ALONE = 128, 256
# Letters of an image's name beside its walk, where a kind is named, too.
LONGEST_NAME = 12
# Strengths written below a plot, from end to end.
TICKS = 7


def film_format(network: Network, mode: WalkMode, out: Path | None, animate: str | None) -> str | None:
    """Return the format of the film to write, None for none. UsageError for a film or a walk that cannot be shown."""
    ending = out.suffix.lower().removeprefix(".") if out is not None and not out.is_dir() else ""
    if not any(f".{name}" in FILES[network.answer.kind][0] for name in FORMATS):
        who = f"{network.name} is a classifier"
        if mode.draws:
            raise UsageError(f"{who} and draws no images for a {mode.name}: use --mode linear, ou or attribute")
        if animate is not None or ending in FORMATS:
            raise UsageError(f"{who}, whose walk is a plot and a table: no animation is made of it")
        return None
    if animate is not None and (ending in FORMATS or f".{ending}" in PICTURES):
        raise UsageError(f"--out {out} says what is written: leave --animate out, or name a folder for figure and film")
    film = None if f".{ending}" in PICTURES else ending if ending in FORMATS else animate or FORMATS[0]
    if film is not None:
        require_format(film)
    return film


def walk_sheet(network: Network, walks: Walks, report: Reporter) -> Sheet:
    """Draw one row per walk, between the inputs; of linear walks the interpretable one above the latent one.

    A grid is drawn as it is, without its inputs.
    """
    decoded = _drawn(network, walks.z, report)
    if walks.is_grid:
        return Sheet(next(iter(decoded.values())).swapaxes(0, 1))
    rows, labels, gaps = [], [], []
    for index in range(len(walks.starts)):
        for kind, images in decoded.items():
            row = [walks.starts.pixels[index][None], images[:, index]]
            row += [walks.ends.pixels[index][None]] if walks.ends is not None else []
            rows.append(np.concatenate(row))
            labels.append(_row_label(walks, index, kind if len(decoded) > 1 else ""))
        gaps.append(len(rows) - 1)
    steps = len(next(iter(decoded.values())))
    points = [_signed(value) for value in walks.strengths] or [str(step) for step in range(steps)]
    columns = ["target", *points, "source"] if walks.ends is not None else ["input", *points]
    wide = (0, steps) if walks.ends is not None else (0,)
    return Sheet(np.stack(rows), labels, columns, gaps, wide, column_title=_along(walks))


def save_film(path: Path, network: Network, walks: Walks, report: Reporter) -> None:
    """Write the walks side by side as an animation: there and back, or round and round the edge of a grid."""
    decoded = np.stack(list(_drawn(network, walks.film, report).values()))
    points = decoded.shape[1]
    order, milliseconds = (list(range(points)), [60] * points) if walks.is_grid else there_and_back(points)
    kinds = list(walks.film) if len(walks.film) > 1 else []

    def frames() -> Iterator[np.ndarray]:
        drawn: dict[int, np.ndarray] = {}
        with report.task(f"writing {path.name}", len(order), "frames") as task:
            for point in order:
                if point not in drawn:
                    drawn[point] = _frame(decoded[:, point], kinds, walks.film_strengths[point : point + 1])
                yield drawn[point]
                task.advance()

    save_animation(path, frames(), milliseconds)


def walk_plot(values: Mapping[str, Tensor], walks: Walks, classes: Sequence[str], title: str) -> Figure:
    """Plot class log-probabilities, one panel per walk; along an attribute over its strength.

    Args:
        values: kind of walk -> log-probabilities (steps, B, classes).
    """
    panels = [
        (_row_label(walks, index, f"{kind} walk"), of_kind[:, index].numpy())
        for index in range(len(walks.starts))
        for kind, of_kind in values.items()
    ]
    figure = plot_walks(panels, classes, 2, title)
    if walks.strengths:
        ends = walks.strengths[0], walks.strengths[-1]
        labels = [_signed(value) for value in np.linspace(*ends, TICKS).round(12)]
        for panel in figure.axes:
            panel.set_xticks(np.linspace(0, len(walks.strengths) - 1, TICKS), labels)
            panel.set_xlabel("strength" if panel.get_xlabel() else "")
    return figure


def class_rows(values: Mapping[str, Tensor], walks: Walks, answer: Answer) -> list[dict[str, Any]]:
    """Return one row for every point of every walk: what is predicted, with all log-probabilities."""
    return [
        {
            "start": walks.starts.names[index],
            "walk": kind,
            "step": step,
            **({"strength": walks.strengths[step]} if walks.strengths else {}),
            **answer.row(row),
        }
        for index in range(len(walks.starts))
        for kind, of_kind in values.items()
        for step, row in enumerate(of_kind[:, index])
    ]


def flip_rate(log_probability: Tensor, strengths: Sequence[float] = ()) -> float:
    """Return the fraction of the other points whose class is not that of the walk's first, (steps, B, classes).

    Along an attribute the point of least strength counts as the first.
    """
    predicted = log_probability.argmax(2)
    first = int(np.argmin(np.abs(strengths))) if strengths else 0
    flipped = (predicted != predicted[first : first + 1]).sum().item()
    return flipped / (predicted.shape[1] * (len(predicted) - 1))


def _along(walks: Walks) -> str:
    """Say what the columns of a walk are."""
    if not walks.strengths:
        return "step of the walk"
    return f"strength along {', '.join(part.attribute for part in walks.attributes)}"


def _row_label(walks: Walks, index: int, kind: str) -> str:
    """Name a walk by its ends, and by its kind where there are several; long names make room for it."""
    ends = [walks.starts.captions[index], *([walks.ends.captions[index]] if walks.ends is not None else [])]
    most = LONGEST_NAME // len(ends) if kind else 2 * LONGEST_NAME
    who = " → ".join(end if len(end) <= most else f"…{end[1 - most :]}" for end in ends)
    return f"{who}: {kind}" if kind else who


def _drawn(network: Network, z: Mapping[str, Tensor], report: Reporter) -> dict[str, np.ndarray]:
    """Decode (steps, B, N) of each kind to uint8 (steps, B, S, S, 3)."""
    images = {kind: network.draw(points.flatten(0, 1), report) for kind, points in z.items()}
    return {kind: pixels.reshape(*z[kind].shape[:2], *pixels.shape[1:]) for kind, pixels in images.items()}


def _frame(images: np.ndarray, kinds: Sequence[str], strength: Sequence[float]) -> np.ndarray:
    """Draw what is seen at one point, images (K, B, S, S, 3)."""
    cells = tile(images)
    rows, columns = cells.shape[:2]
    labels = [kinds[row % len(kinds)] for row in range(rows)] if kinds else ()
    above = [_signed(strength[0]), *[""] * (columns - 1)] if strength else ()
    smallest = SMALLEST_ALONE if rows * columns == 1 else SMALLEST_IN_FILM
    return Sheet(cells, labels, above, smallest=smallest).pixels()


def _signed(strength: float) -> str:
    return f"{strength:+.2g}" if strength else "0"
