"""Partial sampling (Fig 15): some factors of z̃ come from images, the others are drawn at random."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UsageError
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.reading import Inputs
from ..translator import edit

__all__ = ["PartialPrior", "Parts", "choose_parts"]


@dataclass(frozen=True)
class Parts:
    """Which factors are drawn, and which image each of the others comes from.

    Attributes:
        varied: factors drawn at random, in the translator's order.
        images: factor -> image, for all other factors.
    """

    varied: tuple[str, ...]
    images: dict[str, Path]


def choose_parts(opened: OpenTranslator, fix: Sequence[tuple[str, Path]], vary: Sequence[str]) -> Parts | None:
    """Say what comes from where; None where nothing is fixed.

    Without `vary` every factor that is not fixed is drawn. With it only the factors in `vary` are; a factor that is
    named in neither comes from the first image.

    Raises UsageError for an unknown factor, one named twice, `vary` without `fix`, and when nothing is left to vary.
    """
    if not fix and not vary:
        return None
    names = opened.factors.names
    for name in (*vary, *(name for name, _ in fix)):
        opened.factors.slice(name)
    if not fix:
        rest = next((name for name in reversed(names) if name not in vary), names[-1])
        raise UsageError(f"--vary {vary[0]}: the rest comes from an image, which is missing: add --fix {rest}=IMAGE")
    fixed = dict(fix)
    if len(fixed) < len(fix):
        raise UsageError(f"--fix: {_twice([name for name, _ in fix])} is named twice; one image for each factor")
    if both := [name for name in vary if name in fixed]:
        raise UsageError(f"{both[0]} is both fixed and varied: leave out --fix {both[0]}=… or --vary {both[0]}")
    varied = tuple(name for name in names if (name in vary if vary else name not in fixed))
    if not varied:
        raise UsageError("--fix names every factor, so that nothing is left to draw: leave one out")
    first = fix[0][1]
    return Parts(varied, {name: fixed.get(name, first) for name in names if name not in varied})


class PartialPrior:
    """z = T⁻¹(z̃), where the varied factors of z̃ are ψ · noise and all others are those of T(E(image)).

    Attributes:
        digests: factor -> sha256 of the pixels that it comes from.

    Raises DataError for a missing or corrupt image, UsageError for a folder.
    """

    name = "translator"

    def __init__(self, opened: OpenTranslator, parts: Parts, truncation: float = 1.0) -> None:
        self.opened, self.parts, self.truncation = opened, parts, truncation
        self.noise_dim = opened.translator.dim
        self.digests: dict[str, str] = {}
        self._fixed = self._read(parts.images).to(opened.device)

    def draw(self, noise: Tensor) -> Tensor:
        """T⁻¹ of the fixed factors and ψ · noise."""
        z_tilde = self._fixed.expand(len(noise), -1)
        drawn = edit.redraw(z_tilde, self.truncation * noise, self.opened.factors, self.parts.varied)
        return self.opened.translator.inverse(drawn)

    def _read(self, images: Mapping[str, Path]) -> Tensor:
        """Return z̃ (1, N) with each fixed factor from its image; what varies is 0."""
        z_tilde = torch.zeros(1, self.noise_dim)
        known: dict[Path, tuple[Tensor, str]] = {}
        for factor, path in images.items():
            if path not in known:
                known[path] = self._encode(factor, path)
            of_image, self.digests[factor] = known[path]
            z_tilde = edit.swap(z_tilde, of_image, self.opened.factors, [factor])
        return z_tilde

    def _encode(self, factor: str, path: Path) -> tuple[Tensor, str]:
        if path.expanduser().is_dir():
            raise UsageError(f"--fix {factor}={path} is a folder: name one image")
        network = self.opened.require_network()
        pixels = Inputs.of_files(network, [path]).pixels
        z_tilde = self.opened.transform(network.encode_pixels(pixels))
        return z_tilde, hashlib.sha256(pixels.tobytes()).hexdigest()


def _twice(names: Sequence[str]) -> str:
    return next(name for name in names if names.count(name) > 1)
