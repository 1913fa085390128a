"""Any torch module, or two functions, as a backbone: what a notebook hands in instead of a registered network.

The module is borrowed: it is computed with in evaluation mode and found afterwards in the mode it was in; its weights,
its device and its gradients are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..cutting.cut import Cut, cut_at, cut_before_head, evaluating
from ..cutting.hooked import HookedCut
from ..errors import DataError, UsageError, nearest
from ..plugin_api import Backbone
from .contract import shape_of, unlike_answers, unlike_features

__all__ = ["CutModule", "FunctionBackbone", "Preprocess", "owner_of", "prepared"]

# From one picture to what a network takes, (C, H, W): a transform of torchvision or timm.
Preprocess = Callable[[Image.Image], Tensor]
# Side of the blank picture that shows what `preprocess` makes of one; transforms resize and crop as they like.
PROBE_SIDE = 256
# Two encodings of one input, alone and beside another, differ by rounding; where rows mix they differ by more.
MIXED = 1e-2


class FunctionBackbone(nn.Module, Backbone):
    """E and G given as two functions; N and what G answers with are seen when the first inputs are encoded.

    Args:
        encode: what the network takes (B, …) -> z (B, N).
        decode: z (B, N) -> logits (B, C) or images (B, 3, S, S) in [-1, 1]; None for an encoder alone.
        classes: names of the logits; None numbers them.
        preprocess: from a picture to what `encode` takes.
        owner: the module whose mode and device count; None for functions of no module.
    """

    def __init__(
        self,
        encode: Callable[[Tensor], Tensor],
        decode: Callable[[Tensor], Tensor] | None,
        *,
        name: str,
        classes: Sequence[str] | None = None,
        preprocess: Preprocess | None = None,
        owner: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.name, self.image_size, self.preprocess = name, PROBE_SIDE, preprocess
        self.config: dict[str, Any] = {}
        self.classes = None if classes is None else tuple(map(str, classes))
        # Held in lists, so that no method of this module reaches the user's.
        self._functions, self._owner = [encode, decode], [owner]
        self._dim: int | None = None

    @property
    def latent_dim(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """N. UsageError before anything was encoded."""
        if self._dim is None:
            raise UsageError(f"{self.name} has encoded nothing yet, so that N is not known: call encode(images) first")
        return self._dim

    @property
    def has_head(self) -> bool:
        """Whether there is a G."""
        return self._functions[1] is not None

    @property
    def device(self) -> torch.device:
        """Where the module's weights are; the CPU for functions of no module."""
        tensor = next(self._weights(), None)
        return torch.device("cpu") if tensor is None else tensor.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the module's weights; float32 for functions of no module."""
        floating = (tensor.dtype for tensor in self._weights() if tensor.is_floating_point())
        return next(floating, torch.float32)

    def _weights(self) -> Any:
        owner = self._owner[0]
        return iter(()) if owner is None else iter([*owner.parameters(), *owner.buffers()])

    def encode_inputs(self, inputs: Tensor) -> Tensor:
        """E: what the network takes (B, …) -> z (B, N) in float32. DataError where that is not what E gives."""
        found = self._run(0, inputs.to(self.device, self.dtype))
        # Rows that are not finite are named by whoever knows their numbers.
        if (wrong := unlike_features(found, len(inputs), finite=False)) is not None:
            raise DataError(f"{self.name}: {wrong}")
        if self._dim is None:
            self._learn(inputs, found)
        if found.shape[1] != self._dim:
            raise DataError(f"{self.name} gives {found.shape[1]} features, and gave {self._dim} before")
        return found.float()

    def encode(self, images: Tensor) -> Tensor:
        """E: pictures (B, 3, S, S) in [-1, 1] -> z (B, N); they go through `preprocess` where there is one."""
        if self.preprocess is None:
            return self.encode_inputs(images)
        pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return self.encode_inputs(prepared(list(pixels), self.preprocess))

    def decode(self, z: Tensor) -> Tensor:
        """G: z (B, N) -> logits (B, C) or images (B, 3, S, S), with gradients where z wants them.

        UsageError for an encoder alone.
        """
        if not self.has_head:
            raise UsageError(f"{self.name} is an encoder without a head: give Network(encode=…, decode=…)")
        return self._run(1, z.to(self.device, self.dtype)).float()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NoReturn:
        """Raise UsageError: a function is in no checkpoint."""
        raise UsageError("this network was given from Python: open the translator there, iin.load(path, network=…)")

    def _run(self, which: int, values: Tensor) -> Tensor:
        function = self._functions[which]
        with evaluating(self._owner[0]), torch.set_grad_enabled(values.requires_grad):
            return function(values) if function is not None else values

    def _learn(self, inputs: Tensor, found: Tensor) -> None:
        """Take N and the kind of answer from the first encoding, and check that rows do not depend on each other."""
        if len(inputs) > 1:
            alone = self._run(0, inputs[:1].to(self.device, self.dtype))
            far = (alone[0] - found[0]).abs().max()
            if far.isfinite() and not far <= MIXED * found.abs().max().clamp_min(1e-6):
                raise DataError(
                    f"{self.name}: the features of an image depend on the images beside it (off by {far:.2g}): "
                    "normalise by running statistics, or cut at another layer"
                )
        self._dim = found.shape[1]
        if inputs.ndim == 4:
            self.image_size = inputs.shape[-1]
        if not self.has_head:
            return
        outputs = self._run(1, found[:1])
        if not isinstance(outputs, Tensor) or outputs.ndim not in (2, 4):
            raise DataError(f"{self.name}: G gives {shape_of(outputs)}, not logits (B, C) or images (B, 3, S, S)")
        self._learn_answer(outputs)
        wrong = unlike_answers(outputs, 1, self.classes)
        if wrong is not None and found[:1].isfinite().all():
            raise DataError(f"{self.name}: {wrong}")

    def _learn_answer(self, outputs: Tensor) -> None:
        if outputs.ndim == 4:
            self.image_size = outputs.shape[-1]
            if self.classes is not None:
                raise UsageError(f"{self.name} draws images and has no classes: leave classes out")
            return
        count = outputs.shape[1]
        if self.classes is None:
            self.classes = tuple(map(str, range(count)))
        # One logit tells two classes apart.
        if len(self.classes) != count and (count, len(self.classes)) != (1, 2):
            raise UsageError(f"{len(self.classes)} classes are named, and {self.name} has {count} logits: name each")


