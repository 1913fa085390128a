"""Plots of class log-probabilities along walks, drawn without a display or any global state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .canvas import new_figure
from .palette import CATEGORIES, OTHERS, category

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_walks"]

# More lines cannot be told apart; the other classes are drawn grey.
NAMED_CLASSES = len(CATEGORIES)


def plot_walks(
    walks: Sequence[tuple[str, np.ndarray]], classes: Sequence[str], columns: int = 2, title: str | None = None
) -> Figure:
    """Draw the class log-probabilities along walks, one panel per walk; the strip below shows the predicted class.

    Args:
        walks: (title, log-probabilities (steps, classes)) of each panel.
        classes: class names.
        columns: panels side by side.
        title: heading of the whole figure.
    """
    columns = min(columns, len(walks))
    rows = -(-len(walks) // columns)
    figure = new_figure(3.3 * columns + 1.2, 2.0 * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flatten()
    named = _most_probable([values for _, values in walks])
    for panel, (name, values) in zip(axes, walks, strict=False):
        _panel(panel, name, values, named, classes)
    for panel in axes[len(walks) :]:
        panel.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize="small", title="class")
    if title:
        figure.suptitle(title)
    return figure


def _most_probable(walks: Sequence[np.ndarray]) -> list[int]:
    highest = np.concatenate(list(walks)).max(0)
    return sorted(np.argsort(-highest, kind="stable")[:NAMED_CLASSES].tolist())


def _panel(panel: Axes, name: str, values: np.ndarray, named: list[int], classes: Sequence[str]) -> None:
    steps = np.arange(len(values))
    rest = np.delete(values, named, axis=1)
    if rest.size:
        from matplotlib.collections import LineCollection

        # One artist for all of them: a thousand separate lines would take most of the command's time.
        paths = np.stack(np.broadcast_arrays(steps, rest.T), axis=2)
        panel.add_collection(LineCollection(list(paths), colors=OTHERS, linewidths=0.8), autolim=True)
    for place, index in enumerate(named):
        panel.plot(steps, values[:, index], color=category(place), linewidth=1.2, label=str(classes[index]))
    predicted = values.argmax(1)
    colors = [category(named.index(index)) if index in named else OTHERS for index in predicted]
    # Axes coordinates keep the strip at the bottom edge, whatever the range of the values.
    heights = np.full(len(steps), 0.02)
    panel.scatter(steps, heights, c=colors, marker="s", s=10, transform=panel.get_xaxis_transform(), clip_on=False)
    panel.set_title(name, fontsize="small")
    panel.set_xlabel("step")
    panel.set_ylabel("log p(class)")
    panel.label_outer()
    panel.margins(x=0.02)
