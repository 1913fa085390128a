"""A biased network with its bias erased: accuracy of the worst group, and what is left of the factor in z.

ColorMNIST in ten colours, of which each digit has one of its own in 95 % of training images; test images have any
colour. A classifier learns from the biased images alone. Each training image is also drawn in two other colours: LEACE
and the translators fitted to `names` are told these colours, the others know only that nothing else differs
(`redraw:color`). T alone sets the factor to its mean; by default what the other factors keep of it is learned from the
pairs and taken out as well. A group is a digit in a colour. Probes read the colour off the erased latents; they learn
from recoloured training images, and chance is 10 %.

    uv run --with concept-erasure python benchmarks/erasing.py [--data-root DIR] [--work runs/erasing]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from factors import probes
from stages import computed, machine
from torch import Tensor

import iin_cli as iin
from iin_cli.data import open_dataset
from iin_cli.data.arrays import ArrayDataset, digest
from iin_cli.distributed import seeded
from iin_cli.editing.erasing import Erasing, erase, erased_latents
from iin_cli.editing.leftovers import learn_leftovers
from iin_cli.fitting.backbone_training import BackboneTraining
from iin_cli.fitting.fit import fit_material
from iin_cli.fitting.inference import infer
from iin_cli.fitting.materials import Material, from_images
from iin_cli.interpretation.encoding import encode_items
from iin_cli.interpretation.grouping import find_providers
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.open_translator import OpenTranslator
from iin_cli.interpretation.opening import describe_backbone, open_network
from iin_cli.io import checkpoint
from iin_cli.plan import Wishes
from iin_cli.plugin_api import Dataset, Interpolation, Labels
from iin_cli.progress import Silent
from iin_cli.registry import find
from iin_cli.training.loop import Schedule, optimise

PALETTE = np.array(
    [
        (0.9, 0.1, 0.1),
        (0.1, 0.8, 0.1),
        (0.15, 0.25, 1.0),
        (0.95, 0.9, 0.1),
        (0.9, 0.1, 0.9),
        (0.1, 0.9, 0.9),
        (1.0, 0.55, 0.05),
        (0.5, 0.25, 0.1),
        (0.55, 0.5, 0.95),
        (0.95, 0.95, 0.95),
    ],
    np.float32,
)
CPU = torch.device("cpu")
CLASSES = 10


class BiasedDigits(Dataset):
    """MNIST times one of ten colours: the digit's own with chance `bias` in training images, any in test images."""

    def __init__(self, root: Path | None, images: int, bias: float) -> None:
        self.base = open_dataset("mnist", root)
        generator = np.random.default_rng(0)
        train = generator.permutation(self.base.splits["train"])[:images]
        self.splits = {"train": np.sort(train), "test": np.asarray(self.base.splits["test"])}
        digit = self.base.labels["digit"].values
        own = generator.random(len(digit)) < bias
        own[self.splits["test"]] = False
        self.color_of = np.where(own, digit, generator.integers(0, CLASSES, len(digit)))
        names = tuple(str(number) for number in range(CLASSES))
        self.labels = {
            "class": Labels(digit, names),
            "digit": Labels(digit, names),
            "color": Labels(self.color_of, names),
        }
        self.name, self.native_size, self.sources = "biased-colormnist", 28, self.base.sources
        self.fingerprint = digest(self.base.fingerprint.encode(), self.color_of, self.splits["train"], PALETTE)

    def images(self, indices: np.ndarray, size: int, interpolation: Interpolation = "bicubic") -> np.ndarray:
        """Draw items in their colours."""
        return self._colored(indices, self.color_of[indices], size, interpolation)

    def redraw(self, indices: np.ndarray, size: int, column: str, seed: int) -> np.ndarray:
        """Draw items in other colours, for `redraw:color`."""
        return self._colored(indices, self.redrawn(indices, seed), size, "bicubic")

    def redrawn(self, indices: np.ndarray, seed: int) -> np.ndarray:
        """Return the colours of `redraw`, (B,)."""
        return np.random.default_rng([7, seed]).integers(0, CLASSES, len(self.sources))[indices]

    def _colored(self, indices: np.ndarray, colors: np.ndarray, size: int, way: Interpolation) -> np.ndarray:
        base: ArrayDataset = self.base
        grey = base.pixels(np.asarray(indices), size, way).astype(np.float32)[..., None] - 127.5
        return np.rint(grey * PALETTE[colors][:, None, None] + 127.5).astype(np.uint8)


