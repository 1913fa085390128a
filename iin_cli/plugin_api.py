"""The contracts a plugin implements: `Backbone`, `Dataset`, `ConceptProvider`, `Family`, on one page.

A plugin is an installed package whose `pyproject.toml` names a factory in one of these entry-point groups:

    [project.entry-points."iin.backbones"]
    mynet = "my_package:MyNet"            # a Backbone class
    [project.entry-points."iin.datasets"]
    faces = "my_package:open_faces"       # open_faces(data_root[, argument][, report][, skip_bad]) -> Dataset
    [project.entry-points."iin.concepts"]
    smile = "my_package:smile_concept"    # smile_concept([argument]) -> ConceptProvider
    [project.entry-points."iin.commands"]
    train-smile = "my_package.cli:run"    # a function that Typer can make a command of; its module imports no torch
    [project.entry-points."iin.weights.timm"]
    resnet18 = "my_package:weights"       # weights() -> a path, or tensors by name, of `timm:resnet18`

The built-ins are registered the same way. On the command line a name may carry an argument after a colon
(`--concept label:digit`, `--backbone timm:resnet18`); factories receive it as `argument`, or None. For a function
without that parameter, and for a backbone with `takes_argument = False`, the registry refuses an argument.
Images are float (B, 3, S, S) in [-1, 1] for a backbone and uint8 (B, S, S, 3) sRGB from a dataset.
N is the latent size.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .batch_part import BatchPart
from .class_names import unique_names
from .errors import DataError, UsageError
from .progress import Reporter

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

__all__ = [
    "Backbone",
    "BatchPart",
    "Circumstances",
    "ConceptProvider",
    "DataFacts",
    "Dataset",
    "Family",
    "Groups",
    "Interpolation",
    "Labels",
    "Recipe",
    "Relation",
    "check_columns",
    "is_path",
]

Interpolation = Literal["bicubic", "bilinear"]
Relation = Literal["share", "differ"]


# ---------------------------------------------------------------------------------------------------------- datasets
@dataclass(frozen=True)
class Labels:
    """One column of labels: `values` (M,) int64 holds the label of every item, `names[v]` is the name of label v.

    `names` is None for labels that are only ids (colour 17 of 6,000), and for a continuous column, whose `values` are
    float64 (an angle). Two labels of one name are told apart by their numbers.
    """

    values: np.ndarray
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", None if self.names is None else unique_names(self.names))

    @property
    def continuous(self) -> bool:
        """Whether the values are measurements rather than the numbers of labels."""
        return self.values.dtype.kind == "f"


class Dataset(ABC):
    """M items, each an image with labels, and disjoint splits `train` and `test`.

    Attributes:
        name: how the user named it (`colormnist`, or the path of a folder).
        labels: column name -> `Labels`. `class` is the column a classifier is trained on.
        splits: `train` and `test` -> int64 indices; deterministic, disjoint, no source in both.
        sources: (M,) int64, the underlying image of each item: two renderings of one drawing share a source.
        fingerprint: hex digest of the content; equal fingerprints mean equal images, order and labels.
        native_size: side in pixels of the images as stored.
        colors: (M, 3) in [0, 1], where every item has one colour of its own; else None.
        whole: the dataset of which this is a subset; else None.
        remembered: JSON values that a checkpoint keeps of it, too: `left_out` (item -> why), `greys`.
    """

    name: str
    labels: Mapping[str, Labels]
    splits: Mapping[str, np.ndarray]
    sources: np.ndarray
    fingerprint: str
    native_size: int
    colors: np.ndarray | None = None
    whole: Dataset | None = None
    remembered: Mapping[str, Any] = {}

    @abstractmethod
    def images(self, indices: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Return items `indices` (B,) as uint8 (B, size, size, 3), resized with antialiasing.

        Raises DataError naming the file when an image cannot be read.
        """

    def path(self, index: int) -> str:
        """Return the name of item `index` for messages and captions: the file's path where there is one."""
        return f"{self.name}[{index}]"

    def column(self, name: str) -> str | None:
        """Return the exact name of the label column `name`, given in any case; None unless exactly one fits."""
        if name in self.labels:
            return name
        alike = [column for column in self.labels if column.casefold() == name.casefold()]
        return alike[0] if len(alike) == 1 else None

    def subset(self, split: str, items: np.ndarray) -> Dataset:
        """Return this dataset with `items` (B,) as its split `split`; everything else is unchanged."""
        chosen = copy.copy(self)
        chosen.splits, chosen.whole = {**self.splits, split: items}, self.whole or self
        return chosen


# ---------------------------------------------------------------------------------------------------------- concepts
@dataclass(frozen=True)
class Groups:
    """Items in groups: any two items of one group make a pair of the provider's relation.

    Item i is variant `variants[i]` of the dataset's image `indices[i]`, as `provider.draw` draws it; variant 0 is the
    image itself. All arrays are int64 of shape (M,). Groups of one item make no pair.
    """

    indices: np.ndarray
    variants: np.ndarray
    group_ids: np.ndarray


