"""Find the pair spectrum where it is not known of all pairs what they share.

The spectrum needs pairs that isolate a concept. It begins with those of which everything is known. What it finds says
of other pairs what they share; those of which that is nearly certain join, and it is found again (hard-assignment
expectation maximisation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..translator.factors import Factors
from ..translator.spectrum import MOST_SIGMA, PairSpectrum
from .materials import Material, PairMaterial

__all__ = ["spectrum_of"]

ROUNDS = 3
# A pair joins those of which it is known what they share where that is so probable.
CERTAIN = 0.9


def spectrum_of(material: Material, sizes: Mapping[str, int] | None, seed: int) -> PairSpectrum:
    """Find the spectrum of the concepts' pairs; `sizes` as in `pair_spectrum`."""
    spectrum = material.paired_latents(seed).spectrum(sizes, seed)
    if not isinstance(material, PairMaterial) or not material.partly_known:
        return spectrum
    decided = material
    for _ in range(ROUNDS):
        factors = _correlated(material, decided, spectrum)
        decided = material.decided(material.shared(_transform(spectrum), factors), CERTAIN)
        spectrum = decided.paired_latents(seed).spectrum(sizes, seed)
    factors = _correlated(material, decided, spectrum)
    return replace(spectrum, sigmas={factor.name: factor.sigma for factor in factors})


def _correlated(material: PairMaterial, decided: PairMaterial, spectrum: PairSpectrum) -> Factors:
    """Return the factors with the correlation of pairs that share them, as far as is known or was decided.

    The few held-out pairs of which all is known would tell little of it.
    """
    factors = Factors.of(spectrum.sizes, spectrum.sigmas, material.relations)
    z_tilde, mask = material.translated(_transform(spectrum)), decided.file.mask
    if mask is None:
        return factors
    sigmas = dict(spectrum.sigmas)
    for name, shares in zip(factors.names, mask.T == 1, strict=True):
        if int(shares.sum()) > 1:
            a, b = (part[shares][:, factors.slice(name)] for part in z_tilde)
            sigmas[name] = round(min(max(_correlation(a, b), 0.0), MOST_SIGMA), 2)
    return Factors.of(spectrum.sizes, sigmas, material.relations)


def _transform(spectrum: PairSpectrum) -> Callable[[Tensor], Tensor]:
    whitening = spectrum.whitening()
    return lambda z: whitening(z)[0]


def _correlation(a: Tensor, b: Tensor) -> float:
    both = torch.cat((a, b))
    return float((a * b).mean() / both.square().mean().clamp_min(1e-12))
