"""A biased network with its bias erased: accuracy of the worst group, and what is left of the factor in z.

ColorMNIST in ten colours, of which each digit has one of its own in 95 % of training images; test images have any
colour. A classifier learns from the biased images alone. Each training image is also drawn in two other colours: LEACE
and the translators fitted to `names` are told these colours, the others know only that nothing else differs
(`redraw:color`). A group is a digit in a colour. Probes read the colour off the erased latents; they learn from
recoloured training images, and chance is 10 %.

    uv run --with concept-erasure python benchmarks/erasing.py [--data-root DIR] [--work runs/erasing] [--images 20000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
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
from iin_cli.editing.erasing import Erasing, erase
from iin_cli.fitting.backbone_training import BackboneTraining
from iin_cli.fitting.fit import fit_material
from iin_cli.fitting.inference import infer
from iin_cli.fitting.materials import from_images
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


def trained(dataset: Dataset, file: Path, channels: int) -> Network:
    """Train a classifier on the biased images by its own recipe, unless that is done already."""
    if not file.exists():
        names = dataset.labels["class"].names
        config = {"image_size": 32, "classes": names, "base_channels": channels}
        with seeded(0):
            module: Any = find("backbones", "classifier").factory.from_config(config)
        module.train_items = len(dataset.splits["train"])
        recipe = module.recipe(None, 0)
        work = BackboneTraining(module, recipe, dataset, 0, CPU)
        optimise(work, Schedule(recipe.steps, validate_every=recipe.steps // 8, rows_per_step=work.batch_size))
        checkpoint.save(file, module.state_dict(), describe_backbone(module))
    return open_network(str(file))


def translated(network: Network, dataset: Dataset, concept: str) -> OpenTranslator:
    """Fit the closed form to the pairs of a concept, as `iin fit-translator` does."""
    material = from_images(network, dataset, None, find_providers([concept]), 0, Silent())
    fitted = fit_material(material, infer(material, Wishes(method="linear"), 0, CPU, Silent()), CPU)
    return OpenTranslator(None, fitted.translator, fitted.factors, fitted.metadata(), network, CPU, fitted.noise)


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


def leace(z: Tensor, color: np.ndarray) -> Callable[[Tensor], Tensor]:
    from concept_erasure import LeaceEraser

    eraser = LeaceEraser.fit(z, torch.nn.functional.one_hot(torch.from_numpy(color)).float())
    return lambda rows: eraser(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/erasing"))
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--bias", type=float, default=0.95)
    parser.add_argument("--channels", type=int, default=64, help="of the classifier's first layer")
    for size in ("steps", "blocks", "hidden"):
        parser.add_argument(f"--flow-{size}", type=int, help="of the flow; default: inferred")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    dataset = BiasedDigits(given.data_root, given.images, given.bias)
    network = trained(dataset, given.work / "backbone.safetensors", given.channels)
    items = {name: np.asarray(dataset.splits[name]) for name in ("train", "test")}
    provider = find_providers(["redraw:color"])[0]
    recolored = [
        torch.from_numpy(
            np.asarray(encode_items(network, dataset, items["train"], provider, variant, report=Silent()).mean[:])
        )
        for variant in (1, 2)
    ]
    test = torch.from_numpy(np.asarray(encode_items(network, dataset, items["test"], report=Silent()).mean[:]))
    known = [dataset.redrawn(items["train"], variant) for variant in (1, 2)]
    digit, color = dataset.labels["digit"].values[items["test"]], dataset.color_of[items["test"]]

    def measured(erased: Callable[[Tensor], Tensor], log_p: Tensor) -> dict[str, Any]:
        found = scores(log_p, digit, color)
        rows, rest = erased(recolored[0]).numpy(), erased(test).numpy()
        told = [probe.score(rest, color) for probe in probes(rows, known[0], 0)]
        return {**found, "linear": told[0], "mlp": told[1]}

    def without(opened: OpenTranslator, draws: int = 0) -> dict[str, Any]:
        after = erase(opened, Erasing(("color",), draws))
        module: Any = after.backbone
        with torch.inference_mode():
            return measured(module.erased, after.answers(test))

    def of_names(**wishes: Any) -> dict[str, Any]:
        """Tell the translator what LEACE is told: the colours of recoloured images."""
        sources = np.tile(np.arange(len(items["train"])), 2)
        pairs = iin.Pairs(torch.cat(recolored), sources=sources).share("color", np.concatenate(known))
        return without(iin.fit(pairs, network=network, seed=0, **wishes))

    def of_leace() -> dict[str, Any]:
        erased = leace(torch.cat(recolored), np.concatenate(known))
        return measured(erased, network.answers(erased(test)))

    ways = {
        "as it was trained": lambda: measured(lambda z: z, network.answers(test)),
        "LEACE": of_leace,
        "closed form, names": lambda: of_names(method="linear"),
        "flow, names": lambda: of_names(
            method="flow", steps=given.flow_steps, blocks=given.flow_blocks, hidden=given.flow_hidden
        ),
        "closed form, mean": lambda: without(translated(network, dataset, "redraw:color")),
        "closed form, 16 draws": lambda: without(translated(network, dataset, "redraw:color"), 16),
        "closed form, biased colours alone": lambda: without(translated(network, dataset, "label:color")),
    }
    found = {name: computed(given.work, name.replace(", ", "-").replace(" ", "-"), way) for name, way in ways.items()}
    print(f"\n{machine(time.monotonic() - started)}, {len(items['train'])} training images\n")
    print("| way | worst group | test | as in training | colour told, linear | MLP |\n|---|---|---|---|---|---|")
    for name, row in found.items():
        cells = [f"{row[key]:.3f}" for key in ("worst", "average", "biased", "linear", "mlp")]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
