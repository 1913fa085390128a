"""What a network answers with: `Images` or `Classes`; each knows how to compare, measure, tabulate and name itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ..class_names import two_names, unique_names
from ..errors import UsageError
from ..metrics.response import class_response, image_response, pixel_change

__all__ = ["Answer", "Change", "Classes", "Effect", "Images", "Nothing", "answer_of"]


@dataclass(frozen=True)
class Change:
    """How answers along walks differ from those at the starts.

    Attributes:
        columns: name of a figure -> one row per start (B, K).
        samples: single points (B, P, C): log-probabilities, or absolute changes of an image.
        difference: the same points' change from the start.
    """

    columns: dict[str, np.ndarray]
    samples: np.ndarray
    difference: np.ndarray


@dataclass(frozen=True)
class Effect:
    """How an edit's effect on an answer is told.

    Attributes:
        verb: what the edit does, before the figure that `Answer.moved` gives.
        noun: what is counted.
        little: a figure below which the answer hardly moves.
        digits: how figures are written.
    """

    verb: str = "moves it by"
    noun: str = "change"
    little: float = 0.05
    digits: str = ".2f"


class Answer(ABC):
    """One of the two things a network G answers with.

    Attributes:
        kind: how JSON calls it.
        verb: what the network does, for a sentence.
        noun: what its answers are called.
        effect: how an edit's effect is told.
        names: the classes, in the order of the logits; empty where the answers are images.
    """

    kind: ClassVar[Literal["images", "classes", "nothing"]]
    verb: ClassVar[str]
    noun: ClassVar[str]
    effect: ClassVar[Effect] = Effect()
    names: tuple[str, ...] = ()

    @abstractmethod
    def of(self, outputs: Tensor) -> Tensor:
        """Turn what G gives (B, …) into answers: images as they are, logits into log-probabilities."""

    @abstractmethod
    def compare(self, start: Tensor, points: Tensor) -> Change:
        """Compare the answers at P points (B, P, …) with that at each start (B, …)."""

    @abstractmethod
    def agreement(self, before: Tensor, after: Tensor) -> np.ndarray | None:
        """Say which answers (B, …) name the same class, bool (B,); None where answers name none."""

    @abstractmethod
    def moved(self, before: Tensor, after: Tensor) -> np.ndarray:
        """Say how far each answer (B, …) moved, float64 (B,): 1 where the class flips, or the change of a pixel."""

    @abstractmethod
    def reproduced(self, before: Tensor, edited: Tensor, other: Tensor) -> np.ndarray:
        """Say how much of the way from `before` to `edited` the answers `other` (B, …) go, float64 (B,).

        Of classes 1 where the class flips and `other` names the same new one; of images the change less the distance
        that is left, in units of full brightness (below 0: further away than the start).
        """

    @abstractmethod
    def labels(self, answers: Tensor) -> np.ndarray | None:
        """Return the class number of each answer, int64 (B,); None where answers name no class."""

    @abstractmethod
    def row(self, answer: Tensor) -> dict[str, Any]:
        """Return one answer as columns of a table; nothing for an image."""


@dataclass(frozen=True)
class Images(Answer):
    """The network draws: answers are images (B, 3, S, S) in [-1, 1]."""

    kind: ClassVar[Literal["images", "classes", "nothing"]] = "images"
    verb: ClassVar[str] = "draws an image"
    noun: ClassVar[str] = "drawn images"
    # Most pixels of most images are background, which no edit moves.
    effect: ClassVar[Effect] = Effect("changes images by", little=0.01, digits=".3f")

    def of(self, outputs: Tensor) -> Tensor:
        """Return the images as they are, in float32."""
        return outputs.float()

    def compare(self, start: Tensor, points: Tensor) -> Change:
        """Compare pixels."""
        columns, samples = image_response(start, points)
        return Change(columns, samples, samples)

    def agreement(self, before: Tensor, after: Tensor) -> None:
        """Return None: images name no class."""

    def moved(self, before: Tensor, after: Tensor) -> np.ndarray:
        """Return the mean absolute change of a pixel, in units of full brightness."""
        return pixel_change(before, after)

    def reproduced(self, before: Tensor, edited: Tensor, other: Tensor) -> np.ndarray:
        """Return the change less the distance that is left."""
        return pixel_change(before, edited) - pixel_change(other, edited)

    def labels(self, answers: Tensor) -> None:
        """Return None: images name no class."""

    def row(self, answer: Tensor) -> dict[str, Any]:
        """Return no columns."""
        return {}


@dataclass(frozen=True)
class Classes(Answer):
    """The network classifies: answers are log-probabilities (B, C) of the classes `names`, all different.

    One logit is that of the second of two classes against the first.

    >>> import torch
    >>> Classes(("cat", "dog")).row(torch.tensor([0.25, 0.75]).log())["predicted"]
    'dog'
    """

    names: tuple[str, ...]

    kind: ClassVar[Literal["images", "classes", "nothing"]] = "classes"
    verb: ClassVar[str] = "names a class"
    noun: ClassVar[str] = "predictions"
    effect: ClassVar[Effect] = Effect("flips", "flips")

    def of(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities (B, C) of logits (B, C); of one logit (B, 1) those of its sigmoid, (B, 2)."""
        logits = outputs.float()
        if logits.shape[1] == 1:
            # softmax((0, x)) is (1 − sigmoid(x), sigmoid(x)).
            logits = torch.cat((torch.zeros_like(logits), logits), 1)
        return logits.log_softmax(1)

    def compare(self, start: Tensor, points: Tensor) -> Change:
        """Compare predicted classes and log-probabilities."""
        return Change(class_response(start, points), points.numpy(), (points - start[:, None]).numpy())

    def agreement(self, before: Tensor, after: Tensor) -> np.ndarray:
        """Say where the most probable class is the same."""
        return (before.argmax(1) == after.argmax(1)).numpy()

    def moved(self, before: Tensor, after: Tensor) -> np.ndarray:
        """Return 1 where the most probable class is another."""
        return (~self.agreement(before, after)).astype(np.float64)

    def reproduced(self, before: Tensor, edited: Tensor, other: Tensor) -> np.ndarray:
        """Return 1 where the class flips and `other` names the same new one."""
        return self.moved(before, edited) * self.agreement(edited, other)

    def labels(self, answers: Tensor) -> np.ndarray:
        """Return the most probable class of each answer."""
        return answers.argmax(1).numpy()

    def row(self, answer: Tensor) -> dict[str, Any]:
        """Return the predicted class and all log-probabilities by name."""
        return {"predicted": self.names[int(answer.argmax())], "log_probability": self.by_name(answer)}

    def by_name(self, values: Tensor) -> dict[str, float]:
        """Name the values (C,) of one row."""
        return dict(zip(self.names, values.tolist(), strict=True))