class CutModule(FunctionBackbone):
    """A module f cut behind one of its layers: z is what that layer gives, G the rest of f.

    Args:
        module: f.
        layer: name of the layer, as in `module.named_modules()`; None cuts before the last linear layer.
        example: what f takes (B, …); None: what `preprocess` makes of a picture, else the first inputs encoded.

    Raises UsageError for a layer that does not exist or at which f cannot be cut.
    """

    def __init__(
        self,
        module: nn.Module,
        layer: str | None,
        *,
        name: str,
        classes: Sequence[str] | None = None,
        preprocess: Preprocess | None = None,
        example: Tensor | None = None,
    ) -> None:
        super().__init__(
            self._encode_cut, self._decode_cut, name=name, classes=classes, preprocess=preprocess, owner=module
        )
        self.layer = layer
        self._cut: Cut | HookedCut | None = None
        self._require_layer(module, layer)
        if example is None and preprocess is not None:
            example = prepared([np.zeros((PROBE_SIDE, PROBE_SIDE, 3), np.uint8)] * 2, preprocess)
        if example is not None:
            self.encode_inputs(example)

    def forward(self, inputs: Tensor) -> Tensor:
        """F itself: what it takes (B, …) -> what it gives."""
        module = self._module()
        with evaluating(module), torch.no_grad():
            return module(inputs.to(self.device, self.dtype))

    def _module(self) -> nn.Module:
        """f; a cut always has one."""
        return self._owner[0] or self

    def _require_layer(self, module: nn.Module, layer: str | None) -> None:
        known = [each for each, _ in module.named_modules() if each]
        if layer is not None and layer not in known:
            raise UsageError(f"{self.name} has no layer {layer!r}: {_suggest(layer, known)}")

    def _encode_cut(self, inputs: Tensor) -> Tensor:
        return self._cut_for(inputs).encode(inputs)

    def _decode_cut(self, z: Tensor) -> Tensor:
        if self._cut is None:
            raise UsageError(f"{self.name} is not cut yet: call encode(images) first")
        return self._cut.decode(z)

    def _cut_for(self, inputs: Tensor) -> Cut | HookedCut:
        if self._cut is None:
            module = self._module()
            try:
                if self.layer is None:
                    self._cut = cut_before_head(module, self.name)
                else:
                    # Two rows, since a batch shows only then where it is kept.
                    two = inputs if len(inputs) > 1 else torch.cat((inputs, inputs))
                    self._cut = cut_at(module, self.layer, two[:2], self.name)
            except UsageError:
                raise
            # What cannot be traced fails in as many ways as there are modules.
            except Exception as error:
                reason = " ".join(str(error).split())[:160]
                raise UsageError(
                    f"{self.name} cannot be traced ({type(error).__name__}: {reason}): "
                    "give its two halves instead, Network(encode=…, decode=…)"
                ) from error
        return self._cut


def owner_of(function: Callable[..., Any]) -> nn.Module | None:
    """Return the module that `function` is, or is a method of; None for any other function."""
    owner = getattr(function, "__self__", function)
    return owner if isinstance(owner, nn.Module) else None


def prepared(pictures: Sequence[np.ndarray], preprocess: Preprocess) -> Tensor:
    """Send pictures uint8 (H, W, 3) through `preprocess` one by one: (B, …). DataError where it gives no tensors."""
    made = [preprocess(Image.fromarray(picture)) for picture in pictures]
    for each in made:
        if not isinstance(each, Tensor):
            raise DataError(f"preprocess gave {type(each).__name__}, not a tensor: end it with ToTensor()")
        if each.shape != made[0].shape:
            raise DataError(f"preprocess gave {shape_of(made[0])} and {shape_of(each)}: let it resize to one size")
    return torch.stack(made)


def _suggest(layer: str, known: list[str]) -> str:
    close = nearest(layer, known)
    return close if close.startswith("did you mean") else nearest(layer, [name for name in known if "." not in name])
