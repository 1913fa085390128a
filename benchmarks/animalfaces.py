"""A network on AnimalFaces with `roundness` (two sketches) and `greyscale`: what factors hold, how f responds.

ResNet-50 is trained here, from random weights unless --weights says otherwise; --pretrained names a network that needs
no training, and the file of its weights. Prints Markdown tables.

    uv run python benchmarks/animalfaces.py --data-root DIR [--pretrained timm:NAME=FILE] [--work runs/animalfaces]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from factors import auc, latents, sized_like, trained_probe
from stages import computed, machine, run
from torch import Tensor

from iin_cli.data import open_dataset
from iin_cli.editing.walk_paths import walk_noise
from iin_cli.interpretation.grouping import circumstances, find_providers, grouped
from iin_cli.interpretation.open_translator import OpenTranslator
from iin_cli.interpretation.opening import open_network, open_translator
from iin_cli.interpretation.reading import Inputs
from iin_cli.latents.cache import as_images
from iin_cli.progress import Silent
from iin_cli.translator.edit import OUWalk, swap

DATA = "animalfaces"
CONCEPTS = ("roundness", "greyscale")
WALK_STEPS = 10


def separation(opened: OpenTranslator, train: list[Tensor], test: list[Tensor]) -> dict[str, float]:
    """AUC of x_a against x_b by a linear probe on each factor, at most as many directions as roundness has."""
    size = opened.factors.dims["roundness"]
    tilde = [[opened.transform(z) for z in part] for part in (train, test)]
    return {
        factor: auc(*(tuple(sized_like(opened, z, factor, size) for z in part) for part in tilde))
        for factor in opened.factors.names
    }


def swapped(opened: OpenTranslator, rendered: dict[str, list[Tensor]]) -> dict[str, float]:
    """Exchange z̃_roundness between x_a and x_b, go back by T⁻¹, and ask probes that were trained on z."""
    round_probe = trained_probe(*(z.numpy() for z in rendered["train"][1:3]))
    grey_probe = trained_probe(*(z.numpy() for z in (rendered["train"][0], rendered["train"][3])))
    _, z_a, z_b, _ = rendered["test"]
    tilde_a, tilde_b = opened.transform(z_a), opened.transform(z_b)
    z_a_with_b = opened.inverse_transform(swap(tilde_a, tilde_b, opened.factors, ["roundness"]))
    z_b_with_a = opened.inverse_transform(swap(tilde_b, tilde_a, opened.factors, ["roundness"]))
    before = torch.cat((z_a, z_b)).numpy()
    after = torch.cat((z_a_with_b, z_b_with_a)).numpy()
    wanted = np.repeat([1, 0], [len(z_a), len(z_b)])
    return {
        "roundness_probe_before": float((round_probe.predict(before) == 1 - wanted).mean()),
        "roundness_moved": float((round_probe.predict(after) == wanted).mean()),
        "greyscale_kept": float((grey_probe.predict(after) == grey_probe.predict(before)).mean()),
    }


def responses(opened: OpenTranslator, z: Tensor) -> dict[str, float]:
    """Fraction of points along OU walks of one length whose predicted class is not the start's, per factor."""
    tilde, network = opened.transform(z), opened.require_network()
    kicks = walk_noise(range(len(z)), WALK_STEPS + 1, opened.translator.dim)
    first = network.answers(z).argmax(1)
    rates = {}
    for factor in opened.factors.names:
        walked = OUWalk(factor, steps=WALK_STEPS + 1).path(tilde, opened.factors, kicks)[1:]
        said = network.answers(opened.inverse_transform(walked.flatten(0, 1))).argmax(1).view(WALK_STEPS, -1)
        rates[factor] = (said != first).double().mean().item()
    return rates


def untouched(opened: OpenTranslator, images: np.ndarray) -> bool:
    """Say whether the network gives the same bits of logits with a translator attached as without one."""
    attached = opened.require_network()
    alone = open_network(attached.source, weights=attached.weights).backbone
    with torch.inference_mode():
        return torch.equal(alone(as_images(images)), opened.require_network().backbone(as_images(images)))


