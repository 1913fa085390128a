"""What a walk shows: figure and film of the images that are decoded, plot and table of the classes predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ..figures.animation import save_animation, there_and_back, tile
from ..figures.grids import image_grid
from ..figures.plots import plot_walks
from ..interpretation.open_translator import OpenTranslator
from ..progress import Reporter
from .walk_paths import Walks

__all__ = ["class_rows", "class_values", "flip_rate", "save_film", "walk_figure", "walk_plot"]

SMALLEST_IN_FILM, SMALLEST_ALONE = 128, 256
# Strengths written below a plot, from end to end.
TICKS = 7


def walk_figure(opened: OpenTranslator, walks: Walks, report: Reporter) -> np.ndarray:
    """Draw one row per walk, between the inputs; of linear walks the interpretable one above the latent one.

    A grid is drawn as it is, without its inputs. Returns uint8 (H, W, 3).
    """
    decoded = _decoded(opened, walks.z, report)
    if walks.is_grid:
        return image_grid(next(iter(decoded.values())).swapaxes(0, 1))
    rows, labels, gaps = [], [], []
    for index in range(len(walks.starts)):
        for kind, images in decoded.items():
            row = [walks.starts.pixels[index][None], images[:, index]]
            row += [walks.ends.pixels[index][None]] if walks.ends is not None else []
            rows.append(np.concatenate(row))
            labels.append(kind if len(decoded) > 1 else "")
        gaps.append(len(rows) - 1)
    steps = len(next(iter(decoded.values())))
    points = [_signed(value) for value in walks.strengths] or [str(step) for step in range(steps)]
    columns = ["target", *points, "source"] if walks.ends is not None else ["input", *points]
    wide = (0, steps) if walks.ends is not None else (0,)
    return image_grid(np.stack(rows), labels if len(decoded) > 1 else (), columns, gaps, wide)


def save_film(path: Path, opened: OpenTranslator, walks: Walks, report: Reporter) -> None:
    """Write the walks side by side as an animation: there and back, or round and round the edge of a grid."""
    decoded = np.stack(list(_decoded(opened, walks.film, report).values()))
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


def class_values(opened: OpenTranslator, walks: Walks, report: Reporter) -> dict[str, Tensor]:
    """Return the class log-probabilities (steps, B, classes) along each kind of walk."""
    return {kind: opened.network.answers(z.flatten(0, 1), report).view(*z.shape[:2], -1) for kind, z in walks.z.items()}


def walk_plot(values: dict[str, Tensor], walks: Walks, classes: Sequence[str], title: str) -> Figure:
    """Plot class log-probabilities, one panel per walk; along an attribute over its strength."""
    panels = [
        (f"{Path(walks.starts.names[index]).name}: {kind} walk", of_kind[:, index].numpy())
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


def class_rows(values: dict[str, Tensor], walks: Walks, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row for every point of every walk: what is predicted, with all log-probabilities."""
    return [
        {
            "start": walks.starts.names[index],
            "walk": kind,
            "step": step,
            **({"strength": walks.strengths[step]} if walks.strengths else {}),
            "predicted": classes[int(row.argmax())],
            "log_probability": by_class(row, classes),
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


def _decoded(opened: OpenTranslator, z: dict[str, Tensor], report: Reporter) -> dict[str, np.ndarray]:
    """Decode (steps, B, N) of each kind to uint8 (steps, B, S, S, 3)."""
    size = opened.backbone.image_size
    return {
        kind: opened.network.draw(points.flatten(0, 1), report).reshape(*points.shape[:2], size, size, 3)
        for kind, points in z.items()
    }


def _frame(images: np.ndarray, kinds: Sequence[str], strength: Sequence[float]) -> np.ndarray:
    """Draw what is seen at one point, images (K, B, S, S, 3)."""
    cells = tile(images)
    rows, columns = cells.shape[:2]
    labels = [kinds[row % len(kinds)] for row in range(rows)] if kinds else ()
    above = [_signed(strength[0]), *[""] * (columns - 1)] if strength else ()
    return image_grid(cells, labels, above, smallest=SMALLEST_ALONE if rows * columns == 1 else SMALLEST_IN_FILM)


def _signed(strength: float) -> str:
    return f"{strength:+.2g}" if strength else "0"
