"""The colours of all figures: told apart by people who see no red, no green or no blue, and on a grey print in part.

The ten categories are Petroff's (2021, "Accessible color sequences for data visualization", arXiv:2107.02270).
"""

from __future__ import annotations

__all__ = ["CATEGORIES", "CONTROL", "GAIN", "LOSS", "MAIN", "OTHERS", "SCALE", "SHADES", "category", "shaded"]

CATEGORIES = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
# What a figure is about, and what it is compared with.
MAIN = CATEGORIES[0]
CONTROL = "0.65"
# Changes up and down.
GAIN = CATEGORIES[0]
LOSS = CATEGORIES[6]
# All that have no colour of their own.
OTHERS = "0.8"
# Matplotlib's maps for numbers in any range, and for numbers from 0 to 1 with text on them; light to dark in both.
SCALE = "viridis"
SHADES = "Blues"


# What the second ten categories keep of the light of the first.
SHADED = 0.55


def category(number: int) -> str:
    """Return the colour of category `number`; they begin again after ten."""
    return CATEGORIES[number % len(CATEGORIES)]


def shaded(number: int) -> tuple[float, float, float]:
    """Return the colour of category `number` in [0, 1]; the second ten are dark shades of the first."""
    red, green, blue = (int(CATEGORIES[number % len(CATEGORIES)][place : place + 2], 16) / 255 for place in (1, 3, 5))
    light = 1.0 if number // len(CATEGORIES) % 2 == 0 else SHADED
    return red * light, green * light, blue * light
