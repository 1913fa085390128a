"""Cut a network whose code cannot be traced: E reads at a layer, G is f with that layer's output put in its place."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError, nearest
from .feature_maps import Form, as_latent, inner_name

__all__ = ["HookedCut", "hooked_layers"]

# Rounding explains differences between two answers up to this part of the largest number.
ROUNDING = 1e-4


class HookedCut:
    """E and G of a network, cut behind the last use of the module `layer`.

    The network always runs as a whole, so G takes as long as f.

    Args:
        inputs: (B, …) example inputs; B of at least 2 tells values with a row per image from others.
        called: the network's name, for messages.
        within: name of the part of the network in which the layer has its name.
        with_rest: whether the rest of the network is wanted, so that no branch may bypass the layer.

    Attributes:
        dim: N.
        is_concurrent: whether several threads may use the cut at once; not where hooks are set for each use.

    Raises UsageError when the layer is not computed, its output is not one tensor with a row per image, or the rest of
    the network needs more than that output.
    """

    is_concurrent = False

    def __init__(
        self,
        network: nn.Module,
        layer: str,
        inputs: Tensor,
        called: str,
        within: str = "",
        with_rest: bool = True,
    ) -> None:
        self._network, self._called = network, called
        part = dict(network.get_submodule(within).named_modules())
        if not layer or layer not in part:
            known = [name for name in part if name]
            outer = [name for name in known if "." not in name]
            close = nearest(layer, known)
            hint = close if close.startswith("did you mean") else nearest(layer, outer)
            raise UsageError(f"--layer {layer}: {called} has no such layer; {hint}")
        self._module = part[layer]
        self._example = inputs[:1]
        with torch.no_grad():
            values = self._outputs(inputs)
            self._uses = len(values)
            if not values:
                raise UsageError(f"--layer {layer}: {called} does not compute that layer; choose another")
            form = Form.of(values[-1], len(inputs))
            if form is None:
                raise UsageError(
                    f"--layer {layer}: its output in {called} is not one tensor with a row per image; choose another"
                )
            self.form, self.dim = form, form.dim
            if with_rest and self._is_bypassed(inputs, values[-1]):
                raise UsageError(
                    f"--layer {layer}: {called} cannot be cut there, since a branch bypasses that layer; choose another"
                )

    def encode(self, inputs: Tensor) -> Tensor:
        """E: the network's inputs (B, …) -> z (B, N)."""
        values = self._outputs(inputs)
        if len(values) != self._uses:
            raise UsageError(
                f"{self._called} uses a layer {len(values)} times for these images, {self._uses} for others"
            )
        return as_latent(values[-1])

    def decode(self, z: Tensor) -> Tensor:
        """G: z (B, N) -> the network's output."""
        return self._rest(self._example.expand(len(z), *self._example.shape[1:]), self.form.spread(z))

    def _outputs(self, inputs: Tensor) -> list[Any]:
        """Return what the layer gives, use by use."""
        values: list[Any] = []

        def keep(_module: nn.Module, _inputs: object, value: Any) -> None:
            # Copied at once, since the next layer may work in place.
            values.append(value.clone() if isinstance(value, Tensor) else value)

        hook = self._module.register_forward_hook(keep)
        try:
            self._network(inputs)
        finally:
            hook.remove()
        return values

    def _rest(self, inputs: Tensor, value: Tensor) -> Any:
        """Run the network on `inputs`, with `value` as the output of the layer's last use."""
        uses = 0

        def put(_module: nn.Module, _inputs: object, own: Any) -> Any:
            nonlocal uses
            uses += 1
            return value if uses == self._uses else own

        hook = self._module.register_forward_hook(put)
        try:
            return self._network(inputs)
        finally:
            hook.remove()

    def _is_bypassed(self, inputs: Tensor, value: Tensor) -> bool:
        """Say whether the answer still depends on the inputs when the layer's output is given."""
        generator = torch.Generator().manual_seed(0)
        other = inputs + torch.randn(inputs.shape, generator=generator).to(inputs)
        first, second = (self._rest(each, value.clone()) for each in (inputs, other))
        if not isinstance(first, Tensor):
            raise UsageError(f"{self._called} gives a {type(first).__name__}, not one tensor: it cannot be cut")
        return not torch.allclose(first, second, rtol=ROUNDING, atol=ROUNDING * float(first.abs().max()))


def hooked_layers(network: nn.Module, inputs: Tensor, within: str = "", with_rest: bool = True) -> tuple[str, ...]:
    """Return the layer names that `HookedCut` accepts, in the order of their last uses; arguments as there."""
    order: list[str] = []

    def note(name: str) -> None:
        if name in order:
            order.remove(name)
        order.append(name)

    names = [name for name, _ in network.named_modules() if inner_name(name, within) is not None]
    hooks = [network.get_submodule(name).register_forward_hook(lambda *_, name=name: note(name)) for name in names]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    found = []
    for name in order:
        layer = inner_name(name, within) or ""
        try:
            HookedCut(network, layer, inputs, "", within, with_rest)
        except UsageError:
            continue
        found.append(layer)
    return tuple(found)
