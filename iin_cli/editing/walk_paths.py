"""Where a walk goes: latents z along lines (Fig 4), at random (Eq 17), along an attribute (Eq 14), over a grid (Fig 7).

A path has the points of the figure and, where a film is wanted, the points of the film: more of them, lest it jerk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from torch import Tensor

from ..distributed import noise
from ..errors import UsageError
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.reading import Inputs
from ..translator import edit

__all__ = [
    "INTERPRETABLE",
    "LATENT",
    "Center",
    "Walks",
    "attribute_walks",
    "corner_grid",
    "linear_walks",
    "walk_noise",
    "wandering_walks",
]

Center = Literal["origin", "input"]
# What a walk is called in figures and tables.
INTERPRETABLE = "interpretable"
LATENT = "latent"
FILM_POINTS = 25


@dataclass(frozen=True)
class Walks:
    """Latents along B walks.

    Attributes:
        z: kind of walk -> (steps, B, N); of a grid (columns, rows, N).
        starts, ends: images where the walks begin and end; of a grid `starts` are its corners.
        film: as `z`, the points of an animation; empty where none is wanted.
        strengths: of an attribute walk, the strength at each of the steps; `film_strengths` at each point of the film.
        is_grid: whether `z` is a grid; its film ends where it begins.
    """

    z: dict[str, Tensor]
    starts: Inputs
    ends: Inputs | None = None
    film: dict[str, Tensor] = field(default_factory=dict)
    strengths: tuple[float, ...] = ()
    film_strengths: tuple[float, ...] = ()
    is_grid: bool = False


def linear_walks(
    opened: OpenTranslator, targets: Inputs, sources: Inputs, names: Sequence[str], steps: int, film: bool = False
) -> Walks:
    """Go from each target to its source, in z̃ and, between the same ends, in z (Fig 4)."""
    if len(targets) != len(sources):
        raise UsageError(f"{len(targets)} targets and {len(sources)} sources make no pairs: give as many of each")
    z_tilde = opened.transform(opened.network.encode_pixels(targets.pixels))
    z_tilde_source = opened.transform(opened.network.encode_pixels(sources.pixels))
    end = edit.swap(z_tilde, z_tilde_source, opened.factors, names)

    def both(points: int) -> dict[str, Tensor]:
        interpretable = opened.inverse_transform(edit.linear_walk(z_tilde, end, points))
        return {INTERPRETABLE: interpretable, LATENT: edit.linear_walk(interpretable[0], interpretable[-1], points)}

    return Walks(both(steps), targets, sources, both(_film_points(steps)) if film else {})


def wandering_walks(
    opened: OpenTranslator,
    targets: Inputs,
    names: Sequence[str],
    steps: int,
    seed: int,
    gamma: float,
    sigma: float | None,
    center: Center,
    film: bool = False,
) -> Walks:
    """Let the factors `names` of each target wander (Eq 17); its film has no points between the steps."""
    if steps < 2:
        raise UsageError(f"a walk needs at least 2 steps, got {steps}")
    z_tilde = opened.transform(opened.network.encode_pixels(targets.pixels))
    kicks = walk_noise(range(seed, seed + len(targets)), steps, opened.translator.dim)
    walked = edit.OUWalk(z_tilde, opened.factors, names, kicks, gamma, sigma, center == "input")
    z = {INTERPRETABLE: opened.inverse_transform(walked)}
    return Walks(z, targets, film=z if film else {})


def attribute_walks(
    opened: OpenTranslator, targets: Inputs, axis: Tensor, strength: tuple[float, float], steps: int, film: bool = False
) -> Walks:
    """Take the attribute of Eq 14's `axis` (N,) from each target or add it, at strengths from one end to the other."""
    z_tilde = opened.transform(opened.network.encode_pixels(targets.pixels))

    def along(strengths: Sequence[float]) -> dict[str, Tensor]:
        return {INTERPRETABLE: opened.inverse_transform(edit.attribute_walk(z_tilde, axis, strengths))}

    strengths, between = _strengths(strength, steps), _strengths(strength, _film_points(steps)) if film else ()
    return Walks(along(strengths), targets, None, along(between) if film else {}, strengths, between)


def corner_grid(opened: OpenTranslator, corners: Inputs, names: Sequence[str], steps: int, film: bool = False) -> Walks:
    """Spread the factors `names` bilinearly in z̃ between four images; all else stays the first's (Fig 7).

    Linear rather than spherical, as in the paper. The film goes round the grid's edge.
    """
    if len(corners) != 4:
        raise UsageError(
            f"a grid has four corners, and --target gives {len(corners)}: "
            "name four images, or none to have them drawn from the data"
        )
    z_tilde = opened.transform(opened.network.encode_pixels(corners.pixels))
    z_tilde = edit.swap(z_tilde[:1].expand(4, -1), z_tilde, opened.factors, names)
    grid = edit.bilinear_grid(z_tilde, steps).transpose(0, 1)
    z = {INTERPRETABLE: opened.inverse_transform(grid.contiguous())}
    if not film:
        return Walks(z, corners, is_grid=True)
    # Clockwise; each side leaves its last corner to the next one.
    round_trip = z_tilde[[0, 1, 3, 2, 0]]
    sides = edit.linear_walk(round_trip[:-1], round_trip[1:], FILM_POINTS)[:-1]
    tour = sides.transpose(0, 1).flatten(0, 1)[:, None]
    return Walks(z, corners, film={INTERPRETABLE: opened.inverse_transform(tour)}, is_grid=True)


def walk_noise(seeds: Sequence[int], steps: int, dim: int, walks: int = 1) -> Tensor:
    """W of Eq 17 for `walks` walks of `steps` points from each seed: (steps − 1, B · walks, dim).

    Each seed's is its own, so that the walks of an image do not depend on those beside it.
    """
    kicks = noise(seeds, walks * (steps - 1) * dim)
    return kicks.view(len(seeds) * walks, steps - 1, dim).transpose(0, 1)


def _film_points(steps: int) -> int:
    return max(steps, FILM_POINTS)


def _strengths(ends: tuple[float, float], points: int) -> tuple[float, ...]:
    # Rounded, since the middle of -3..3 is meant to be 0 and not 1e-16.
    return tuple(np.linspace(*ends, points).round(12).tolist())