@dataclass(frozen=True)
class Nothing(Answer):
    """An encoder without a head: there is a representation to read and to edit, and no answer to compare.

    Attributes:
        network: what the encoder is called.
    """

    network: str = "the network"

    kind: ClassVar[Literal["images", "classes", "nothing"]] = "nothing"
    verb: ClassVar[str] = "answers nothing"
    noun: ClassVar[str] = "no answers"

    @property
    def refusal(self) -> str:
        """What to say to a command that needs an answer."""
        return (
            f"{self.network} is an encoder without a head: it has no G that answers edited latents; "
            "estimate-dims, fit-translator, audit, embed and explain need none, "
            "and from Python Network(encode=…, decode=…) gives it one"
        )

    def of(self, outputs: Tensor) -> Tensor:
        """Raise UsageError: there is no G."""
        raise UsageError(self.refusal)

    def compare(self, start: Tensor, points: Tensor) -> Change:
        """Raise UsageError: there is no G."""
        raise UsageError(self.refusal)

    def agreement(self, before: Tensor, after: Tensor) -> None:
        """Return None: nothing is answered."""

    def moved(self, before: Tensor, after: Tensor) -> np.ndarray:
        """Raise UsageError: there is no G."""
        raise UsageError(self.refusal)

    def reproduced(self, before: Tensor, edited: Tensor, other: Tensor) -> np.ndarray:
        """Raise UsageError: there is no G."""
        raise UsageError(self.refusal)

    def labels(self, answers: Tensor) -> None:
        """Return None: nothing is answered."""

    def row(self, answer: Tensor) -> dict[str, Any]:
        """Return no columns."""
        return {}


def answer_of(classes: Sequence[str] | None) -> Answer:
    """Return the answer of a backbone with these `classes`, one per logit; None means that it draws images.

    Here, and only here, the classes of every network get names that are all different.

    >>> answer_of(["crane", "crane"]).names, answer_of(["smiling"]).names
    (('crane (0)', 'crane (1)'), ('not smiling', 'smiling'))
    """
    if classes is None:
        return Images()
    return _classes(tuple(classes))


@lru_cache(maxsize=8)
def _classes(names: tuple[str, ...]) -> Classes:
    # Networks are asked for their answer with every latent, and a thousand names take a millisecond.
    return Classes(two_names(names[0]) if len(names) == 1 else unique_names(names))