def evaluate(work: Path, root: str, seed: int) -> dict[str, Any]:
    dataset = open_dataset(DATA, Path(root))
    opened = open_translator(work / "fit")
    providers = find_providers(CONCEPTS)
    parts = {name: np.asarray(items) for name, items in dataset.splits.items()}
    network = opened.require_network()
    grouped(dataset, parts["train"], providers, circumstances(network, seed, Silent()))
    sketch, grey = providers
    rendered = {
        name: [latents(opened, dataset, items, sketch, variant) for variant in range(3)]
        + [latents(opened, dataset, items, grey, 1)]
        for name, items in parts.items()
    }
    some = parts["test"][:16]
    images = Inputs.of_items(network, dataset, some).pixels
    return {
        "test_images": len(parts["test"]),
        "auc": separation(opened, rendered["train"][1:3], rendered["test"][1:3]),
        "swap": swapped(opened, rendered),
        "flip_rate": responses(opened, rendered["test"][0]),
        "logits_bit_identical": untouched(opened, images),
    }


def trained(given: argparse.Namespace, where: list[str]) -> tuple[list[str], str]:
    """Train ResNet-50, unless that is done; return its options, and what it is in words."""
    size = ["--weights", given.weights, "--image-size", given.image_size]
    size += ["--steps", given.backbone_steps, "--max-seconds", given.backbone_seconds]
    out = str(given.work / "backbone")
    found = run(given.work, "backbone", ["train-backbone", "--backbone", "resnet50", *where, *size, "--out", out])
    facts = f"ResNet-50 from --weights {given.weights}, held-out accuracy {found['accuracy']:.3f}"
    return ["--backbone", out], f"{facts}, trained for {found['wall'] / 60:.0f} minutes"


def pretrained(named: str) -> tuple[list[str], str]:
    """Return the options of a pretrained network, NAME=FILE, and its name."""
    name, _, file = named.partition("=")
    return ["--backbone", name, *(["--weights", file] if file else [])], name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", required=True, help="the folder that holds animalfaces")
    parser.add_argument("--work", type=Path, default=Path("runs/animalfaces"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", default="none", help="what ResNet-50 starts from: default, none, or a file")
    parser.add_argument("--pretrained", help="NAME=FILE: a pretrained network in place of the trained ResNet-50")
    parser.add_argument("--image-size", default="96")
    parser.add_argument("--backbone-steps", default="320")
    parser.add_argument("--backbone-seconds", default="600")
    parser.add_argument("--dims", help="sizes of the factors; default: inferred")
    parser.add_argument("--translator-seconds", help="limit of the fit; default: none")
    given = parser.parse_args()
    work, seed = given.work, given.seed
    work.mkdir(parents=True, exist_ok=True)
    where = ["--data", DATA, "--data-root", given.data_root, "--seed", str(seed)]
    network, facts = trained(given, where) if given.pretrained is None else pretrained(given.pretrained)
    concepts = [word for concept in CONCEPTS for word in ("--concept", concept)]
    out = ["--out", str(work / "fit")]
    out += ["--max-seconds", given.translator_seconds] if given.translator_seconds else []
    out += ["--dims", given.dims] if given.dims else []
    fit = run(work, "fit", ["fit-translator", *network, *concepts, *where, *out])
    found = computed(work, "evaluation", lambda: evaluate(work, given.data_root, seed))

    print(f"\n{machine(fit['wall'] + found['wall'])}, without training; {facts}; {found['test_images']} test images\n")
    print("| factor | dimensions | AUC of x_a against x_b | flip rate of an OU walk |\n|---|---|---|---|")
    for factor, dim in fit["factors"].items():
        print(f"| {factor} | {dim} | {found['auc'][factor]:.3f} | {found['flip_rate'][factor]:.3f} |")
    print("\n| what | measured |\n|---|---|")
    print(f"| held-out NLL, nats per latent (training) | {fit['heldout_nll']:.1f} ({fit['train_nll']:.1f}) |")
    print(f"| round trip, max error | {fit['round_trip_error']:.1e} |")
    print(f"| top-1 agreement of G(T⁻¹(T(z))) with f(x) | {fit['no_op_agreement']:.3f} |")
    print(f"| logits with a translator attached: bit-identical | {found['logits_bit_identical']} |")
    print(f"| probe on z tells x_a from x_b | {found['swap']['roundness_probe_before']:.3f} |")
    print(f"| … and names the other after z̃_roundness was exchanged | {found['swap']['roundness_moved']:.3f} |")
    print(f"| probe for greyscale still says what it said | {found['swap']['greyscale_kept']:.3f} |")


if __name__ == "__main__":
    main()
