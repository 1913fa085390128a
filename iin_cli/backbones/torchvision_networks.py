"""Torchvision's classification networks: their names, preprocessing, construction and weights."""

from __future__ import annotations

import functools
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.vision_transformer import interpolate_embeddings

from ..errors import NotInstalledError, UsageError
from ..io.weights import named_as, read_weights
from ..packaged_weights import names_package, packaged_weights
from ..plugin_api import Interpolation
from .pretrained_weights import cached_file, default_weights

__all__ = [
    "Preprocessing",
    "StartingWeights",
    "build_network",
    "categories",
    "check_side",
    "fitted_to",
    "head_name",
    "model_names",
    "starting_weights",
]


@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing of a network's images: a square of `image_size`, its centre of `crop_size`, then (x − mean) / std.

    Both sizes are in pixels; mean and std are per channel, for values in [0, 1].
    """

    image_size: int
    crop_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation

    @classmethod
    def published(cls, model: str) -> Preprocessing:
        """Return the preprocessing that torchvision's default weights of `model` were tested with."""
        wanted = _published(model).transforms()
        return cls(
            wanted.resize_size[0],
            wanted.crop_size[0],
            tuple(wanted.mean),
            tuple(wanted.std),
            wanted.interpolation.value,
        )

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Preprocessing:
        """Rebuild from what `as_json` returned."""
        return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}


@dataclass(frozen=True)
class StartingWeights:
    """Weights read from somewhere.

    Attributes:
        tensors: by name.
        source: where they came from, for messages.
        named: how `--weights` names them, where the user left the choice; else None.
    """

    tensors: dict[str, Tensor]
    source: str
    named: str | None = None


@functools.cache
def model_names() -> frozenset[str]:
    """Return the names of all classification models."""
    return frozenset(torchvision.models.list_models(module=torchvision.models))


def categories(model: str) -> tuple[str, ...]:
    """Return the class names of the published weights of `model`."""
    return tuple(_published(model).meta["categories"])


def build_network(model: str, outputs: int, side: int) -> nn.Module:
    """Build `model` with random weights for images of `side` pixels, without auxiliary heads for training.

    Raises UsageError for a side that its layers do not divide.
    """
    options: dict[str, Any] = {}
    if model in ("googlenet", "inception_v3"):
        # Their published weights expect inputs in [-1, 1]; this option lets the network rescale them itself.
        options = {"aux_logits": False, "init_weights": False, "transform_input": True}
    elif model.startswith("vit_"):
        options = {"image_size": side}
    elif model.startswith("maxvit_"):
        options = {"input_size": (side, side)}
    try:
        return torchvision.models.get_model(model, weights=None, num_classes=outputs, **options)
    except (AssertionError, ValueError) as error:
        raise _unfit_side(model, side) from error


def check_side(network: nn.Module, model: str, side: int) -> None:
    """Raise UsageError unless images of `side` pixels pass through `network`."""
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, side, side))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise _unfit_side(model, side) from error
    finally:
        network.train(was_training)


def head_name(network: nn.Module) -> str:
    """Return the name of the layer that gives the logits: the last linear one, else the last convolution."""
    parts = list(network.named_modules())
    linear = [name for name, part in parts if isinstance(part, nn.Linear)]
    return (linear or [name for name, part in parts if isinstance(part, nn.Conv2d)])[-1]


def starting_weights(model: str, weights: str) -> StartingWeights:
    """Return the weights that `weights` names: `default`, `package`, `package:DISTRIBUTION`, or a file.

    `default` is torchvision's own file in torch's cache, else the weights of an installed package, else torchvision's
    file from the internet. Raises UsageError and CheckpointError as `default_weights`, `packaged_weights` and
    `read_weights`.
    """
    return _default_weights(model) if weights == "default" else _named_weights(model, weights)


def fitted_to(network: nn.Module, found: StartingWeights, model: str, side: int) -> StartingWeights:
    """Return the weights under the names of `network`, for images of `side` pixels.

    A vision transformer's position embeddings are interpolated to them.
    """
    tensors = named_as(found.tensors, network.state_dict())
    if model.startswith("vit_") and side != Preprocessing.published(model).crop_size:
        patch = tensors["conv_proj.weight"].shape[-1] if "conv_proj.weight" in tensors else 0
        if patch and "encoder.pos_embedding" in tensors:
            tensors = dict(interpolate_embeddings(side, patch, OrderedDict(tensors)))
    return replace(found, tensors=tensors)


def _default_weights(model: str) -> StartingWeights:
    published, otherwise = _published(model), "--weights none for random ones"
    if not cached_file(published).is_file():
        try:
            if packaged := packaged_weights("torchvision", model, "default"):
                return StartingWeights(packaged.tensors, f"{packaged.weights} for {model}", packaged.weights)
        except NotInstalledError as error:
            otherwise += f"; {error}"
    return StartingWeights(default_weights(published, model, otherwise), f"torchvision's file for {model}")


def _named_weights(model: str, weights: str) -> StartingWeights:
    packaged = packaged_weights("torchvision", model, weights) if names_package(weights) else None
    if packaged is not None:
        return StartingWeights(packaged.tensors, f"{packaged.weights} for {model}", packaged.weights)
    file = Path(weights).expanduser()
    return StartingWeights(read_weights(file), f"the weights file {file}")


def _published(model: str) -> torchvision.models.WeightsEnum:
    return torchvision.models.get_model_weights(model)["DEFAULT"]


def _unfit_side(model: str, side: int) -> UsageError:
    own = Preprocessing.published(model).crop_size
    return UsageError(f"--image-size {side}: {model} cannot take images of {side} pixels; its own size is {own}")
