"""Curves as text, for a terminal or a file of output: one line of blocks, or a chart of some lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["BLOCKS", "MARKS", "PLAIN_BLOCKS", "chart", "sparkline"]

# From low to high; the second for output that has no others.
BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-~=+*#"
# One for each line of a chart; they begin again after the last.
MARKS = "ox+*#%@&"


def sparkline(values: Sequence[float], width: int = 32, blocks: str = BLOCKS) -> str:
    """Return values (M,) in their order as `width` blocks at most, each the mean of those that fall together.

    >>> sparkline([0, 1, 2, 3, 3, 3])
    '▁▃▆███'
    >>> sparkline([5.0, 5.0]), sparkline([])
    ('▁▁', '')
    """
    if not len(values):
        return ""
    means = np.array([part.mean() for part in np.array_split(np.asarray(values, float), min(width, len(values)))])
    low, high = means.min(), means.max()
    heights = (means - low) / (high - low) if high > low else np.zeros(len(means))
    return "".join(blocks[round(height * (len(blocks) - 1))] for height in heights.tolist())


def chart(lines: Sequence[tuple[Sequence[float], Sequence[float]]], width: int = 72, height: int = 12) -> list[str]:
    """Draw lines, each (where (M,), values (M,)), over one frame; line i has the mark MARKS[i], the first on top.

    Returns `height` rows and two more for the frame and its ends.

    >>> for row in chart([([0, 1, 2], [0.0, 1.0, 2.0])], width=16, height=3):
    ...     print(row)
    2 |         oooo
    1 |    ooooo
    0 |oooo
      +-------------
       0           2
    """
    at, values = (np.concatenate([np.asarray(line[part], float) for line in lines]) for part in (0, 1))
    ends = [_number(end) for end in (values.max(), (values.max() + values.min()) / 2, values.min())]
    left = max(map(len, ends))
    room = max(8, width - left - 2)
    page = np.full((height, room), " ")
    for number, (places, heights) in reversed(list(enumerate(lines))):
        columns = np.linspace(at.min(), at.max(), room)
        inside = (columns >= min(places)) & (columns <= max(places))
        rows = _scaled(np.interp(columns, places, heights), values.min(), values.max(), height)
        page[height - 1 - rows[inside], np.flatnonzero(inside)] = MARKS[number % len(MARKS)]
    named = {0: ends[0], (height - 1) // 2: ends[1], height - 1: ends[2]}
    drawn = [f"{named.get(row, ''):>{left}} |{''.join(page[row])}".rstrip() for row in range(height)]
    first, last = _number(at.min()), _number(at.max())
    below = f"{'':>{left}}  {first}{last:>{room - len(first)}}"
    return [*drawn, f"{'':>{left}} +{'-' * room}", below]


def _scaled(values: np.ndarray, low: float, high: float, count: int) -> np.ndarray:
    share = (values - low) / (high - low) if high > low else np.zeros(len(values))
    return np.clip(np.rint(share * (count - 1)), 0, count - 1).astype(int)


def _number(value: float) -> str:
    return f"{value:.4g}"
