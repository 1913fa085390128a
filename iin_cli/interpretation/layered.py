"""Cut any backbone behind one of its modules: `--layer` for backbones that do not cut themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from ..cutting import feature_maps
from ..cutting.cut import cut_at, cuttable_layers
from ..cutting.hooked import HookedCut, hooked_layers
from ..errors import UsageError
from ..plugin_api import Backbone

__all__ = ["at_layer", "encode_layers", "layers_of"]


def layers_of(backbone: Backbone) -> tuple[str, ...]:
    """Return the names of the layers at which `at_layer` cuts a backbone, in order; none where it cannot be cut."""
    whole = _whole(backbone)
    if whole is None:
        return backbone.layers()
    if backbone.has_head:
        return cuttable_layers(whole.network, whole.example, whole.within)
    return hooked_layers(whole.network, whole.example, whole.within, with_rest=False)


def at_layer(backbone: Backbone, layer: str) -> Backbone:
    """Return the same network cut behind `layer`; of an encoder without a head any layer that it computes.

    Raises UsageError as `Backbone.at_layer`.
    """
    whole = _whole(backbone)
    return backbone.at_layer(layer) if whole is None else _LayeredBackbone(backbone, whole, layer)


def encode_layers(backbone: Backbone, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Return z (B, N of that layer) of images (B, 3, S, S) for each of `layers`; errors as `Backbone.encode_layers`."""
    whole = _whole(backbone)
    if whole is None:
        return backbone.encode_layers(images, layers)
    return feature_maps.encode_layers(whole.network, images, layers, backbone.name, whole.within)


@dataclass(frozen=True)
class _Whole:
    """A network as it is computed from images (B, 3, S, S), the part of it in which layers have names, two images."""

    network: nn.Module
    within: str
    example: Tensor


class _Composed(nn.Module):
    """A backbone without `forward` as one module: f is G∘E, of an encoder without a head E."""

    backbone: Any

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        z = self.backbone.encode(images)
        return self.backbone.decode(z) if self.backbone.has_head else z


class _LayeredBackbone(nn.Module, Backbone):
    """A backbone cut behind `layer`: z is what that layer gives, averaged over a large map, G the rest of f."""

    def __init__(self, backbone: Backbone, whole: _Whole, layer: str) -> None:
        super().__init__()
        self.name, self.classes, self.config = backbone.name, backbone.classes, backbone.config
        self.image_size, self.interpolation = backbone.image_size, backbone.interpolation
        self.network, self._has_head = whole.network, backbone.has_head
        if self._has_head:
            self._cut = cut_at(whole.network, layer, whole.example, backbone.name, whole.within)
        else:
            self._cut = HookedCut(whole.network, layer, whole.example, backbone.name, whole.within, with_rest=False)
        self.latent_dim = self._cut.dim
        self.is_concurrent = backbone.is_concurrent and self._cut.is_concurrent

    @property
    def has_head(self) -> bool:
        """Whether there is a G."""
        return self._has_head

    def encode(self, images: Tensor) -> Tensor:
        """E: images (B, 3, S, S) -> z (B, N) in float32."""
        return self._cut.encode(images).float()

    def decode(self, z: Tensor) -> Tensor:
        """G: z (B, N) -> what the network answers."""
        return self._cut.decode(z) if self._has_head else super().decode(z)

    def forward(self, images: Tensor) -> Tensor:
        """F itself, of an encoder without a head E: images (B, 3, S, S) -> what the network gives."""
        return self.network(images)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NoReturn:
        """Raise UsageError: a checkpoint holds the network, and not where it was cut."""
        raise UsageError("a network cut at a layer is opened by its own name and --layer")


def _whole(backbone: Backbone) -> _Whole | None:
    """Return the network to cut; None for a backbone that cuts itself, or is made of no modules."""
    if type(backbone).at_layer is not Backbone.at_layer or not isinstance(backbone, nn.Module):
        return None
    children = [name for name, _ in backbone.named_children()]
    if not children:
        return None
    has_forward = backbone.has_head and type(backbone).forward is not nn.Module.forward
    network = backbone if has_forward else _Composed(backbone)
    names = [] if has_forward else ["backbone"]
    within = ".".join([*names, *children] if len(children) == 1 else names)
    tensors = [*backbone.parameters(), *backbone.buffers()]
    device = tensors[0].device if tensors else "cpu"
    return _Whole(network, within, torch.zeros(2, 3, backbone.image_size, backbone.image_size, device=device))
