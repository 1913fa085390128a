"""What commands that read a network start from: images of its data or of files, and their latents z and z̃."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from torch import Tensor

from ..crew import lead
from ..data.folder import open_folder
from ..distributed import world_size
from ..errors import DataError
from ..io.greys import Greys
from ..io.image_files import greys_of, read_image
from ..leading import leaders_first
from ..metrics.bootstrap import FEW_ITEMS
from ..plugin_api import Dataset
from ..printable import printable
from ..progress import Reporter, Silent
from .data_choice import DataChoice, choose_items, split_items
from .encoding import encode_items
from .memory import MemoryDataset
from .network import Network
from .open_translator import OpenTranslator

__all__ = ["ChosenData", "Inputs", "Reading", "read_items"]

Made = TypeVar("Made")


@dataclass(frozen=True)
class Inputs:
    """Images uint8 (B, S, S, 3) at the network's size, what to call each, and latents (B, N) where they are known.

    `classes` are what their data call them; () where they have no classes.
    """

    pixels: np.ndarray
    names: tuple[str, ...]
    z: Tensor | None = None
    classes: tuple[str, ...] = ()

    @property
    def captions(self) -> tuple[str, ...]:
        """What to write beside the images: their classes, else the names of their files."""
        return self.classes or tuple(Path(name).name for name in self.names)

    def latents(self, network: Network) -> Tensor:
        """Return their latents (B, N): those they came with, else those that `network` encodes."""
        return network.encode_pixels(self.pixels) if self.z is None else self.z

    def encoded(self, network: Network) -> Inputs:
        """Return the same images with their latents, so that they are encoded once for many verbs."""
        return replace(self, z=self.latents(network))

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of_items(cls, network: Network, dataset: Dataset, items: np.ndarray) -> Inputs:
        """Read items (B,) of a dataset; those in memory come with their latents."""
        pixels = dataset.images(items, network.backbone.image_size, network.backbone.interpolation)
        z = dataset.latents(network)[items] if isinstance(dataset, MemoryDataset) else None
        return cls(pixels, tuple(dataset.path(int(item)) for item in items), z, _classes(dataset, items))

    @classmethod
    def of_files(
        cls,
        network: Network,
        paths: Sequence[Path],
        recorded: Mapping[str, Any] | None = None,
        report: Reporter | None = None,
    ) -> Inputs:
        """Read files, and all images of folders. DataError for a missing or corrupt image.

        Greys of more than 8 bits are read as in the data that were `recorded`, by default the network's own, else by
        the files together, which `report` is told.
        """
        report = report or Silent()
        files = [file for path in paths for file in _files(path.expanduser(), report)]
        greys = Greys.of_json((recorded or network.data or {}).get("greys"))
        if greys == Greys():
            greys = greys_of(files)
            for black, white in greys.as_dict().values():
                report.warn(f"{printable(str(files[0]))}: {black:g} is read as black and {white:g} as white, by guess")
        size, interpolation = network.backbone.image_size, network.backbone.interpolation
        pixels = [read_image(file, size, interpolation, greys) for file in files]
        return cls(np.stack(pixels), tuple(printable(str(file)) for file in files))


def _classes(dataset: Dataset, items: np.ndarray) -> tuple[str, ...]:
    labels = dataset.labels.get("class")
    if labels is None or labels.continuous:
        return ()
    values = labels.values[items].tolist()
    return tuple(str(value) if labels.names is None else labels.names[value] for value in values)


@dataclass(frozen=True)
class Reading:
    """Items of a dataset as a translator sees them.

    Attributes:
        items: their numbers in `dataset`, int64 (M,).
        z: latents (M, N), of a stochastic encoder the posterior's means; `z_tilde`: T(z); both on the CPU.
        std: the posterior's standard deviations (M, N); None of a deterministic encoder, and where they are not known.
    """

    opened: OpenTranslator
    network: Network
    dataset: Dataset
    items: np.ndarray
    z: Tensor
    z_tilde: Tensor
    std: Tensor | None = None

    def __len__(self) -> int:
        return len(self.items)

    @property
    def images(self) -> np.ndarray:
        """The items' images, uint8 (M, S, S, 3), at the network's size."""
        backbone = self.network.backbone
        return self.dataset.images(self.items, backbone.image_size, backbone.interpolation)

    def rows(self, chosen: slice | np.ndarray) -> Reading:
        """Return some of the items, in the order of `chosen`."""
        std = None if self.std is None else self.std[chosen]
        return replace(self, items=self.items[chosen], z=self.z[chosen], z_tilde=self.z_tilde[chosen], std=std)


class ChosenData:
    """The data that a command reads with one translator: opened once, when it is first needed.

    Raises UsageError where the translator has no network.
    """

    def __init__(self, opened: OpenTranslator, choice: DataChoice, report: Reporter) -> None:
        self.opened, self.choice, self.report = opened, choice, report
        self.network = opened.require_network()

    @classmethod
    def in_memory(cls, opened: OpenTranslator, dataset: Dataset, choice: DataChoice, report: Reporter) -> Self:
        """Read data that is open already."""
        data = cls(opened, choice, report)
        data.__dict__["dataset"] = dataset
        return data

    @cached_property
    def dataset(self) -> Dataset:
        """The data; errors as `DataChoice.open`."""
        return self.choice.open(self.opened.recorded_data, self.report)

    def lead(self, body: Callable[[], Made], *opened: object, bare: Callable[[Made], Made] | None = None) -> Made:
        """Return what `body` returns, which the main process runs while all others share its heavy work.

        Args:
            opened: what `body` computes with besides these data, their network and the translator.
            bare: as of `crew.lead`.
        """
        if world_size() == 1:
            return body()
        with leaders_first():
            dataset = self.dataset
        return lead(body, self.opened, self.opened.translator, self.network, dataset, *opened, bare=bare)

    def split_items(self) -> np.ndarray:
        """All items of the chosen split."""
        return split_items(self.dataset, self.choice.split)

    def draw(self, count: int, skip: int = 0) -> Inputs:
        """Read `count` items of the split, drawn by the seed after `skip` others. DataError where there are fewer."""
        items = choose_items(self.dataset, self.choice.split, skip + count, self.choice.seed)[skip:]
        return Inputs.of_items(self.network, self.dataset, items)

    def at_most(self, usual: int, sides: int = 1) -> int:
        """Return `usual`, or how many images the split has for each of `sides`: at least 1."""
        return max(1, min(usual, len(self.split_items()) // sides))

    def named(self, paths: Sequence[Path]) -> Inputs:
        """Read the images named: files, and all images of folders."""
        return Inputs.of_files(self.network, paths, self.opened.recorded_data, self.report)

    def starts(self, target: Sequence[Path], count: int | None, usual: int = 1) -> Inputs:
        """Read the images named, else `count` drawn from the data; None draws the `usual` number, or what there is."""
        if target:
            return self.named(target)
        return self.draw(count if count is not None else self.at_most(usual))

    def targets_and_sources(
        self, target: Sequence[Path], source: Sequence[Path], count: int | None, usual: int = 1
    ) -> tuple[Inputs, Inputs]:
        """Read the images to edit and those to take factors from.

        Whichever is not named is drawn from the data: `count` of it, for None the `usual` number or what there is, or
        as many as the other side has; no image is drawn twice.
        """
        if target and source:
            return self.named(target), self.named(source)
        if target:
            targets = self.named(target)
            return targets, self.draw(len(targets))
        if source:
            sources = self.named(source)
            return self.draw(len(sources)), sources
        count = count if count is not None else self.at_most(usual, 2)
        both = choose_items(self.dataset, self.choice.split, 2 * count, self.choice.seed)
        first, second = (Inputs.of_items(self.network, self.dataset, part) for part in np.split(both, 2))
        return first, second

    def chosen_items(self, count: int | None = None) -> np.ndarray:
        """Choose items of the split, int64 (M,): `count` of them by the seed, or all where there are no more.

        Warns where there are too few for an interval to be trusted.
        """
        split, items = self.choice.split, self.split_items()
        if count is not None and count < len(items):
            items = choose_items(self.dataset, split, count, self.choice.seed)
        if len(items) < FEW_ITEMS:
            self.report.warn(f"{len(items)} images of {self.dataset.name} in {split}: intervals from so few are rough")
        return items

    def say_part(self, count: int) -> None:
        """Say that `count` items stand for all of the split, where there are more."""
        total, split, seed = len(self.split_items()), self.choice.split, self.choice.seed
        if count < total:
            self.report.note(f"{count:,} of {total:,} images in {split}, drawn by seed {seed}; --n for more")

    def read(self, count: int | None = None) -> Reading:
        """Encode the items that `chosen_items` returns, each once ever, and translate them."""
        return read_items(self.opened, self.dataset, self.chosen_items(count), self.report)

    def training_items(self, count: int) -> np.ndarray:
        """Draw `count` training items by the seed, int64 (M,) in their order; all where there are no more."""
        everything = np.asarray(self.dataset.splits.get("train", ()), np.int64)
        return everything[np.sort(np.random.default_rng(self.choice.seed).permutation(len(everything))[:count])]

    def read_training(self, count: int) -> Reading | None:
        """Encode and translate the items that `training_items` returns; None where there is none."""
        items = self.training_items(count)
        return read_items(self.opened, self.dataset, items, self.report) if len(items) else None

    def varied(self, n: int | None = None, report: Reporter | None = None) -> ChosenData:
        """Return the same open data, of which `n` images are drawn, or which tells `report` its progress."""
        choice = replace(self.choice, n=n or self.choice.n)
        return ChosenData.in_memory(self.opened, self.dataset, choice, report or self.report)


def read_items(opened: OpenTranslator, dataset: Dataset, items: np.ndarray, report: Reporter) -> Reading:
    """Encode items `items` (M,) of `dataset`, each once ever, and translate them."""
    network = opened.require_network()
    z, std = encode_items(network, dataset, items, report=report).moments()
    return Reading(opened, network, dataset, items, z, opened.transform(z), std)


def _files(path: Path, report: Reporter) -> list[Path]:
    if path.is_dir():
        folder = open_folder(path, report)
        return [folder.file(item) for item in range(len(folder.sources))]
    if not path.is_file():
        found = "not a regular file" if path.exists() else "no such image"
        raise DataError(f"{found}: {printable(str(path))}")
    return [path]
