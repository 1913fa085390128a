"""Erase factors: from a network and its translator to a network whose answers no longer depend on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from ..interpretation.erased import Erased, answers_without
from ..interpretation.modules import FunctionBackbone
from ..interpretation.network import Network
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.opening import describe_backbone, open_network, versions
from ..interpretation.pieces import in_pieces
from ..interpretation.reading import Reading
from ..io import checkpoint
from ..io.weights import module_digest
from ..progress import Reporter, Silent
from ..translator.erasing import Eraser, Leftovers
from .leftovers import Learned
from .swap import swap_factors

__all__ = ["ErasedEffect", "Erasing", "describe_erased", "effect_of", "erase", "erased_latents"]


@dataclass(frozen=True)
class Erasing:
    """What is erased, and how.

    Attributes:
        factors: the factors to erase.
        draws: over how many draws of these factors answers are averaged; 0 sets them to their mean.
        seed: of the draws.
    """

    factors: tuple[str, ...]
    draws: int = 0
    seed: int = 0

    def eraser(self, opened: OpenTranslator, leftovers: Leftovers | None = None) -> Eraser:
        """Return what takes the factors out. UsageError for none, an unknown one, and where nothing would be left.

        Args:
            leftovers: what other factors keep of them, to be taken out as well.
        """
        names = tuple(dict.fromkeys(self.factors))
        opened.require_factors(names)
        if set(names) == set(opened.factors.names):
            raise UsageError(f"--factor names all factors, {', '.join(names)}: leave at least one")
        size = sum(opened.factors.dims[name] for name in names)
        # The mean of N(0, 1) is 0; draws come from the same distribution.
        values = torch.zeros(1, size)
        if self.draws:
            values = torch.randn(self.draws, size, generator=torch.Generator().manual_seed(self.seed))
        return Eraser(opened.translator, opened.factors, names, values.to(opened.device), leftovers)


@dataclass(frozen=True)
class ErasedEffect:
    """What erasing does to answers, on real images; fractions of them, or mean absolute changes of drawn pixels.

    Attributes:
        images: how many were measured.
        changed: answers that erasing changes (classes only).
        exchanged_before, exchanged_after: what exchanging the erased factors between images does to the answers of
            the network, and to what the erased one answers to the same latents.
        accuracy_before, accuracy_after: of classes, where the data has labels of the same names.
    """

    images: int
    changed: float | None
    exchanged_before: float
    exchanged_after: float
    accuracy_before: float | None = None
    accuracy_after: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return asdict(self)


def erase(opened: OpenTranslator, how: Erasing, leftovers: Leftovers | None = None) -> Network:
    """Return the translator's network f with T between E and G, and the factors taken out of both z and answers.

    Args:
        leftovers: what other factors keep of them, which `learn_leftovers` finds; taken out of z.

    Raises UsageError for a translator without a network, and for factors as `Erasing.eraser`.
    """
    network, eraser = opened.require_network(), how.eraser(opened, leftovers)
    backbone = network.backbone
    if isinstance(backbone, FunctionBackbone):
        return _of_functions(backbone, eraser)
    if network.layer is not None:
        backbone = open_network(network.source, network.device, network.weights).backbone
    erased = Erased(backbone, network.layer, eraser)
    return Network.of(erased, network.source, module_digest(erased), _data(opened, network), device=network.device)


def _of_functions(backbone: FunctionBackbone, eraser: Eraser) -> Network:
    """Return a network given from Python without the factors: two functions again."""
    device = eraser.values.device

    def encode(inputs: Tensor) -> Tensor:
        return eraser(backbone.encode_inputs(inputs).to(device))

    def decode(z: Tensor) -> Tensor:
        return answers_without(eraser, backbone.decode, z.to(device)).cpu()

    return Network(
        encode,
        decode if backbone.has_head else None,
        classes=backbone.classes,
        preprocess=backbone.preprocess,
        name=f"{backbone.name} without {', '.join(eraser.names)}",
    )


def erased_latents(after: Network, z: Tensor) -> Tensor:
    """Return what the encoder of an erased network makes of what the network's own encoder gives, z (M, N)."""
    module: Any = after.backbone
    return torch.cat(list(in_pieces(len(z), z.__getitem__, module.erased, after.device, is_concurrent=True)))


def describe_erased(
    opened: OpenTranslator, network: Network, how: Erasing, learned: Learned | None = None
) -> dict[str, Any]:
    """Return what a checkpoint says of an erased network: what it is made of, by sha256, and what was erased."""
    source: Mapping[str, Any] = opened.require_network().provenance
    translator = opened.require_path()
    return {
        **describe_backbone(network.backbone),
        "backbone": source,
        "data": network.data,
        "training": {
            "erased": list(how.factors),
            "draws": how.draws,
            "seed": how.seed if how.draws or learned else None,
            "leftovers": None if learned is None else learned.as_dict(),
            "translator": {"source": str(translator.resolve()), "sha256": checkpoint.digest(translator)},
        },
        "versions": versions(),
    }


def effect_of(reading: Reading, after: Network, how: Erasing, report: Reporter | None = None) -> ErasedEffect:
    """Measure what erasing does to the answers to the images read; errors as `Network.require_head`."""
    before, report = reading.network, report or Silent()
    order = np.random.default_rng(how.seed).permutation(len(reading))
    partners = np.empty_like(order)
    # In a circle of random order, so that nobody is its own partner.
    partners[order] = np.roll(order, 1)
    exchanged = swap_factors(reading.opened, reading.z, reading.z[torch.from_numpy(partners)], how.factors)
    said, said_after = before.answers(reading.z, report), after.answers(erased_latents(after, reading.z), report)
    same = before.answer.agreement(said, said_after)
    accuracy = [_accuracy(reading, before, each) for each in (said, said_after)]
    return ErasedEffect(
        len(reading),
        None if same is None else _rounded(1 - same.mean()),
        _difference(before, said, before.answers(exchanged, report)),
        _difference(before, after.answers(reading.z, report), after.answers(exchanged, report)),
        *accuracy,
    )


def _difference(network: Network, first: Tensor, second: Tensor) -> float:
    same = network.answer.agreement(first, second)
    return _rounded((first - second).abs().mean() if same is None else 1 - same.mean())


def _accuracy(reading: Reading, network: Network, answers: Tensor) -> float | None:
    """Return the part of answers that is right; None for data without labels of the network's classes."""
    said, labels = network.answer.labels(answers), reading.dataset.labels.get("class")
    if said is None or labels is None or labels.names is None or labels.names != network.answer.names:
        return None
    return _rounded((said == labels.values[reading.items]).mean())


def _data(opened: OpenTranslator, network: Network) -> dict[str, Any]:
    return network.data or opened.recorded_data


def _rounded(value: Any) -> float:
    return round(float(value), 4)
