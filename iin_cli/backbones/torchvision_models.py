"""Every torchvision classifier as a backbone, by its name: `resnet50`, or `torchvision:resnet50` in full.

E is the network up to the input of its last linear layer, G that layer; `at_layer` cuts elsewhere. Images are resized,
cropped and normalised as the published weights expect.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import Compose, RandomHorizontalFlip, RandomResizedCrop
from torchvision.transforms.v2.functional import center_crop

from ..cutting.cut import Cut, cut_at, cut_before_head, cuttable_layers
from ..cutting.feature_maps import encode_layers
from ..cutting.hooked import HookedCut
from ..distributed import seeded
from ..errors import DataError, UsageError
from ..guests.declared import require_torchvision_name
from ..plugin_api import Backbone, DataFacts, Family
from .classifier import ClassifierRecipe
from .pretrained_weights import VersionedWeights, load_weights
from .recipes import inferred_steps
from .torchvision_networks import (
    Preprocessing,
    StartingWeights,
    build_network,
    categories,
    check_side,
    fitted_to,
    head_name,
    model_names,
    starting_weights,
)

__all__ = ["TorchvisionBackbone"]

# Pixels that go through a network at once: about 40 images of 224², whose activations stay below a GiB.
PIXELS_AT_ONCE = {"cpu": 2**21, "cuda": 2**24}
SMALLEST_CROP = 0.5
# Fixed, so that a translator finds the same random network that it was fitted to.
RANDOM_WEIGHTS_SEED = 0


class TorchvisionBackbone(nn.Module, Backbone, Family):
    """A torchvision classifier f: images -> logits; as a `Family`, all classifiers of the installed torchvision.

    `name` is the model's own name, `resnet50`.

    Args:
        model: torchvision's name of the model.
        classes: names of the classes, one per logit.
        preprocessing: None takes that of the published weights.

    Raises:
        UsageError: a crop size that the network cannot take.
    """

    trainable_here: ClassVar[bool] = True
    scale: Tensor
    shift: Tensor

    def __init__(self, model: str, classes: tuple[str, ...], preprocessing: Preprocessing | None = None) -> None:
        super().__init__()
        self.name = model
        self.classes = classes
        self.preprocessing = preprocessing or Preprocessing.published(model)
        self.image_size = self.preprocessing.image_size
        self.interpolation = self.preprocessing.interpolation
        self.config = {"model": model, "classes": list(classes), **self.preprocessing.as_json()}
        self.train_items: int | None = None
        self.starts_random = True
        self.network = build_network(model, len(classes), self.preprocessing.crop_size)
        mean, std = (torch.tensor(part).reshape(3, 1, 1) for part in (self.preprocessing.mean, self.preprocessing.std))
        # Not persistent, since the checkpoint's config already holds them.
        self.register_buffer("scale", 0.5 / std, persistent=False)
        self.register_buffer("shift", (0.5 - mean) / std, persistent=False)

    # Not known before the network is cut, and nobody sets it.
    @property
    def latent_dim(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """N. UsageError for a network that has no linear head and was not cut at a layer."""
        return self.cut.dim

    @property
    def is_concurrent(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether several threads may use it at once; errors as `latent_dim`."""
        return self.cut.is_concurrent

    @functools.cached_property
    def cut(self) -> Cut | HookedCut:
        """The cut of f into E and G; errors as `latent_dim`."""
        return cut_before_head(self.network, self.name)

    def encode(self, images: Tensor) -> Tensor:
        """E: images (B, 3, S, S) -> z (B, N) in float32, a few images at a time."""
        pixels = PIXELS_AT_ONCE.get(images.device.type, PIXELS_AT_ONCE["cpu"])
        at_once = max(1, pixels // self.preprocessing.crop_size**2)
        return torch.cat([self.cut.encode(self._prepared(part)).float() for part in images.split(at_once)])

    def decode(self, z: Tensor) -> Tensor:
        """G: z (B, N) -> logits (B, classes)."""
        return self.cut.decode(z)

    def forward(self, images: Tensor) -> Tensor:
        """f: images (B, 3, S, S) -> logits (B, classes), by the network as torchvision made it."""
        return self.network(self._prepared(images))

    def layers(self) -> tuple[str, ...]:
        """Names of the layers at which `at_layer` cuts the network, in the order they are computed."""
        return cuttable_layers(self.network, self._example())

    def at_layer(self, layer: str) -> Self:
        """Return the same network, weights shared, cut behind `layer`; errors as `cutting.cut_at`."""
        other = copy.copy(self)
        other.cut = cut_at(self.network, layer, self._example(), self.name)
        return other

    def encode_layers(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Latents (B, N) of images (B, 3, S, S) at each of `layers`, all in one pass; errors as `encode_layers`."""
        return encode_layers(self.network, self._prepared(images), layers, self.name)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of torchvision's classification models."""
        return sorted(model_names())

    @classmethod
    def pretrained(cls, argument: str | None, weights: str) -> Self:
        """Build with weights of torchvision (`default`), of a package (`package`), of a file, or random (`none`).

        Random ones are always the same; `default` is what `starting_weights` finds. A file may have another number
        of classes. Raises UsageError for a model that torchvision does not have and for weights that cannot be fetched,
        CheckpointError for weights that are damaged or of another network.
        """
        model = _check_model(argument)
        # Read the weights first: a bad file then fails before a network is built.
        side = Preprocessing.published(model).crop_size
        found = StartingWeights({}, "") if weights == "none" else starting_weights(model, weights)
        with seeded(RANDOM_WEIGHTS_SEED):
            classes = categories(model)
            module = cls(model, classes)
            found = fitted_to(module.network, found, model, side)
            head = found.tensors.get(f"{head_name(module.network)}.weight")
            outputs = len(classes) if head is None or not head.ndim else len(head)
            if outputs != len(classes):
                module = cls(model, tuple(str(number) for number in range(outputs)))
        if weights != "none":
            load_weights(module.network, found.tensors, found.source)
        module.weights = found.named
        return module

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild the module of a checkpoint, its weights still to be loaded."""
        values = dict(config)
        model, classes = values.pop("model"), tuple(values.pop("classes"))
        with seeded(RANDOM_WEIGHTS_SEED):
            return cls(model, classes, Preprocessing.from_json(values))

    @classmethod
    def for_training(cls, argument: str | None, facts: DataFacts, latent_dim: int | None, weights: str) -> Self:
        """Build with a new head for the classes of `facts`, to be trained further from `weights`.

        Images have the size that the published weights expect, unless the user asked for another. Raises DataError for
        data without two classes, UsageError for a model that torchvision does not have or that has no linear head, and
        for an image size or latent size that the model cannot have.
        """
        model = _check_model(argument)
        if facts.classes is None or len(facts.classes) < 2:
            have = "none" if facts.classes is None else str(len(facts.classes))
            raise DataError(
                f"{model} needs class labels, at least two, and the data has {have}: use class subfolders or labels.csv"
            )
        preprocessing = Preprocessing.published(model)
        if facts.size_is_wished:
            # The network sees the whole image at the user's size: nothing is cropped.
            preprocessing = replace(preprocessing, image_size=facts.image_size, crop_size=facts.image_size)
        module = cls(model, facts.classes, preprocessing)
        if facts.size_is_wished:
            check_side(module.network, model, facts.image_size)
        _check_latent_dim(module, latent_dim)
        if weights != "none":
            found = fitted_to(module.network, starting_weights(model, weights), model, preprocessing.crop_size)
            load_weights(module.network, found.tensors, found.source, but=head_name(module.network))
            module.weights = found.named
            module.starts_random = False
        module.train_items = facts.train_items
        return module

    def recipe(self, max_steps: int | None, seed: int) -> ClassifierRecipe:
        """Return the training recipe; `max_steps` None infers the steps from the size of the data, fewer on a CPU."""
        on_cpu = self.scale.device.type == "cpu"
        batch_size = 32 if on_cpu else 64
        if max_steps is None and on_cpu:
            max_steps = inferred_steps(self.train_items, batch_size, epochs=4, least=100, most=400)
        elif max_steps is None:
            max_steps = inferred_steps(self.train_items, batch_size, epochs=20, least=1000, most=20_000)
        crop = RandomResizedCrop(self.preprocessing.crop_size, scale=(SMALLEST_CROP, 1.0), antialias=True)
        rate = 1e-3 if self.starts_random else 2e-4
        return ClassifierRecipe(self, max_steps, seed, batch_size, rate, Compose([crop, RandomHorizontalFlip()]))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load as every module does, also from a plain mapping: MNASNet asks for versions that a file does not keep."""
        written = state_dict if getattr(state_dict, "_metadata", None) else self.state_dict()
        return super().load_state_dict(VersionedWeights(state_dict, written), strict, assign)

    def _prepared(self, images: Tensor) -> Tensor:
        side = self.preprocessing.crop_size
        if images.shape[-1] != side:
            images = center_crop(images, [side, side])
        # The values are the same, and channels last is a fifth faster on a CPU.
        return (images * self.scale + self.shift).contiguous(memory_format=torch.channels_last)

    def _example(self) -> Tensor:
        return self._prepared(torch.zeros(2, 3, self.image_size, self.image_size, device=self.scale.device))


def _check_model(name: str | None) -> str:
    if not name:
        raise UsageError("--backbone torchvision needs the name of a model: --backbone torchvision:resnet50")
    require_torchvision_name(name, model_names())
    return name


def _check_latent_dim(module: TorchvisionBackbone, wanted: int | None) -> None:
    try:
        own = module.latent_dim
    except UsageError as error:
        raise UsageError(f"{module.name} does not end in a linear layer: choose another backbone to train") from error
    if wanted not in (None, own):
        raise UsageError(f"--latent-dim {wanted}: the latent of {module.name} has {own} dimensions; leave it out")