@dataclass(frozen=True)
class Circumstances:
    """Settings and services that a concept may use while it prepares itself.

    Attributes:
        device: torch's name of the device (`cpu`, `cuda:0`).
        image_size, interpolation: how the backbone sees the images.
        seed, report: seed of everything random, and what receives progress.
    """

    device: str
    image_size: int
    interpolation: Interpolation
    seed: int
    report: Reporter


class ConceptProvider(ABC):
    """A named concept as pairs of images that share it, or that differ in nothing else.

    Attributes:
        concept: name of the factor (`digit`).
        relation: `share`: two items of a group have the concept in common and nothing else;
            `differ`: they have everything in common but the concept.
        fingerprint: part of the latents' cache key; it must change whenever `draw` would draw something else.
    """

    concept: str
    relation: Relation
    fingerprint: str = "identity"

    # Not abstract: most concepts have nothing to learn.
    def prepare(self, dataset: Dataset, indices: np.ndarray, circumstances: Circumstances) -> None:  # noqa: B027
        """Get ready to group and render items `indices` (M,) of `dataset`; called once, before anything else.

        Override it for a concept that has to be learned first. Raises DataError for data it cannot learn from.
        """

    @abstractmethod
    def groups(self, dataset: Dataset, indices: np.ndarray, seed: int) -> Groups:
        """Group the items `indices` (M,) of `dataset`, deterministically in `seed`.

        Raises DataError when the dataset has no such labels.
        """

    def render(self, images: np.ndarray, variant: int) -> np.ndarray:
        """Draw variant number `variant` of `images` uint8 (B, S, S, 3); 0 returns them as they are."""
        if variant != 0:
            raise UsageError(f"concept {self.concept} has no variant {variant}")
        return images

    def draw(
        self, dataset: Dataset, indices: np.ndarray, size: int, interpolation: Interpolation, variant: int
    ) -> np.ndarray:
        """Draw variant `variant` of items `indices` (B,) of `dataset`: uint8 (B, size, size, 3).

        The default applies `render` to the images; override it for variants that are not a function of the images.
        """
        return self.render(dataset.images(indices, size, interpolation), variant)

    def variant_name(self, variant: int) -> str:
        """Return the name of variant number `variant`, for the heading of a column of pictures."""
        return f"variant {variant}" if variant else "image"


# --------------------------------------------------------------------------------------------------------- backbones
@dataclass(frozen=True)
class DataFacts:
    """Facts about the data that a backbone will be trained on.

    Attributes:
        image_size: the side S the user asked for (`size_is_wished`), else one inferred from the images.
        classes: names of the classes, None without class labels.
        train_items: images in the training split.
    """

    image_size: int
    classes: tuple[str, ...] | None
    train_items: int
    size_is_wished: bool = False


class Recipe(ABC):
    """Training of a backbone: the loop owns data, clock and checkpoints; the recipe owns losses and optimisers.

    Attributes:
        batch_size: images per step.
        steps: optimisation steps of the run.
        keep: which weights are saved: those of the `best` score, or of the `last` step where the score cannot tell.
    """

    batch_size: int
    steps: int
    keep: ClassVar[Literal["best", "last"]] = "best"

    @abstractmethod
    def step(self, images: Tensor, labels: Tensor | None, fraction: float) -> dict[str, float]:
        """Take one optimisation step on images (B, 3, S, S); `fraction` in [0, 1) of the run is done.

        Returns values to display; each must be finite, or the loop raises DivergedError.
        """

    @abstractmethod
    def validate(self, images: Tensor, labels: Tensor | None) -> dict[str, float]:
        """Measure on held-out images (B, 3, S, S). Key `score`: lower is better, decides which step is kept."""

    def distribute(self, part: BatchPart) -> None:
        """Train together with other processes from now on; called once, before the first step and before any resume.

        From then on `step` is given rows `part.rows` of every batch and returns means over these rows. It must leave
        the same weights in all processes, those that one process with the whole batch would have: draw noise for
        `part.total` rows and use the rows `part.rows` of it. `validate` is called in one process only, and `state_dict`
        must be the same in all. The default raises UsageError, for a recipe that trains in one process only.
        """
        raise UsageError(f"{type(self).__name__} trains in one process only: start it without torchrun")

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return everything that an exact resume needs, except the backbone's own weights."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""


