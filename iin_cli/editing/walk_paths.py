"""Where a walk goes: latents z along lines (Fig 4), at random (Eq 17), along an attribute (Eq 14), over a grid (Fig 7).

Each way to walk is an object that checks itself; `go` reads the images where it begins and returns its latents. A path
has the points of the figure and, where a film is wanted, those of the film: more of them, so that it runs smoothly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from ..distributed import noise
from ..errors import UsageError
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.reading import ChosenData, Inputs
from ..translator import edit
from ..translator.edit import OUWalk
from .axes import Axis, AxisPart, FolderAxis, LabelAxis

__all__ = [
    "INTERPRETABLE",
    "LATENT",
    "AttributeWalk",
    "GridWalk",
    "LinearWalk",
    "Mode",
    "WalkMode",
    "Walks",
    "Wandering",
    "walk_noise",
]

Mode = Literal["linear", "ou", "grid", "attribute"]
# What a walk is called in figures and tables.
INTERPRETABLE = "interpretable"
LATENT = "latent"
USUAL_WALKS, CORNERS, FILM_POINTS = 4, 4, 25


@dataclass(frozen=True)
class Walks:
    """Latents along B walks.

    Attributes:
        z: kind of walk -> (steps, B, N); of a grid (columns, rows, N).
        starts, ends: images where the walks begin and end; of a grid `starts` are its corners.
        film: as `z`, the points of an animation; empty where none is wanted.
        strengths: of an attribute walk, the strength at each of the steps; `film_strengths` at each point of the film.
        attributes: what the axis of an attribute walk is made of.
        is_grid: whether `z` is a grid; its film ends where it begins.
    """

    z: dict[str, Tensor]
    starts: Inputs
    ends: Inputs | None = None
    film: dict[str, Tensor] = field(default_factory=dict)
    strengths: tuple[float, ...] = ()
    film_strengths: tuple[float, ...] = ()
    attributes: tuple[AxisPart, ...] = ()
    is_grid: bool = False


@dataclass(frozen=True)
class WalkMode(ABC):
    """One way to walk.

    Attributes:
        factors: those that move; empty means all.
        target: images to begin at; what is not given is drawn from the data.
        steps: points of a walk, at least 2; None takes `usual`, which depends on what the network answers with.
    """

    name: ClassVar[Mode]
    usual: ClassVar[Mapping[str, int]] = {"images": 8, "classes": 50}
    # Whether it can be shown by images alone.
    draws: ClassVar[bool] = False

    factors: tuple[str, ...] = ()
    target: tuple[Path, ...] = ()
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 2:
            raise UsageError(f"a walk needs at least 2 steps, got {self.steps}")

    @property
    def label(self) -> str:
        """What a run folder is called."""
        return "-".join([f"walk-{self.name}", *self.factors])

    def moving(self, opened: OpenTranslator) -> tuple[str, ...]:
        """Return the factors that move. UsageError for one that the translator does not have."""
        if self.factors:
            opened.require_factors(self.factors)
        return self.factors or opened.factors.names

    def points(self, opened: OpenTranslator) -> int:
        """Return how many points a walk has; of a grid, a side."""
        return self.steps or self.usual.get(opened.require_network().answer.kind, self.usual["images"])

    @abstractmethod
    def go(self, data: ChosenData, film: bool = False) -> Walks:
        """Read the images where it begins, and walk; with `film` the points of an animation too."""


@dataclass(frozen=True)
class LinearWalk(WalkMode):
    """From each target to its source, in z̃ and, between the same ends, in z (Fig 4).

    Attributes:
        source: images to end at; what is not given is drawn from the data.
    """

    name: ClassVar[Mode] = "linear"

    source: tuple[Path, ...] = ()

    def go(self, data: ChosenData, film: bool = False) -> Walks:
        """Walk between targets and sources."""
        ends = data.targets_and_sources(self.target, self.source, data.choice.n, USUAL_WALKS)
        return self.between(data.opened, *ends, film)

    def between(self, opened: OpenTranslator, targets: Inputs, sources: Inputs, film: bool = False) -> Walks:
        """Walk from each target to its source. UsageError unless they are equally many."""
        if len(targets) != len(sources):
            raise UsageError(f"{len(targets)} targets and {len(sources)} sources make no pairs: give as many of each")
        start = _z_tilde(opened, targets)
        end = edit.swap(start, _z_tilde(opened, sources), opened.factors, self.moving(opened))

        def both(points: int) -> dict[str, Tensor]:
            interpretable = opened.inverse_transform(edit.linear_walk(start, end, points))
            return {INTERPRETABLE: interpretable, LATENT: edit.linear_walk(interpretable[0], interpretable[-1], points)}

        points = self.points(opened)
        return Walks(both(points), targets, sources, both(_film_points(points)) if film else {})


@dataclass(frozen=True)
class Wandering(WalkMode):
    """The factors of `ou` wander at random (Eq 17), and all others stay; its film has no points between the steps.

    Attributes:
        ou: which factors wander, and how; `steps` decides how far.
    """

    name: ClassVar[Mode] = "ou"

    ou: OUWalk = field(default_factory=OUWalk)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "factors", self.ou.factors)

    def moving(self, opened: OpenTranslator) -> tuple[str, ...]:
        """Return the factors that wander. UsageError where none is named, or an unknown one."""
        opened.require_factors(self.factors)
        return self.factors

    def go(self, data: ChosenData, film: bool = False) -> Walks:
        """Wander from the targets."""
        starts = data.starts(self.target, data.choice.n, USUAL_WALKS)
        return self.wander(data.opened, starts, data.choice.seed, film)

    def wander(self, opened: OpenTranslator, starts: Inputs, seed: int, film: bool = False) -> Walks:
        """Wander from each image; the first takes its noise from `seed`, the next from `seed` + 1."""
        walk = replace(self.ou, steps=self.points(opened))
        kicks = walk_noise(range(seed, seed + len(starts)), walk.steps, opened.factors.dim)
        z = {INTERPRETABLE: opened.inverse_transform(walk.path(_z_tilde(opened, starts), opened.factors, kicks))}
        return Walks(z, starts, film=z if film else {})


@dataclass(frozen=True)
class GridWalk(WalkMode):
    """The factors are spread bilinearly in z̃ between four images; all others stay the first image's (Fig 7).

    Linear rather than spherical, as in the paper. The film goes round the grid's edge.
    """

    name: ClassVar[Mode] = "grid"
    draws: ClassVar[bool] = True

    def go(self, data: ChosenData, film: bool = False) -> Walks:
        """Spread between four targets. UsageError for another number of them."""
        return self.spread(data.opened, data.starts(self.target, CORNERS), film)

    def spread(self, opened: OpenTranslator, corners: Inputs, film: bool = False) -> Walks:
        """Spread between top left, top right, bottom left and bottom right."""
        if len(corners) != CORNERS:
            raise UsageError(
                f"a grid has four corners, and --target gives {len(corners)}: "
                "name four images, or none to have them drawn from the data"
            )
        z_tilde = _z_tilde(opened, corners)
        z_tilde = edit.swap(z_tilde[:1].expand(CORNERS, -1), z_tilde, opened.factors, self.moving(opened))
        grid = edit.bilinear_grid(z_tilde, self.points(opened)).transpose(0, 1)
        z = {INTERPRETABLE: opened.inverse_transform(grid.contiguous())}
        if not film:
            return Walks(z, corners, is_grid=True)
        # Clockwise; each side leaves its last corner to the next one.
        round_trip = z_tilde[[0, 1, 3, 2, 0]]
        sides = edit.linear_walk(round_trip[:-1], round_trip[1:], FILM_POINTS)[:-1]
        tour = sides.transpose(0, 1).flatten(0, 1)[:, None]
        return Walks(z, corners, film={INTERPRETABLE: opened.inverse_transform(tour)}, is_grid=True)


@dataclass(frozen=True, kw_only=True)
class AttributeWalk(WalkMode):
    """The attribute of an axis (Eq 14) is taken from each target or added to it (Fig 8).

    Attributes:
        axis: which images the axis is measured on.
        strength: where the walk begins and ends; 1 adds the whole difference of the two means.

    Raises UsageError unless the strength goes from less to more.
    """

    name: ClassVar[Mode] = "attribute"
    # Odd, so that strength 0 is a point of a range around it.
    usual: ClassVar[Mapping[str, int]] = {"images": 7, "classes": 51}

    axis: LabelAxis | FolderAxis
    strength: tuple[float, float] = (-3.0, 3.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        first, last = self.strength
        if not np.isfinite(self.strength).all() or first >= last:
            raise UsageError(f"--strength {first:g}..{last:g}: it goes from less to more, as -3..3")

    @property
    def label(self) -> str:
        """What a run folder is called: the attributes too."""
        return "-".join([super().label, *(attribute.name for attribute in self.axis.attributes)])

    def go(self, data: ChosenData, film: bool = False) -> Walks:
        """Measure the axis, and walk along it from the targets; errors as the axis raises them."""
        starts = data.starts(self.target, data.choice.n, USUAL_WALKS)
        return self.along(data.opened, starts, self.axis.of(data, self.moving(data.opened)), film)

    def along(self, opened: OpenTranslator, starts: Inputs, axis: Axis, film: bool = False) -> Walks:
        """Walk along `axis` from each image."""
        start, points = _z_tilde(opened, starts), self.points(opened)

        def walked(strengths: Sequence[float]) -> dict[str, Tensor]:
            return {INTERPRETABLE: opened.inverse_transform(edit.attribute_walk(start, axis.vector, strengths))}

        strengths = _strengths(self.strength, points)
        between = _strengths(self.strength, _film_points(points)) if film else ()
        return Walks(walked(strengths), starts, None, walked(between) if film else {}, strengths, between, axis.parts)


def walk_noise(seeds: Sequence[int], steps: int, dim: int, walks: int = 1) -> Tensor:
    """W of Eq 17 for `walks` walks of `steps` points from each seed: (steps − 1, B · walks, dim).

    Each seed has its own noise, so the walks of an image do not depend on those beside it.
    """
    kicks = noise(seeds, walks * (steps - 1) * dim)
    return kicks.view(len(seeds) * walks, steps - 1, dim).transpose(0, 1)


def _z_tilde(opened: OpenTranslator, images: Inputs) -> Tensor:
    return opened.transform(images.latents(opened.require_network()))


def _film_points(steps: int) -> int:
    return max(steps, FILM_POINTS)


def _strengths(ends: tuple[float, float], points: int) -> tuple[float, ...]:
    # Rounded, since the middle of -3..3 is meant to be 0 and not 1e-16.
    return tuple(np.linspace(*ends, points).round(12).tolist())
