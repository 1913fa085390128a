"""Add concepts to a fitted translator: new factors are cut out of its residual, and all others stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from ..errors import DataError, UsageError
from ..interpretation.open_translator import OpenTranslator
from ..io import checkpoint
from ..translator.factors import RESIDUAL, Factors
from ..translator.feature_noise import FeatureNoise
from ..translator.flow import Translator
from ..translator.layers import Layer
from .materials import Material

__all__ = ["Base"]


@dataclass(frozen=True)
class Base:
    """A fitted translator T to which concepts are added.

    What is added is a translator of T's residual alone, behind T: the factors that T has are computed by T, and so are
    the same to the last bit.

    Attributes:
        noise: the feature noise that T was fitted with.
        origin: T's checkpoint, as that of the new translator remembers it.
    """

    opened: OpenTranslator
    noise: FeatureNoise
    origin: dict[str, Any]

    @classmethod
    def of(cls, opened: OpenTranslator) -> Self:
        """Take an open translator. UsageError where its residual has one dimension and nothing can be cut out of it."""
        if opened.factors.dims[RESIDUAL] < 2:
            raise UsageError(f"{opened.called} has a residual of 1 dimension: nothing can be cut out of it")
        path = opened.path
        origin = {} if path is None else {"source": str(path.resolve()), "sha256": checkpoint.digest(path)}
        return cls(opened, opened.noise or FeatureNoise.none(opened.factors.dim), origin)

    @property
    def factors(self) -> Factors:
        """T's factors."""
        return self.opened.factors

    @property
    def noise_fraction(self) -> float:
        """The noise as a fraction of each feature's std, as T's checkpoint says."""
        return (self.opened.metadata.get("training") or {}).get("feature_noise", 0.0) if self.noise else 0.0

    def require_new(self, concepts: Sequence[str]) -> None:
        """Raise UsageError for no concept, and for one that T has already."""
        have = ", ".join(self.factors.names[:-1]) or "none"
        if not concepts:
            raise UsageError(
                f"--from adds concepts to {self.opened.called}, which has {have}: name one, --concept NAME"
            )
        for name in concepts:
            if name in self.factors.names:
                raise UsageError(f"--concept {name}: {self.opened.called} has {have} already; choose another")

    def residual(self, z: Tensor) -> Tensor:
        """Return T's residual (B, d) of latents z (B, N), on the CPU."""
        return self.opened.transform(z)[:, self.factors.slice(RESIDUAL)]

    def seen(self, material: Material) -> Material:
        """Return the same pairs as T's residual shows them. DataError for latents of another size."""
        if material.dim != self.factors.dim:
            raise DataError(f"the latents have {material.dim} dimensions, {self.opened.called} {self.factors.dim}")
        return material.mapped(self.residual, self.factors.dims[RESIDUAL])

    def extended(self, inner: Factors) -> Factors:
        """Return T's factors with those that its residual is divided into, `inner`."""
        return Factors((*self.factors.items[:-1], *inner.items))

    def continued(self, config: dict[str, Any]) -> Translator:
        """Return T with `Translator(**config)` behind it, which alone can be fitted."""
        return self.opened.translator.continued(config)

    def behind(self, layer: Layer) -> Callable[[Tensor], Tensor]:
        """Return z -> z̃ (B, N) by T with `layer` behind it, in its residual."""
        start = self.factors.slice(RESIDUAL).start

        def transform(z: Tensor) -> Tensor:
            z_tilde = self.opened.translator(z)[0]
            return torch.cat((z_tilde[:, :start], layer(z_tilde[:, start:])[0]), dim=1)

        return transform