class Backbone(ABC):
    """A network f = G∘E with z = E(x) of size N. Implementations are also `torch.nn.Module`s, saved by `state_dict`.

    A network cut in two also has `forward(images)`, the uncut f; `iin fit-translator` compares it with G∘E. An encoder
    without a head has no `decode`: it can be read and edited, and answers nothing. `--layer` cuts every backbone
    behind any of its modules.

    Attributes:
        name, latent_dim: registered name, argument included (`timm:resnet18`), and N.
        image_size, interpolation: side S of the images it takes, and how images are resized to it.
        classes: a name per logit; two for one logit. None where `decode` gives images, or there is none.
        weights: which weights `pretrained` took, where it had a choice, as `--weights` names them; else None.
        config: JSON values from which `from_config` rebuilds the (untrained) module.
        takes_argument: whether its name may carry an argument.
        is_concurrent: whether several threads may call `encode`, `posterior`, `decode` at once: faster on a CPU.
    """

    name: str
    latent_dim: int
    image_size: int
    interpolation: Interpolation = "bicubic"
    classes: tuple[str, ...] | None
    weights: str | None = None
    config: dict[str, Any]
    trainable_here: ClassVar[bool] = False
    takes_argument: ClassVar[bool] = True
    is_concurrent: bool = False

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """E: (B, 3, S, S) -> z (B, N); for a stochastic encoder the posterior's mean."""

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance of q(z|x), both (B, N); log-variance is None for a deterministic encoder."""
        return self.encode(images), None

    def decode(self, z: Tensor) -> Tensor:
        """G: z (B, N) -> images (B, 3, S, S) in [-1, 1], or logits (B, classes).

        Left out, or None, for an encoder without a head; raises UsageError then.
        """
        raise UsageError(f"{self.name} is an encoder without a head: there is no G that answers z")

    @property
    def has_head(self) -> bool:
        """Whether there is a G: `decode` is written and not None. Override it where that depends on the instance."""
        return getattr(type(self), "decode", None) not in (None, Backbone.decode)

    @classmethod
    @abstractmethod
    def from_config(cls, config: dict[str, Any]) -> Backbone:
        """Rebuild the module of a checkpoint, its weights still to be loaded."""

    @classmethod
    def pretrained(cls, argument: str | None, weights: str) -> Backbone:
        """Build with weights from elsewhere (`weights`: default, none, package, or a file).

        `packaged_weights.packaged_weights` finds those of installed packages.

        Raises UsageError for a backbone that is only ever trained here.
        """
        made = "train it with `iin train-backbone`, then pass the folder it wrote to --backbone"
        raise UsageError(f"{cls.__name__.lower()} has no pretrained weights: {made}")

    def layers(self) -> tuple[str, ...]:
        """Names of the layers at which `at_layer` cuts the network, in the order they are computed.

        Override all three methods of layers or none: without them the layers are the modules that `forward` computes,
        else G∘E, named as in `named_modules()` without the name of an only child.
        """
        return ()

    def at_layer(self, layer: str) -> Backbone:
        """Return the same network f cut after `layer`: z is that layer's output, G the rest.

        Raises UsageError for a layer that does not exist, or at which the network cannot be cut.
        """
        raise UsageError(f"--layer {layer}: {self.name} has one latent only; leave --layer out")

    def encode_layers(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Return z (B, N of that layer) of images (B, 3, S, S) for each of `layers`, as `at_layer` cuts there.

        The default takes one pass per layer; override it where one pass gives them all. Errors as `at_layer`.
        """
        return {layer: self.at_layer(layer).encode(images) for layer in layers}

    @classmethod
    def for_training(cls, argument: str | None, facts: DataFacts, latent_dim: int | None, weights: str) -> Backbone:
        """Build a module to train on `facts`; `latent_dim` None means the paper's size.

        `weights` (default, none, or a file) are the starting weights of a network that exists elsewhere; one that is
        only ever trained here ignores them. Raises UsageError where training is not possible.
        """
        elsewhere = "train it elsewhere, then pass its file with --weights"
        raise UsageError(f"{cls.__name__.lower()} cannot be trained here: {elsewhere}")

    def recipe(self, max_steps: int | None, seed: int) -> Recipe:
        """Return the training recipe; raises UsageError if there is none."""
        raise UsageError(f"{self.name} cannot be trained here: train it elsewhere")


# ---------------------------------------------------------------------------------------------------------- families
class Family(ABC):
    """A factory of many things that have names elsewhere: one entry point for all networks of a library.

    The user writes `FAMILY:NAME`; NAME is the factory's `argument`, None where the user wrote FAMILY alone, and the
    factory raises UsageError for an unknown name (`errors.nearest(name, names())` says what to write).
    `class Net(torch.nn.Module, Backbone, Family)` is a family of backbones; one of datasets or concepts has `__call__`.
    """

    takes_argument: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def names(cls) -> Sequence[str]:
        """Return the names to choose from, without building anything; the factory may accept others, too."""


def check_columns(dataset: Dataset, column: str, wanted_by: str) -> Labels:
    """Return a label column of `dataset`; raises DataError naming the columns it has."""
    if column in dataset.labels:
        return dataset.labels[column]
    have = ", ".join(dataset.labels) or "none"
    raise DataError(f"{wanted_by} needs the label {column!r}, and {dataset.name} has: {have}")


def is_path(name: str) -> bool:
    """Say whether a user's name is a path rather than a registered name."""
    return "/" in name or name.startswith(".") or Path(name).exists()
