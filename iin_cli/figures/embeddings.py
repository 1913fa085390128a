"""Maps of embedded images: dots coloured by a label, walks drawn in (Fig 10), factor against factor (Fig 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .canvas import new_figure
from .palette import CATEGORIES, MAIN, SCALE, shaded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "NAMED_LABELS",
    "Coloring",
    "Plane",
    "by_color",
    "by_label",
    "by_number",
    "frame_plane",
    "plain",
    "plot_planes",
    "plot_walks_on_map",
]

# More colours cannot be told apart; further labels are grey. The second half differs in its marks, too.
NAMED_LABELS = 2 * len(CATEGORIES)
MARKS = ("o", "^")
GREY = (0.8, 0.8, 0.8)
PANEL_INCHES = 3.0
MOST_COLUMNS = 10
LONGEST_NAME = 14
# A dot is an outlier beyond `FAR` times the interquartile range, if more than `MOST` of the dots are not.
FAR, MOST = 8.0, 0.9


@dataclass(frozen=True)
class Coloring:
    """Colours of M dots.

    Attributes:
        title: what the colours show.
        colors: (M, 3) in [0, 1].
        key: (name, colour) of every label that has a colour of its own.
        span: lowest and highest number, the ends of the colour scale; None for labels.
        marks: (M,) the number of each dot's mark in `MARKS`; None where all are round.
        key_marks: the same of every label in `key`; () where all are round.
    """

    title: str
    colors: np.ndarray
    key: tuple[tuple[str, tuple[float, float, float]], ...] = ()
    span: tuple[float, float] | None = None
    marks: np.ndarray | None = None
    key_marks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plane:
    """M dots in the plane: `points` (M, 2), the names of its two `axes`, and a title."""

    points: np.ndarray
    axes: tuple[str, str]
    title: str = ""


def plain(count: int) -> Coloring:
    """Give `count` dots one colour, for images without a label."""
    from matplotlib.colors import to_rgb

    return Coloring("no label", np.tile(to_rgb(MAIN), (count, 1)))


def by_color(title: str, colors: np.ndarray) -> Coloring:
    """Give every dot the colour (M, 3) in [0, 1] that its image has."""
    return Coloring(title, np.clip(np.asarray(colors, np.float64), 0, 1))


def by_number(title: str, values: np.ndarray) -> Coloring:
    """Colour dots by measurements (M,)."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    low, high = float(np.min(values)), float(np.max(values))
    return Coloring(title, colormaps[SCALE](Normalize(low, high)(values))[:, :3], span=(low, high))


