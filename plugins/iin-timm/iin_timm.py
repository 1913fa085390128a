"""Any timm model as a backbone of `iin`: `--backbone timm:convnext_tiny`.

E is everything up to the last linear layer, G is that layer; of a model without one, E is all of it and there is no G.
timm's own loader reads weights from timm's own cache, or those of an installed package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import timm
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.constants import HF_HUB_CACHE
from timm.data.config import resolve_model_data_config
from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset
from timm.models import PretrainedCfg
from torch import Tensor, nn

from iin_cli.cutting.feature_maps import as_latent
from iin_cli.distributed import seeded
from iin_cli.errors import CheckpointError, NotInstalledError, UsageError, nearest
from iin_cli.io.weights import misfits, named_as, read_weights
from iin_cli.packaged_weights import PackagedWeights, names_package, packaged_weights
from iin_cli.plugin_api import Backbone, Family

__all__ = ["Timm"]


@runtime_checkable
class Network(Protocol):
    """The methods of every timm model that are used here."""

    def __call__(self, images: Tensor) -> Tensor: ...

    def get_classifier(self) -> nn.Module: ...

    def forward_features(self, images: Tensor) -> Tensor: ...

    def forward_head(self, features: Tensor, pre_logits: bool) -> Tensor: ...


class Timm(nn.Module, Backbone, Family):
    """The timm model `model`, a name of `timm.list_models()` with or without a tag, split into E and G.

    A model without a classifier (DINOv2, SigLIP) and a tower of CLIP, whose last layer names no classes, is an encoder
    without a head: z is what it gives. Images arrive resized to the side that timm would resize to; the centre that
    timm would crop is cropped here.

    Args:
        weights: `default`, `none` (random, the same every time), `package` (an installed one's), or a .safetensors or
            .pth file, whose head may have another number of classes.
        num_classes: of the head; None takes that of the weights.

    Raises UsageError for a model that ends in another classifier than one linear layer; for weights, errors as
    `pretrained`.
    """

    is_concurrent: bool = True
    mean: Tensor
    std: Tensor

    def __init__(self, model: str, weights: str = "none", num_classes: int | None = None) -> None:
        super().__init__()
        # Seeded, so that a translator finds the same network again when it has no trained weights.
        with seeded(0):
            net, self.weights = _build(model, weights, num_classes)
        if not isinstance(net, Network):
            raise UsageError(f"--backbone timm:{model}: it is no model of images that timm can cut; choose another")
        self.name, self.net = f"timm:{model}", net
        facts = resolve_model_data_config(net)
        self.crop = min(facts["input_size"][1:])
        self.image_size = int(self.crop / facts["crop_pct"])
        self.interpolation = "bilinear" if facts["interpolation"] == "bilinear" else "bicubic"
        head, subset = net.get_classifier(), infer_imagenet_subset(net)
        rows = head.out_features if isinstance(head, nn.Linear) else None
        is_own = rows is None or rows == _published_classes(model)
        self.config = {"model": model} if is_own else {"model": model, "num_classes": rows}
        is_tower = "clip" in model and subset is None and is_own
        self._has_head = not (is_tower or head is None or isinstance(head, nn.Identity))
        if self._has_head and not isinstance(head, nn.Linear):
            raise UsageError(f"--backbone timm:{model}: its last layer is no linear classifier; choose another model")
        self.classes = _class_names(subset, head) if isinstance(head, nn.Linear) and self._has_head else None
        self.register_buffer("mean", torch.tensor(facts["mean"]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(facts["std"]).view(3, 1, 1), persistent=False)
        self.latent_dim = head.in_features if isinstance(head, nn.Linear) and self._has_head else self._width()

    @property
    def has_head(self) -> bool:
        """Whether the model ends in a classifier."""
        return self._has_head

    def encode(self, images: Tensor) -> Tensor:
        """E: images (B, 3, S, S) in [-1, 1] -> z (B, N): the last layer's input, without a head the model's output."""
        if not self._has_head:
            return as_latent(self.net(self.preprocess(images)))
        return self.net.forward_head(self.net.forward_features(self.preprocess(images)), pre_logits=True)

    def decode(self, z: Tensor) -> Tensor:
        """G: z (B, N) -> logits (B, classes). UsageError for a model without a classifier."""
        return self.net.get_classifier()(z) if self._has_head else super().decode(z)

    def forward(self, images: Tensor) -> Tensor:
        """f: logits (B, classes) of images (B, 3, S, S), by the model itself; without a head its features."""
        return self.net(self.preprocess(images))

    def preprocess(self, images: Tensor) -> Tensor:
        """Crop the centre of images (B, 3, S, S) in [-1, 1] and standardise it as the weights expect."""
        start = (self.image_size - self.crop) // 2
        cropped = images[..., start : start + self.crop, start : start + self.crop]
        return (cropped / 2 + 0.5 - self.mean) / self.std

    @torch.no_grad()
    def _width(self) -> int:
        """Return N of a model without a head, by one blank image."""
        was_training = self.training
        z = self.eval().encode(torch.zeros(1, 3, self.image_size, self.image_size))
        self.train(was_training)
        return z.shape[1]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Timm:
        """Rebuild the module of a checkpoint, its weights still to be loaded."""
        return cls(config["model"], num_classes=config.get("num_classes"))

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of timm's models, without the tags of their weights."""
        return timm.list_models()

    @classmethod
    def pretrained(cls, argument: str | None, weights: str) -> Timm:
        """Build the model `argument` with `weights`: `default`, `none`, `package`, or a file, and check that f = G∘E.

        Raises UsageError for a name that timm does not have, a network that cannot be split so, and weights that cannot
        be fetched; CheckpointError for a file that does not fit; NotInstalledError and PluginError as
        `packaged_weights`.
        """
        backbone = cls(_check_name(argument), weights).eval()
        if not backbone.has_head:
            return backbone
        images = torch.linspace(-1, 1, 3 * backbone.image_size**2).view(1, 3, backbone.image_size, backbone.image_size)
        with torch.inference_mode():
            z = backbone.encode(images)
            fits = z.shape == (1, backbone.latent_dim)
            if not fits or not torch.allclose(backbone.decode(z), backbone(images), rtol=1e-4, atol=1e-4):
                raise UsageError(
                    f"--backbone timm:{argument}: its output is not its last layer applied to z; choose another"
                )
        return backbone


def _check_name(model: str | None) -> str:
    if not model:
        raise UsageError("--backbone timm needs the name of a model: --backbone timm:convnext_tiny")
    architecture, _, tag = model.partition(".")
    if not timm.is_model(architecture):
        hint = nearest(architecture, Timm.names())
        raise UsageError(f"timm has no model {model!r}: {hint if '?' in hint else 'see timm.list_models()'}")
    if tag and model not in (known := timm.list_pretrained(f"{architecture}.*")):
        raise UsageError(f"timm has no weights {model!r}: {nearest(model, known)}")
    return model


def _class_names(subset: str | None, head: nn.Linear) -> tuple[str, ...]:
    called = ImageNetInfo(subset).label_descriptions() if subset else map(str, range(head.out_features))
    return tuple(label.partition(",")[0] for label in called)


def _published_classes(model: str) -> int | None:
    known = timm.models.get_pretrained_cfg(model)
    return None if known is None else known.num_classes


def _build(model: str, weights: str, num_classes: int | None = None) -> tuple[nn.Module, str | None]:
    """Create the model, and say how `--weights` names its weights where `default` left a choice.

    They are random, in a file, in timm's cache, in an installed package, or have to be fetched.
    """
    if weights == "none":
        head: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
        return timm.create_model(model, **head), None
    if names_package(weights):
        return _with_packaged(model, packaged_weights("timm", model, weights))
    if weights != "default":
        return _with_tensors(model, read_weights(Path(weights)), weights), None
    known, hint = timm.models.get_pretrained_cfg(model), ""
    if known is not None and known.has_weights:
        # The cache is read here, since timm would first wait for an internet connection that may be missing.
        cached = try_to_load_from_cache(known.hf_hub_id or "timm/none", "model.safetensors")
        if isinstance(cached, str):
            return _with_tensors(model, read_weights(Path(cached)), cached), None
    try:
        if packaged := packaged_weights("timm", model, "default"):
            return _with_packaged(model, packaged)
    except NotInstalledError as error:
        hint = f"; or {error}"
    if known is None or not known.has_weights:
        raise UsageError(
            f"timm has no weights for {model}: pass --weights FILE, or --weights none for random ones{hint}"
        )
    return _fetched(model, known, hint), None


def _with_packaged(model: str, packaged: PackagedWeights | None) -> tuple[nn.Module, str | None]:
    if packaged is None:
        return timm.create_model(model), None
    return _with_tensors(model, packaged.tensors, packaged.weights), packaged.weights


def _with_tensors(model: str, tensors: dict[str, Tensor], source: str) -> nn.Module:
    """Create the model with `tensors`, which were read here, since not every timm refuses to run code in a pickle."""
    named, head = _named_by_timm(model, tensors)
    overlay: dict[str, Any] = {"state_dict": named}
    # Told the same number in both places, timm loads every tensor or fails; else it would leave out the head's.
    if head:
        overlay |= {"label_offset": 0, **head}
    try:
        return timm.create_model(model, pretrained=True, pretrained_cfg_overlay=overlay, **head)
    # Weights of another network may raise any exception.
    except Exception as error:
        # The first line of torch's message names the network's class only; the names that do not fit follow.
        why = misfits(timm.create_model(model, **head).state_dict(), named) or " ".join(str(error).split())[:160]
        raise CheckpointError(f"{source} does not hold the weights of timm's {model}: {why}") from error


def _named_by_timm(model: str, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors without a trainer's prefix, and `num_classes` where their head has another than published."""
    known = timm.models.get_pretrained_cfg(model)
    if known is None:
        return tensors, {}
    first, last = (
        part[0] if isinstance(part, (list, tuple)) else part for part in (known.first_conv, known.classifier)
    )
    named = named_as(tensors, [f"{layer}.{kind}" for layer in (first, last) if layer for kind in ("weight", "bias")])
    head = named.get(f"{last}.weight")
    # Some published heads have a background class, which timm cuts off.
    usual = (known.num_classes, known.num_classes + (known.label_offset or 0))
    return named, {} if head is None or not head.ndim or len(head) in usual else {"num_classes": len(head)}


def _fetched(model: str, known: PretrainedCfg, hint: str) -> nn.Module:
    try:
        if known.hf_hub_id:
            # Asked once before timm asks: without a connection timm retries and logs for most of a minute.
            get_hf_file_metadata(hf_hub_url(known.hf_hub_id, "model.safetensors"))
        return timm.create_model(model, pretrained=True)
    # Without a connection the client raises errors that depend on its version, and not only OSError.
    except Exception as error:
        source = f"model.safetensors of {known.hf_hub_id} on the Hugging Face hub" if known.hf_hub_id else known.url
        raise UsageError(
            f"the weights of timm's {model} are not in {HF_HUB_CACHE} and cannot be fetched ({type(error).__name__}): "
            f"fetch {source} on a machine with a connection, and pass that file with --weights FILE{hint}"
        ) from error
