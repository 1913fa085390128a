"""Frames of an animation: dots or small pictures that move over a plane, all other dots pale behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image, ImageDraw

from .canvas import letters, new_figure
from .embeddings import Plane, by_label, frame_plane

__all__ = ["Scene", "draw_frame"]

INCHES, DPI = 6.0, 100
PICTURE_SIDE = 40
DOT_RADIUS = 6
CAPTION_SIZE = 15
PALE = 0.75


@dataclass(frozen=True)
class Scene:
    """The background of all frames, and the pictures or dots that move over it.

    Attributes:
        background: the plane with all dots, uint8 (H, W, 3).
        to_pixels: scale (2,) and shift (2,): pixel = point of the plane · scale + shift.
        pictures: uint8 (frames, B, S, S, 3), or None.
        colors: the moving dots' colours, (frames, B, 3) in [0, 1], or None.
    """

    background: np.ndarray
    to_pixels: tuple[np.ndarray, np.ndarray]
    pictures: np.ndarray | None = None
    colors: np.ndarray | None = None

    @classmethod
    def of_pictures(cls, plane: Plane, pictures: np.ndarray) -> Self:
        """Make a scene of pictures uint8 (frames, B, S, S, 3) that move over grey dots."""
        return cls(*_background(plane, np.full((len(plane.points), 3), 0.6)), pictures=pictures)

    @classmethod
    def of_labels(cls, plane: Plane, behind: np.ndarray, moving: np.ndarray) -> Self:
        """Make a scene of dots labelled `moving` (frames, B) over the plane's own, labelled `behind` (M,).

        A label has the same colour in all frames.
        """
        colors = by_label("", np.concatenate((behind, moving.flatten()))).colors
        own, others = colors[: len(behind)], colors[len(behind) :]
        return cls(*_background(plane, own), colors=others.reshape(*moving.shape, 3))


def draw_frame(scene: Scene, number: int, points: np.ndarray, caption: str) -> np.ndarray:
    """Draw frame `number` with its moving pictures or dots at `points` (B, 2); returns uint8 (H, W, 3)."""
    page = Image.fromarray(scene.background)
    pen = ImageDraw.Draw(page)
    pen.text((page.width // 2, 8), caption, fill="black", font=letters(CAPTION_SIZE), anchor="ma")
    scale, shift = scene.to_pixels
    for index, (x, y) in enumerate((points * scale + shift).round().astype(int).tolist()):
        if scene.pictures is not None:
            picture = Image.fromarray(scene.pictures[number, index]).resize((PICTURE_SIDE, PICTURE_SIDE))
            page.paste(picture, (x - PICTURE_SIDE // 2, y - PICTURE_SIDE // 2))
        elif scene.colors is not None:
            fill = tuple((scene.colors[number, index] * 255).round().astype(int).tolist())
            box = (x - DOT_RADIUS, y - DOT_RADIUS, x + DOT_RADIUS, y + DOT_RADIUS)
            pen.ellipse(box, fill=fill, outline="black")
    return np.asarray(page)


def _background(plane: Plane, colors: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Draw the plane's dots in pale colours; returns the page and `to_pixels`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = new_figure(INCHES, INCHES, layout=None, dpi=DPI)
    panel = figure.add_axes((0.08, 0.08, 0.88, 0.84))
    panel.scatter(*plane.points.T, s=10, c=PALE + (1 - PALE) * colors, linewidths=0)
    frame_plane(panel, plane, 0.08)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    background = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    zero, one = panel.transData.transform([(0.0, 0.0), (1.0, 1.0)])
    # Matplotlib counts rows from the bottom.
    flip = np.array([1.0, -1.0])
    return background, ((one - zero) * flip, zero * flip + np.array([0.0, background.shape[0]]))