def by_label(title: str, values: np.ndarray, names: Sequence[str] | None = None) -> Coloring:
    """Colour dots by labels int64 (M,); the 20 most frequent have a colour, the others are grey.

    Args:
        names: names[v] is the name of label v; None shows the number itself.
    """
    found, counts = np.unique(values, return_counts=True)
    shown = np.sort(found[np.argsort(-counts, kind="stable")[:NAMED_LABELS]])
    # Chosen by the label's number, so that a class keeps its colour from one figure to the next.
    places = {int(label): int(label) % NAMED_LABELS for label in shown}
    if len(set(places.values())) < len(places):
        places = {int(label): place for place, label in enumerate(shown)}
    colors = {label: shaded(place) for label, place in places.items()}
    mark_of = {label: place // len(CATEGORIES) for label, place in places.items()}
    key = tuple((str(names[label]) if names is not None else str(label), color) for label, color in colors.items())
    if len(shown) < len(found):
        key += ((f"{len(found) - len(shown)} others", GREY),)
    dots = np.array([colors.get(int(value), GREY) for value in values]).reshape(-1, 3)
    if not any(mark_of.values()):
        return Coloring(title, dots, key)
    marks = np.array([mark_of.get(int(value), 0) for value in values])
    return Coloring(title, dots, key, marks=marks, key_marks=(*mark_of.values(), *[0] * (len(key) - len(mark_of))))


def plot_planes(planes: Sequence[Plane], colorings: Sequence[Coloring], title: str) -> Figure:
    """Draw every plane in every colouring: one row per plane, one column per colouring."""
    figure, axes = _page(len(planes), len(colorings), title)
    for row, plane in zip(axes, planes, strict=True):
        for panel, coloring in zip(row, colorings, strict=True):
            _dots(panel, plane, coloring)
            panel.set_title(f"{plane.title}\ncolour: {coloring.title}".strip(), fontsize="small")
    for column, coloring in enumerate(colorings):
        _explain_colors(figure, list(axes[:, column]), coloring, axes[-1, column])
    return figure


def plot_walks_on_map(plane: Plane, coloring: Coloring, walks: Sequence[tuple[str, np.ndarray]], title: str) -> Figure:
    """Draw the map once per walk (title, points (steps, 2)): crosses joined by grey lines, a ring where it starts."""
    columns = min(3, len(walks))
    figure, axes = _page(-(-len(walks) // columns), columns, title)
    panels = list(axes.flat)
    # One frame for all panels, since they are compared, and walks may go beyond the images.
    everything = replace(plane, points=np.concatenate((plane.points, *(path for _, path in walks))))
    for panel, (name, path) in zip(panels, walks, strict=False):
        _dots(panel, plane, coloring, everything)
        panel.plot(*path.T, color="0.35", linewidth=0.8, marker="x", markersize=4, markeredgecolor="black")
        panel.scatter(*path[0], s=90, facecolors="none", edgecolors="black", linewidths=1.8, zorder=3)
        panel.set_title(name, fontsize="small")
    for panel in panels[len(walks) :]:
        panel.set_axis_off()
    _explain_colors(figure, panels, coloring)
    return figure


def frame_plane(panel: Axes, plane: Plane, margin: float = 0.05) -> None:
    """Name the axes of a panel and frame the dots; a few outliers are counted instead of squeezing all others."""
    lower, middle, upper = np.quantile(plane.points, (0.25, 0.5, 0.75), axis=0)
    near = np.abs(plane.points - middle) <= FAR * np.maximum(upper - lower, 1e-12)
    near = near.all(1) if near.all(1).mean() > MOST else np.ones(len(near), bool)
    low, high = plane.points[near].min(0), plane.points[near].max(0)
    room = margin * np.maximum(high - low, 1e-6)
    # Coordinates on a map have no meaning, only neighbourhoods do: no ticks.
    panel.set(xlabel=plane.axes[0], ylabel=plane.axes[1], xticks=[], yticks=[])
    panel.set(xlim=(low[0] - room[0], high[0] + room[0]), ylim=(low[1] - room[1], high[1] + room[1]))
    if not near.all():
        beyond = f"{(~near).sum()} outside the frame"
        panel.text(0.99, 0.01, beyond, transform=panel.transAxes, ha="right", va="bottom", fontsize="small")


def _page(rows: int, columns: int, title: str) -> tuple[Figure, np.ndarray]:
    figure = new_figure(PANEL_INCHES * columns + 0.4, PANEL_INCHES * rows + 0.9)
    figure.suptitle(title)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _dots(panel: Axes, plane: Plane, coloring: Coloring, framed: Plane | None = None) -> None:
    size = float(np.clip(8_000 / max(1, len(plane.points)), 4, 30))
    marks = np.zeros(len(plane.points), int) if coloring.marks is None else coloring.marks
    for number in np.unique(marks):
        own = marks == number
        panel.scatter(*plane.points[own].T, s=size, c=coloring.colors[own], marker=MARKS[number], linewidths=0)
    frame_plane(panel, framed or plane)


def _explain_colors(figure: Figure, panels: Sequence[Axes], coloring: Coloring, under: Axes | None = None) -> None:
    """Put the legend, or the colour scale, below `panels`: below the panel `under`, else below the whole figure."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.lines import Line2D

    if coloring.span is not None:
        scale = ScalarMappable(Normalize(*coloring.span), SCALE)
        figure.colorbar(scale, ax=list(panels), location="bottom", shrink=0.7, label=coloring.title)
    elif coloring.key:
        marks = coloring.key_marks or [0] * len(coloring.key)
        dots = [
            Line2D([], [], linestyle="", marker=MARKS[mark], color=color)
            for mark, (_, color) in zip(marks, coloring.key, strict=True)
        ]
        names = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name, _ in coloring.key]
        # Wide enough for a letter of the small font, and for a dot with its gaps.
        width = 0.075 * max(map(len, names)) + 0.45
        most = max(1, min(MOST_COLUMNS, int((PANEL_INCHES if under else figure.get_figwidth()) / width)))
        rows = -(-len(names) // most)
        columns = -(-len(names) // rows)
        # A legend is filled column by column, and read row by row.
        order = [place for first in range(columns) for place in range(first, len(names), columns)]
        dots, names = [dots[place] for place in order], [names[place] for place in order]
        legend = {"ncols": columns, "frameon": False, "fontsize": "small", "columnspacing": 1}
        if under:
            under.legend(dots, names, loc="upper center", bbox_to_anchor=(0.5, -0.1), **legend)
        else:
            figure.legend(dots, names, loc="outside lower center", **legend)
