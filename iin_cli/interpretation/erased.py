"""The backbone `erased`: a network with a translator between E and G that takes factors out of its latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, UsageError
from ..plugin_api import Backbone, DataFacts
from ..registry import find
from ..translator.erasing import Eraser, Leftovers
from ..translator.factors import Factors
from ..translator.flow import Translator
from ..translator.soundness import unsound
from .layered import at_layer

__all__ = ["Erased", "answers_without"]

MADE_BY = "make one with `iin erase`, then pass the folder it wrote to --backbone"


class Erased(nn.Module, Backbone):
    """E': images -> T⁻¹(z̃ of E with factors at their mean); G': what G answers where these factors are constant.

    E' also takes out what other factors keep of them, where the eraser knows it. G' takes the factors out of any z, so
    that its answers do not depend on them whoever made z. With several `values` in the eraser it averages what G
    answers over them: probabilities of classes, or pixels.

    Args:
        network: f = G∘E, uncut.
        layer: where T's latents are cut out of it; None where the network cuts itself.
        eraser: T and what it takes out.
    """

    takes_argument: ClassVar[bool] = False

    def __init__(self, network: Backbone, layer: str | None, eraser: Eraser) -> None:
        super().__init__()
        whole: Any = network
        self.network, self.layer, self.eraser = whole, layer, eraser
        self.name = "erased"
        self.latent_dim, self.classes = eraser.translator.dim, network.classes
        self.image_size, self.interpolation = network.image_size, network.interpolation
        self._cut: list[Backbone] = []
        self.config: dict[str, Any] = {
            "network": {"name": network.name, "config": network.config},
            "layer": layer,
            "translator": eraser.translator.config,
            "factors": eraser.factors.as_json(),
            "erased": list(eraser.names),
            "values": len(eraser.values),
            **({} if eraser.leftovers is None else {"leftovers": {"hidden": eraser.leftovers.hidden}}),
        }

    @property
    def has_head(self) -> bool:
        """Whether the network has a G."""
        return self.network.has_head

    def erased(self, z: Tensor) -> Tensor:
        """Take the factors out of z (B, N)."""
        return self.eraser(z)

    def encode(self, images: Tensor) -> Tensor:
        """E': images (B, 3, S, S) -> z (B, N) that holds nothing of the erased factors."""
        return self.erased(self._inner.encode(images).float())

    def decode(self, z: Tensor) -> Tensor:
        """G': z (B, N) -> what G answers without the erased factors: logits (B, C), or images (B, 3, S, S)."""
        if not self.has_head:
            return super().decode(z)
        return answers_without(self.eraser, self._inner.decode, z)

    def load_state_dict(self, *given: Any, **options: Any) -> Any:
        """Take the weights of a checkpoint. CheckpointError for a translator without an inverse."""
        found = super().load_state_dict(*given, **options)
        if problem := unsound(self.eraser.translator):
            raise CheckpointError(f"its translator cannot be used: {problem}")
        return found

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        # A cut network has buffers of its own, which do not move along.
        self._cut = []
        return super()._apply(fn, recurse)

    @property
    def _inner(self) -> Backbone:
        """The network, cut where T's latents are."""
        if self.layer is None:
            return self.network
        if not self._cut:
            self._cut = [_frozen(at_layer(self.network, self.layer))]
        return self._cut[0]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Erased:
        """Rebuild the module of a checkpoint, its weights still to be loaded."""
        found = find("backbones", config["network"]["name"])
        found.try_method("from_config", config["network"]["config"])
        factory: Any = found.factory
        network = factory.from_config(config["network"]["config"])
        factors, names = Factors.from_json(config["factors"]), config["erased"]
        size = sum(factors.dims[name] for name in names)
        values, leftovers = torch.zeros(config["values"], size), None
        # Files written before there were any have none.
        if config.get("leftovers") is not None:
            leftovers = Leftovers(size, factors.dim - size, config["leftovers"]["hidden"])
        eraser = Eraser(Translator(**config["translator"]), factors, names, values, leftovers)
        return cls(network, config["layer"], eraser)

    @classmethod
    def pretrained(cls, argument: str | None, weights: str) -> NoReturn:
        """Raise UsageError: it is made of a network and a translator."""
        raise UsageError(f"erased is no network of its own: {MADE_BY}")

    @classmethod
    def for_training(cls, argument: str | None, facts: DataFacts, latent_dim: int | None, weights: str) -> NoReturn:
        """Raise UsageError: it is made, not trained."""
        raise UsageError(f"erased cannot be trained: {MADE_BY}")


def answers_without(eraser: Eraser, decode: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Return what G, `decode`, answers to z (B, N) without the erased factors: the mean over what stands for them."""
    rows = eraser.draws(z)
    answers = decode(rows.flatten(0, 1)).float().unflatten(0, rows.shape[:2])
    if len(answers) == 1:
        return answers[0]
    return _mean_logits(answers) if answers.ndim == 3 else answers.mean(0)


def _frozen(backbone: Any) -> Backbone:
    return backbone.eval().requires_grad_(False)


def _mean_logits(logits: Tensor) -> Tensor:
    """Return logits (B, C) of the mean of the probabilities that logits (k, B, C) give; (B, 1) for one logit."""
    if logits.shape[2] > 1:
        return logits.log_softmax(2).logsumexp(0)
    yes, no = (nn.functional.logsigmoid(sign * logits).logsumexp(0) for sign in (1, -1))
    return yes - no
