"""`Network`: E and G of one network on one device, what G answers with, and where the network comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..acceleration.encoder import Encoder, Precision, Wanted
from ..crew import shared
from ..errors import DataError, PluginError, UsageError
from ..io.weights import module_digest
from ..latents.cache import as_images
from ..plugin_api import Backbone
from ..progress import Reporter, Silent
from .answers import Answer, Classes, Images, Nothing, answer_of
from .layered import at_layer, encode_layers, layers_of
from .modules import CutModule, FunctionBackbone, Preprocess, owner_of, prepared
from .pictures import ImageBatch, batches_of, count_of
from .pieces import image_rows, in_pieces, piece_rows, to_pixels

__all__ = ["FROM_PYTHON", "Network"]

# How the source of a network begins that no command can open.
FROM_PYTHON = "python:"


class Network:
    """A network f = G∘E ready to be read.

    `Network(encode, decode)` takes two functions, `Network.cut(module, layer)` any torch module, and `open_network`
    opens checkpoints and registered names.

    Args:
        encode: E, from what the network takes (B, …) to z (B, N).
        decode: G, from z to logits (B, C) or images (B, 3, S, S) in [-1, 1]; None for an encoder alone.
        classes: names of the logits; None numbers them.
        preprocess: from a Pillow image to what `encode` takes, for pictures.
        name: what to call the network.

    Attributes:
        backbone: what computes E and G.
        source: absolute path of its checkpoint, or its registered name.
        sha256: of the checkpoint file, or of the weights when it has none; empty where neither is known.
        data: what it was trained on, `{name, root, fingerprint}`; empty where its checkpoint records none, None for a
            registered name.
        weights: of a registered name: `default`, `none`, `package:DISTRIBUTION`, or the absolute path of a file.
        layer: where the network is cut; None where the backbone cuts it itself.
        device: where it computes.
        wanted_precision: of its latents: float32, bfloat16, or auto.
        settled: whether that is what its latents are computed in.
    """

    backbone: Backbone
    source: str
    sha256: str
    data: dict[str, Any] | None
    weights: str
    layer: str | None
    wanted_precision: Wanted
    settled: bool

    def __init__(
        self,
        encode: Callable[[Tensor], Tensor],
        decode: Callable[[Tensor], Tensor] | None = None,
        *,
        classes: Sequence[str] | None = None,
        preprocess: Preprocess | None = None,
        name: str = "network",
    ) -> None:
        owner = owner_of(encode)
        backbone = FunctionBackbone(encode, decode, name=name, classes=classes, preprocess=preprocess, owner=owner)
        self._set(backbone, f"{FROM_PYTHON}{name}", "" if owner is None else module_digest(owner))

    @classmethod
    def cut(
        cls,
        module: nn.Module,
        layer: str | None = None,
        *,
        classes: Sequence[str] | None = None,
        preprocess: Preprocess | None = None,
        example: Tensor | None = None,
        name: str | None = None,
    ) -> Self:
        """Cut any torch module behind `layer`: z is what that layer gives, averaged over a large map, G the rest.

        Args:
            module: f, from images to logits or images; it stays as it is, in the mode and on the device it is in.
            layer: a name of `module.named_modules()`; None cuts before the last linear layer.
            classes: names of the logits; None numbers them.
            preprocess: from a Pillow image to what the module takes, for pictures.
            example: what the module takes (B, …); None: a blank picture's, or the first inputs that are encoded.
            name: what to call the network; None takes the name of the module's class.

        Raises UsageError for a layer that does not exist or at which the module cannot be cut.

        >>> net = Network.cut(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), "1")
        >>> net.encode(torch.zeros(5, 4)).shape, net.answers(torch.zeros(1, 3)).shape
        (torch.Size([5, 3]), torch.Size([1, 2]))
        """
        if not isinstance(module, nn.Module):
            raise UsageError(f"Network.cut cuts a torch module, not a {type(module).__name__}")
        called = name or type(module).__name__
        backbone = CutModule(module, layer, name=called, classes=classes, preprocess=preprocess, example=example)
        network = cls.__new__(cls)
        network._set(backbone, f"{FROM_PYTHON}{called}", module_digest(module), layer=layer)
        return network

    @classmethod
    def of(
        cls,
        backbone: Backbone,
        source: str,
        sha256: str,
        data: dict[str, Any] | None = None,
        weights: str = "default",
        layer: str | None = None,
        device: torch.device | str = "cpu",
        precision: Wanted = "float32",
    ) -> Self:
        """Freeze `backbone`, move it to `device`, and say where it comes from. PluginError for what is no backbone."""
        if not (isinstance(backbone, nn.Module) and isinstance(backbone, Backbone)):
            raise PluginError(f"the backbone {type(backbone).__name__} is not a torch module with iin's contract")
        network = cls.__new__(cls)
        backbone.to(device).eval().requires_grad_(False)
        network._set(backbone, source, sha256, data, weights, layer, torch.device(device))
        network.want(precision)
        return network

    def _set(
        self,
        backbone: Backbone,
        source: str,
        sha256: str,
        data: dict[str, Any] | None = None,
        weights: str = "default",
        layer: str | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.backbone, self.source, self.sha256, self.data = backbone, source, sha256, data
        self.weights, self.layer = weights, layer
        self._device = device
        self._encoder: Encoder | None = None
        self.want("float32")

    def __repr__(self) -> str:
        where = f" at {self.layer}" if self.layer else ""
        try:
            return f"Network({self.name}{where}: {self.latent_dim} features, {self.answer.verb})"
        except UsageError:
            return f"Network({self.name}{where})"

    @property
    def name(self) -> str:
        """What the backbone is called, its argument included."""
        return self.backbone.name

    @property
    def latent_dim(self) -> int:
        """N."""
        return self.backbone.latent_dim

    @property
    def device(self) -> torch.device:
        """Where the network computes: where it was opened, or where the user's module is."""
        if isinstance(self.backbone, FunctionBackbone):
            return self.backbone.device
        return self._device or torch.device("cpu")

    @property
    def precision(self) -> Precision:
        """In which precision its latents are computed; float32 as long as `auto` is not settled."""
        return "bfloat16" if self.wanted_precision == "bfloat16" else "float32"

    def want(self, precision: Wanted) -> None:
        """Ask for a precision; whether it can be had is seen, and `settled`, by the first data that are encoded."""
        self.wanted_precision, self.settled = precision, precision == "float32"

    def settle(self, precision: Precision) -> None:
        """Compute latents in `precision` from now on."""
        self.wanted_precision, self.settled = precision, True

    @property
    def encoder(self) -> Encoder:
        """E for many images: the same numbers as the backbone's within rounding, or bfloat16's where that was chosen.

        G, and E of single pictures in float32, are always the backbone's own.
        """
        if self._encoder is None or self._encoder.precision != self.precision:
            # A module given from Python is borrowed, and may be trained on.
            is_own = not isinstance(self.backbone, FunctionBackbone)
            self._encoder = Encoder(self.backbone, self.precision, may_copy=is_own)
        return self._encoder

    @property
    def answer(self) -> Answer:
        """What G answers with; of a network given from Python it is known once something was encoded."""
        return answer_of(self.backbone.classes) if self.backbone.has_head else Nothing(self.name)

    @property
    def takes_pictures(self) -> bool:
        """Whether pictures can be encoded; a module without preprocessing takes its own inputs only."""
        return not isinstance(self.backbone, FunctionBackbone) or self.backbone.preprocess is not None

    @property
    def image_size(self) -> int:
        """Side S at which pictures are read and drawn."""
        return self.backbone.image_size

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; UsageError for a network that draws images, or answers nothing."""
        if not isinstance(self.require_head().answer, Classes):
            raise UsageError(f"{self.name} draws images and names no class: use a classifier")
        return self.answer.names

    def require_head(self) -> Self:
        """Return this network if it has a G; UsageError for an encoder without a head."""
        if isinstance(self.answer, Nothing):
            raise UsageError(self.answer.refusal)
        return self

    def require_images(self) -> Self:
        """Return this network if it draws images; UsageError for a classifier, and for an encoder without a head."""
        if not isinstance(self.require_head().answer, Images):
            raise UsageError(f"{self.name} is a classifier and draws no images: use `iin walk --mode ou`")
        return self

    def layers(self) -> tuple[str, ...]:
        """Names of the layers at which `at_layer` cuts the network, in the order they are computed; none for some."""
        return layers_of(self.backbone)

    def at_layer(self, layer: str) -> Network:
        """Return the same network f cut behind `layer`.

        Raises UsageError for a layer that does not exist, or at which the network cannot be cut.
        """
        cut = at_layer(self.backbone, layer)
        whence = self.source, self.sha256, self.data, self.weights
        found = Network.of(cut, *whence, layer, self.device, self.wanted_precision)
        found.settled = self.settled
        return found

    def encode_layers(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Return z (B, N of that layer) of images (B, 3, S, S) in [-1, 1] for each of `layers`."""
        return encode_layers(self.backbone, images, layers)

    @property
    def provenance(self) -> dict[str, str | None]:
        """What a translator remembers of its backbone."""
        return {
            "name": self.name,
            "source": self.source,
            "sha256": self.sha256,
            "weights": self.weights,
            "layer": self.layer,
            "precision": self.precision,
        }

    def encode(self, images: Any, *, batch_size: int = 64, report: Reporter | None = None) -> Tensor:
        """E of images as users hold them: z (M, N) in float32 on the CPU, of a stochastic encoder the mean.

        Args:
            images: float arrays or tensors (M, …), what the network takes; or pictures: uint8 arrays (M, H, W, 3),
                Pillow images, or a torch dataset of either, alone or as the first of a tuple.
            batch_size: images at once.

        Raises DataError for other images, values that are not finite, and features that are no z (B, N).
        """
        rows = []
        with (report or Silent()).task("encoding", count_of(images), "images") as task:
            for start, batch in enumerate(batches_of(images, batch_size)):
                found = self._encode_batch(batch).cpu()
                finite = found.isfinite().all(1)
                if not finite.all():
                    first = start * batch_size + int((~finite).nonzero()[0])
                    raise DataError(f"{self.name} gives features that are not finite for image {first}")
                rows.append(found)
                task.advance(len(found))
        return torch.cat(rows)

    def _encode_batch(self, batch: ImageBatch) -> Tensor:
        own = self.backbone if isinstance(self.backbone, FunctionBackbone) else None
        if batch.inputs is not None:
            self._require_near(batch.inputs)
            if own is not None:
                return own.encode_inputs(batch.inputs)
            with torch.inference_mode():
                return self._own_encode(batch.inputs.float().to(self.device)).float()
        if own is None:
            return self.encode_pixels(self.resized(batch.pictures))
        if own.preprocess is None:
            raise DataError(f"pictures need preprocessing: give {self.name} preprocess=…, or float inputs")
        return own.encode_inputs(prepared(batch.pictures, own.preprocess))

    def _require_near(self, inputs: Tensor) -> None:
        if inputs.device.type != "cpu" and inputs.device.type != self.device.type:
            raise DataError(f"images are on {inputs.device}, {self.name} is on {self.device}: write images.cpu()")

    def resized(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Bring pictures uint8 (H, W, 3) to the network's size: uint8 (B, S, S, 3)."""
        size, way = self.image_size, Image.Resampling[self.backbone.interpolation.upper()]

        def fit(picture: np.ndarray) -> np.ndarray:
            if picture.shape[:2] == (size, size):
                return picture
            return np.asarray(Image.fromarray(picture).resize((size, size), way))

        return np.stack([fit(picture) for picture in pictures])

    def encode_pixels(self, pixels: np.ndarray, height: int | None = None) -> Tensor:
        """Encode images uint8 (B, S, S, 3) to z (B, N), of a stochastic encoder the posterior's mean.

        Args:
            height: of the pieces, where another than the usual one is known to give the same numbers.
        """
        height = height or image_rows(self.device, pixels.shape[1])
        # Torch takes no array that may not be written to, as Pillow's are.
        rows = torch.from_numpy(np.require(pixels, requirements="W"))
        return torch.cat(list(shared(self._encoded, rows, height, height, by=(self,))))

    def _encoded(self, pixels: Tensor, height: int) -> Iterator[Tensor]:
        # In one layout, whether a piece is filled up or not: convolutions round otherwise in another.
        take = lambda rows: as_images(np.asarray(pixels[rows])).contiguous()  # noqa: E731
        concurrent = self.backbone.is_concurrent
        # Convolutions of a few images round otherwise when several cores share them.
        return in_pieces(
            len(pixels), take, self._own_encode, self.device, height, is_concurrent=concurrent, one_core_each=True
        )

    def _own_encode(self, images: Tensor) -> Tensor:
        return self.backbone.encode(images) if self.precision == "float32" else self.encoder.encode(images)

    def answers(self, z: Tensor, report: Reporter | None = None, height: int | None = None) -> Tensor:
        """Answer latents z (B, N), in pieces, on the CPU: images (B, 3, S, S), or log-probabilities (B, classes).

        Args:
            height: as `encode_pixels`.

        Raises UsageError for an encoder without a head.
        """
        self.require_head()
        decoded = []
        with (report or Silent()).task("predicting" if self.answer.names else "decoding", len(z), "latents") as task:
            for piece in self.decoded(z, height):
                decoded.append(piece)
                task.advance(len(piece))
        return self.answer.of(torch.cat(decoded))

    def draw(self, z: Tensor, report: Reporter | None = None, height: int | None = None) -> np.ndarray:
        """Decode z (B, N) to images uint8 (B, S, S, 3); `height` as `encode_pixels`. UsageError without a head."""
        self.require_head()
        drawn = []
        with (report or Silent()).task("decoding", len(z), "images") as task:
            for images in self.decoded(z, height):
                drawn.append(to_pixels(images))
                task.advance(len(images))
        return np.concatenate(drawn)

    def decoded(self, z: Tensor, height: int | None = None) -> Iterable[Tensor]:
        """Yield what G itself gives for z (M, N), piece by piece, on the CPU: images or logits."""
        height = height or piece_rows(self.device)
        return shared(self._decoded, z, height, height, by=(self,))

    def _decoded(self, z: Tensor, height: int) -> Iterator[Tensor]:
        backbone, concurrent = self.backbone, self.backbone.is_concurrent
        return in_pieces(len(z), z.__getitem__, backbone.decode, self.device, height, is_concurrent=concurrent)
