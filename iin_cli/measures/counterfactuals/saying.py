"""What is said of latents, with gradients: by a classifier, or by a judge of the images that a network draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from ...crew import shared
from ...errors import UsageError, nearest
from ...interpretation.network import Network
from ...interpretation.open_translator import OpenTranslator

__all__ = ["Saying"]

# Instead of a class: every class but the image's own; more than this many must be named.
EVERY, MOST_CLASSES = "all", 20
# Rows that pass through T⁻¹ and G together, with their gradients.
ROWS = 256


@dataclass(frozen=True)
class Saying:
    """The classes that z̃ is given: by f itself, or by a judge that looks at the image G draws.

    Attributes:
        judge: a classifier of images; None where the network classifies.
        names: the classes.
    """

    opened: OpenTranslator
    judge: Network | None
    names: tuple[str, ...]

    @classmethod
    def of(cls, opened: OpenTranslator, judge: Network | None = None) -> Self:
        """Ask the network, or a `judge` of what it draws.

        Raises UsageError for a network that draws and no judge, and for a judge of a network that classifies.
        """
        network = opened.require_network().require_head()
        if judge is None:
            if not network.answer.names:
                raise UsageError(
                    f"{network.name} draws images and names no class: give --oracle a classifier of such images"
                )
            return cls(opened, None, network.classes)
        if network.answer.names:
            raise UsageError(f"{network.name} names classes itself: leave --oracle out")
        return cls(opened, judge, judge.classes)

    def numbers(self, targets: Sequence[str]) -> list[int]:
        """Return the numbers of the classes named, or of each where that is `all` alone.

        UsageError with the nearest names for an unknown class, for none, and for `all` of very many.
        """
        if tuple(targets) == (EVERY,) and EVERY not in self.names:
            if len(self.names) > MOST_CLASSES:
                raise UsageError(f"--target all would be {len(self.names)} classes: name up to {MOST_CLASSES} of them")
            return list(range(len(self.names)))
        for name in targets:
            if name not in self.names:
                raise UsageError(f"--target {name!r} is no class of {self._called}: {nearest(name, self.names)}")
        if not targets:
            raise UsageError("which class? name it with --target")
        return [self.names.index(name) for name in dict.fromkeys(targets)]

    @property
    def _called(self) -> str:
        return (self.judge or self.opened.require_network()).name

    def of_latents(self, z: Tensor) -> Tensor:
        """Return log-probabilities (B, C) of z (B, N), differentiable."""
        network = self.opened.require_network()
        found = network.backbone.decode(z)
        if self.judge is None:
            return network.answer.of(found)
        backbone, size = self.judge.backbone, self.judge.image_size
        if found.shape[-1] != size:
            found = F.interpolate(found, (size, size), mode="bilinear", antialias=True)
        return self.judge.answer.of(backbone.decode(backbone.encode(found)))

    def of_edits(self, z_tilde: Tensor) -> Tensor:
        """Return log-probabilities (B, C) of z̃ (B, N), in pieces, without gradients."""
        return torch.cat(list(self._shared(self._said, z_tilde)))

    def margin(self, z_tilde: Tensor, target: Tensor) -> Tensor:
        """Return by how much the target leads, in nats (B,): its log-probability minus the next best class's."""
        return _lead(self.of_edits(z_tilde), target)

    def margin_and_slope(self, z_tilde: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the margin (B,) and its gradient by z̃ (B, N)."""
        # In one array with the classes, which are small whole numbers, so that rows can be sent.
        found = torch.cat(list(self._shared(self._pushed, torch.cat((z_tilde, target[:, None].to(z_tilde)), 1))))
        return found[:, 0], found[:, 1:]

    def _shared(self, function: Callable[[Tensor], Iterator[Tensor]], rows: Tensor) -> Iterable[Tensor]:
        return shared(function, rows, ROWS, by=(self.opened, self.opened.network, self.judge or self.opened))

    def _said(self, z_tilde: Tensor) -> Iterator[Tensor]:
        """Yield log-probabilities (B, C) of z̃ (M, N), some rows at a time."""
        for rows in z_tilde.split(ROWS):
            with torch.no_grad():
                yield self.of_latents(self.opened.translator.inverse(rows.to(self.opened.device))).cpu()

    def _pushed(self, rows: Tensor) -> Iterator[Tensor]:
        """Yield margins and their gradients (B, 1 + N) of z̃ with targets behind (M, N + 1), some rows at a time."""
        for some in rows.split(ROWS):
            with torch.enable_grad():
                variable = some[:, :-1].to(self.opened.device).detach().requires_grad_(True)
                wanted = some[:, -1].long().to(self.opened.device)
                margin = _lead(self.of_latents(self.opened.translator.inverse(variable)), wanted)
                # Rows do not depend on each other.
                (slope,) = torch.autograd.grad(margin.sum(), variable)
            yield torch.cat((margin.detach()[:, None], slope), 1).cpu()


def _lead(said: Tensor, target: Tensor) -> Tensor:
    own = said.gather(1, target[:, None])[:, 0]
    return own - said.scatter(1, target[:, None], -torch.inf).max(1).values
