"""Partial sampling (Fig 15): some factors of z̃ come from images, the others are drawn at random."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UsageError
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.reading import Inputs
from ..translator import edit
from .sampling import Parts

__all__ = ["PartialPrior"]


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