def trained(dataset: Dataset, file: Path, channels: int, seed: int) -> Network:
    """Train a classifier on the biased images by its own recipe, unless that is done already."""
    if not file.exists():
        names = dataset.labels["class"].names
        config = {"image_size": 32, "classes": names, "base_channels": channels}
        with seeded(seed):
            module: Any = find("backbones", "classifier").factory.from_config(config)
        module.train_items = len(dataset.splits["train"])
        recipe = module.recipe(None, seed)
        work = BackboneTraining(module, recipe, dataset, seed, CPU)
        optimise(work, Schedule(recipe.steps, validate_every=recipe.steps // 8, rows_per_step=work.batch_size))
        checkpoint.save(file, module.state_dict(), describe_backbone(module))
    return open_network(str(file))


def scores(log_p: Tensor, digit: np.ndarray, color: np.ndarray) -> dict[str, float]:
    """Accuracy of the worst group, over test images, and weighted as in training (95 % in the digit's own colour)."""
    right = log_p.argmax(1).numpy() == digit
    groups = np.array([[right[(digit == d) & (color == c)].mean() for c in range(CLASSES)] for d in range(CLASSES)])
    own = np.eye(CLASSES, dtype=bool)
    return {
        "worst": float(groups.min()),
        "average": float(groups.mean()),
        "biased": float(0.955 * groups[own].mean() + 0.045 * groups[~own].mean()),
    }


@dataclass(frozen=True)
class Task:
    """The biased network, latents of recoloured training images with their colours, and those of test images."""

    network: Network
    dataset: BiasedDigits
    recolored: list[Tensor]
    known: list[np.ndarray]
    test: Tensor
    seed: int

    @classmethod
    def of(cls, network: Network, dataset: BiasedDigits, seed: int) -> Task:
        """Encode what is measured."""
        train, test = (np.asarray(dataset.splits[name]) for name in ("train", "test"))
        provider = find_providers(["redraw:color"])[0]
        encoded = [
            encode_items(network, dataset, items, *rendered, report=Silent())
            for items, rendered in ((train, (provider, 1)), (train, (provider, 2)), (test, ()))
        ]
        *recolored, rest = (torch.from_numpy(np.asarray(latents.mean[:])) for latents in encoded)
        known = [dataset.redrawn(train, variant) for variant in (1, 2)]
        return cls(network, dataset, recolored, known, rest, seed)

    def measured(self, erased: Callable[[Tensor], Tensor], log_p: Tensor) -> dict[str, Any]:
        """Score answers (B, C) to test images, and probe what `erased` leaves in latents."""
        items = np.asarray(self.dataset.splits["test"])
        digit, color = self.dataset.labels["digit"].values[items], self.dataset.color_of[items]
        rows, rest = erased(self.recolored[0]).numpy(), erased(self.test).numpy()
        told = [probe.score(rest, color) for probe in probes(rows, self.known[0], self.seed)]
        return {**scores(log_p, digit, color), "linear": told[0], "mlp": told[1]}

    def untouched(self) -> dict[str, Any]:
        """Measure the network as it was trained."""
        return self.measured(lambda z: z, self.network.answers(self.test))

    def leace(self) -> dict[str, Any]:
        """Erase by least squares, told the colours of recoloured images."""
        from concept_erasure import LeaceEraser

        colors = torch.from_numpy(np.concatenate(self.known))
        eraser = LeaceEraser.fit(torch.cat(self.recolored), torch.nn.functional.one_hot(colors).float())
        return self.measured(lambda z: eraser(z), self.network.answers(eraser(self.test)))

    def names(self, **wishes: Any) -> dict[str, Any]:
        """Tell the translator what LEACE is told."""
        sources = np.tile(np.arange(len(self.known[0])), 2)
        pairs = iin.Pairs(torch.cat(self.recolored), sources=sources).share("color", np.concatenate(self.known))
        return self.without(iin.fit(pairs, network=self.network, seed=self.seed, **wishes))

    def fitted(self, concept: str, learn: bool = True, draws: int = 0) -> dict[str, Any]:
        """Fit the closed form to the pairs of a concept, as `iin fit-translator` does, and erase as `iin erase`."""
        material = from_images(self.network, self.dataset, None, find_providers([concept]), self.seed, Silent())
        inferred = infer(material, Wishes(method="linear"), self.seed, CPU, Silent())
        fitted = fit_material(material, inferred, CPU)
        opened = OpenTranslator(
            None, fitted.translator, fitted.factors, fitted.metadata(), self.network, CPU, fitted.noise
        )
        return self.without(opened, material if learn else None, draws)

    def without(self, opened: OpenTranslator, material: Material | None = None, draws: int = 0) -> dict[str, Any]:
        """Erase the colour, and what other factors keep of it by the pairs of `material`."""
        learned, began = None, time.monotonic()
        if material is not None:
            latents = material.paired_latents(self.seed)
            learned = learn_leftovers(opened, ("color",), latents.fit, latents.held_out, self.seed)
        took = time.monotonic() - began
        after = erase(opened, Erasing(("color",), draws), None if learned is None else learned.leftovers)
        found = self.measured(partial(erased_latents, after), after.answers(erased_latents(after, self.test)))
        return {**found, "learning": took}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/erasing"))
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--bias", type=float, default=0.95)
    parser.add_argument("--channels", type=int, default=64, help="of the classifier's first layer")
    parser.add_argument("--seed", type=int, default=0, help="of everything but the data")
    parser.add_argument("--skip-flow", action="store_true", help="leave out the row that takes longest")
    for size in ("steps", "blocks", "hidden"):
        parser.add_argument(f"--flow-{size}", type=int, help="of the flow; default: inferred")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    given.work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    dataset = BiasedDigits(given.data_root, given.images, given.bias)
    network = trained(dataset, given.work / "backbone.safetensors", given.channels, given.seed)
    task = Task.of(network, dataset, given.seed)
    flow = {"steps": given.flow_steps, "blocks": given.flow_blocks, "hidden": given.flow_hidden}
    ways = {
        "as it was trained": task.untouched,
        "LEACE": task.leace,
        "closed form, names": lambda: task.names(method="linear"),
        **({} if given.skip_flow else {"flow, names": lambda: task.names(method="flow", **flow)}),
        "closed form, T alone": lambda: task.fitted("redraw:color", learn=False),
        "closed form, default": lambda: task.fitted("redraw:color"),
        "closed form, default, 16 draws": lambda: task.fitted("redraw:color", draws=16),
        "closed form, biased colours alone": lambda: task.fitted("label:color", learn=False),
    }
    found = {name: computed(given.work, name.replace(", ", "-").replace(" ", "-"), way) for name, way in ways.items()}
    print(f"\n{machine(time.monotonic() - started)}, {given.images} training images\n")
    print("| way | worst group | test | as in training | colour told, linear | MLP |\n|---|---|---|---|---|---|")
    for name, row in found.items():
        cells = [f"{row[key]:.3f}" for key in ("worst", "average", "biased", "linear", "mlp")]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
