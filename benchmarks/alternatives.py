"""Other ways to edit a concept in z, on the same latents and test items: directions, erasure, a sparse autoencoder.

The default flow and the closed form beside the span of class means (CAV by mean differences), of a logistic
classifier's weights (CAV), linear discriminants (LDA), least-squares erasure (LEACE), and a TopK sparse autoencoder
with as many parameters as the flow. Every way gives what it holds of a concept, the rest, and an exchange between two
items. Nothing is tuned. A linear probe of z, which has no part in any way, judges exchanges. Columns: how often an
exchange takes the source's label; how far z moves, relative to a whole exchange of z, at the strength that takes it in
80 %, and how often another label of the data is then kept; accuracy of a linear and of a small nonlinear probe on the
rest; of images whose answer really changes by the rendering, the share that the exchange alone changes to the same
answer; NLL; seconds; the round trip of an exchange and back.

    uv run --with concept-erasure python benchmarks/alternatives.py [TASK …] [--data-root DIR] [--lite0 WEIGHTS]
        [--work runs/defaults]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from factors import SWAPPED, latents, oracle, probes
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from stages import computed, machine
from tasks import TASKS, Context, Task, fitted, networks, opened_data
from torch import Tensor

from iin_cli.interpretation.grouping import find_providers
from iin_cli.interpretation.open_translator import OpenTranslator
from iin_cli.interpretation.opening import open_translator
from iin_cli.plan import parameter_count
from iin_cli.translator.edit import swap

ENOUGH = 0.8
STRENGTHS = np.arange(0.1, 2.05, 0.1)
TOP_K, SAE_STEPS = 32, 2000
DEFAULT_TASKS = ("lite0-cueconflict", "lite0-clothes", "colordigits", "colormnist-classifier")


@dataclass(frozen=True)
class Way:
    """One way to hold and to exchange a concept; latents z are (M, N)."""

    own: Callable[[Tensor], Tensor]
    rest: Callable[[Tensor], Tensor]
    exchange: Callable[[Tensor, Tensor], Tensor]
    seconds: float
    nll: float | None = None


def of_translator(opened: OpenTranslator, factor: str, fit: dict[str, Any]) -> Way:
    dims = opened.factors.slice(factor)

    def rest(z: Tensor) -> Tensor:
        z_tilde = opened.transform(z)
        return torch.cat((z_tilde[:, : dims.start], z_tilde[:, dims.stop :]), dim=1)

    def exchange(a: Tensor, b: Tensor) -> Tensor:
        return opened.inverse_transform(swap(opened.transform(a), opened.transform(b), opened.factors, [factor]))

    return Way(lambda z: opened.transform(z)[:, dims], rest, exchange, fit["seconds"], fit["heldout_nll"])


def of_directions(z: Tensor, read: Tensor, write: Tensor, seconds: float) -> Way:
    """Read off `read` (N, d) in standardised z, and change z along `write` (N, d) until it reads as wanted."""
    mean, std = z.mean(0), z.std(0).clamp_min(1e-6)
    back = write @ torch.linalg.pinv(read.T @ write)

    def own(x: Tensor) -> Tensor:
        return ((x - mean) / std) @ read

    def rest(x: Tensor) -> Tensor:
        return x - (own(x) @ back.T) * std

    return Way(own, rest, lambda a, b: a + ((own(b) - own(a)) @ back.T) * std, seconds)


def mean_differences(z: Tensor, labels: np.ndarray) -> Way:
    started, x = time.monotonic(), (z - z.mean(0)) / z.std(0).clamp_min(1e-6)
    means = torch.stack([x[torch.from_numpy(labels == label)].mean(0) for label in np.unique(labels)])
    span = torch.linalg.svd((means - means.mean(0)).T, full_matrices=False)[0][:, : len(means) - 1]
    return of_directions(z, span, span, time.monotonic() - started)


def logistic(z: Tensor, labels: np.ndarray) -> Way:
    started, x = time.monotonic(), (z - z.mean(0)) / z.std(0).clamp_min(1e-6)
    weights = torch.from_numpy(LogisticRegression(max_iter=1000).fit(x.numpy(), labels).coef_).float()
    span = torch.linalg.svd((weights - weights.mean(0) * (len(weights) > 1)).T, full_matrices=False)[0]
    span = span[:, : max(1, len(np.unique(labels)) - 1)]
    return of_directions(z, span, span, time.monotonic() - started)


def discriminants(z: Tensor, labels: np.ndarray) -> Way:
    started, x = time.monotonic(), (z - z.mean(0)) / z.std(0).clamp_min(1e-6)
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(x.numpy(), labels)
    read = torch.from_numpy(model.scalings_[:, : len(model.classes_) - 1]).float()
    return of_directions(z, read, torch.from_numpy(model.covariance_).float() @ read, time.monotonic() - started)


def erasure(z: Tensor, labels: np.ndarray) -> Way:
    from concept_erasure import LeaceEraser

    started = time.monotonic()
    numbers = torch.from_numpy(np.unique(labels, return_inverse=True)[1])
    eraser = LeaceEraser.fit(z, torch.nn.functional.one_hot(numbers).float())

    def erased(x: Tensor) -> Tensor:
        return eraser(x)

    return Way(
        lambda x: (x - z.mean(0)) @ eraser.proj_right.T,
        erased,
        lambda a, b: erased(a) + b - erased(b),
        time.monotonic() - started,
    )


def sparse_autoencoder(z: Tensor, labels: np.ndarray, parameters: int) -> Way:
    """TopK (Gao et al. 2024): the latents that tell most of the labels, two for each class, are the concept's."""
    from sklearn.feature_selection import f_classif

    started = time.monotonic()
    generator = torch.Generator().manual_seed(0)
    mean, std = z.mean(0), z.std(0).clamp_min(1e-6)
    x, dim = (z - mean) / std, z.shape[1]
    width = max(2 * TOP_K, parameters // (2 * dim))
    decoder = torch.nn.functional.normalize(torch.randn(width, dim, generator=generator), dim=1)
    encoder, decoder = decoder.T.clone().requires_grad_(), decoder.requires_grad_()
    optimizer = torch.optim.Adam([encoder, decoder], lr=1e-3)

    def features(rows: Tensor) -> Tensor:
        values, places = ((rows - mean) / std @ encoder).topk(TOP_K, dim=1)
        return torch.zeros(len(rows), width).scatter(1, places, torch.relu(values))

    for _ in range(SAE_STEPS):
        batch = torch.randint(len(x), (512,), generator=generator)
        loss = (features(z[batch]) @ decoder - x[batch]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        scores = np.nan_to_num(f_classif(features(z).numpy() + 1e-9, labels)[0])
        chosen = torch.from_numpy(np.argsort(-scores)[: 2 * len(np.unique(labels))].copy())
        directions = decoder.detach()[chosen] * std
    own = torch.no_grad()(lambda rows: features(rows)[:, chosen])
    return Way(
        own,
        lambda rows: rows - own(rows) @ directions,
        lambda a, b: a + (own(b) - own(a)) @ directions,
        time.monotonic() - started,
    )


def judged(way: Way, z: list[Tensor], labels: list[np.ndarray], other: list[np.ndarray] | None) -> dict[str, Any]:
    """Measure a way on test items, z and labels being (train, test)."""
    train, test = z
    leak = [probe.score(way.rest(test).numpy(), labels[1]) for probe in probes(way.rest(train).numpy(), labels[0], 0)]
    judge = oracle(train.numpy(), labels[0])
    generator, said = np.random.default_rng(0), judge.predict(test.numpy())
    a, b = generator.integers(0, len(said), (2, SWAPPED))
    a, b = a[said[a] != said[b]], b[said[a] != said[b]]
    change = way.exchange(test[a], test[b]) - test[a]
    taken = [float((judge.predict((test[a] + s * change).numpy()) == said[b]).mean()) for s in (1.0, *STRENGTHS)]
    enough = next((s for s, part in zip(STRENGTHS, taken[1:], strict=True) if part >= ENOUGH), None)
    found: dict[str, Any] = {"takes": taken[0], "linear": leak[0], "mlp": leak[1]}
    found |= {"seconds": way.seconds, "nll": way.nll, "moved": None, "kept": None}
    trip = (way.exchange(way.exchange(test[a], test[b]), test[a]) - test[a]).norm(dim=1) / test[a].norm(dim=1)
    found["round_trip"] = float(trip.max())
    if enough is not None:
        std = train.std(0).clamp_min(1e-6)
        length = ((enough * change) / std).norm(dim=1) / ((test[b] - test[a]) / std).norm(dim=1)
        found["moved"] = float(length.median())
        if other is not None:
            watch = oracle(train.numpy(), other[0])
            before, after = (watch.predict(each.numpy()) for each in (test[a], test[a] + enough * change))
            found["kept"] = float((before == after).mean())
    return found


def reproduced(way: Way, opened: OpenTranslator, plain: Tensor, rendered: Tensor) -> dict[str, Any]:
    """Of the items whose answer really changes by a rendering: how many the exchange alone changes to that answer."""
    decode = opened.require_network().backbone.decode
    with torch.inference_mode():
        answers = [decode(each).argmax(1) for each in (plain, rendered, way.exchange(plain, rendered))]
    flipped = answers[0] != answers[1]
    return {
        "flips": float(flipped.float().mean()),
        "share": float((answers[2] == answers[1])[flipped].float().mean()),
        "seconds": way.seconds,
    }


def ways(task: Task, context: Context, factor: str, z: Tensor, labels: np.ndarray) -> dict[str, Callable[[], Way]]:
    """Name the ways, each made when called."""

    def translator(name: str, options: list[str]) -> Callable[[], Way]:
        fit = fitted(task, context, name, options, context.seed)
        return lambda: of_translator(open_translator(context.work / name), factor, fit)

    config = open_translator(context.work / "default-0").translator.config
    size = parameter_count(z.shape[1], config["blocks"] or 1, config["hidden"], config["depth"])
    return {
        "flow (default)": translator("default-0", []),
        "closed form": translator("grid-0", ["--method", "linear"]),
        "CAV, mean differences": lambda: mean_differences(z, labels),
        "CAV, logistic": lambda: logistic(z, labels),
        "LDA, shrunk": lambda: discriminants(z, labels),
        "LEACE": lambda: erasure(z, labels),
        "TopK sparse autoencoder": lambda: sparse_autoencoder(z, labels, size),
    }


def compared(task: Task, context: Context) -> dict[str, Any]:
    """Measure every way for every concept of a task."""
    networks(task, context)
    dataset, found = opened_data(context, task.data), {}
    fitted(task, context, "default-0", [], context.seed)
    opened = open_translator(context.work / "default-0")
    names = {concept: concept.removeprefix("label:") for concept in task.concepts}
    known = {name: dataset.labels[name].values for name in names.values() if name in dataset.labels}
    known = {name: values for name, values in known.items() if len(np.unique(values)) <= 100}
    parts = [np.asarray(dataset.splits[name]) for name in ("train", "test")]
    z = [latents(opened, dataset, items) for items in parts]
    for concept, name in names.items():
        if name in known:
            labels = [known[name][items] for items in parts]
            others = [values for key, values in known.items() if key != name]
            other = [others[0][items] for items in parts] if others else None
            for way, make in ways(task, context, name, z[0], labels[0]).items():
                found[f"{name} by {way}"] = judged(make(), z, labels, other)
        elif concept not in dataset.labels:
            provider = find_providers([concept])[0]
            drawn = [latents(opened, dataset, items, provider, 1) for items in parts]
            both, sides = torch.cat((z[0], drawn[0])), np.repeat([0, 1], [len(z[0]), len(drawn[0])])
            for way, make in ways(task, context, name, both, sides).items():
                found[f"{name} by {way}"] = reproduced(make(), opened, z[1], drawn[1])
    return found


def cell(value: float | None, form: str) -> str:
    """Write a figure; where there is none, a dash."""
    return "–" if value is None else format(value, form)


def report(task: Task, found: dict[str, Any]) -> None:
    """Print a task's figures."""
    print(f"\n**{task.name}**\n")
    print("| concept, way | takes | moves z, at 80 % | other kept | rest tells: linear, MLP | NLL | s | round trip |")
    print("|---|---|---|---|---|---|---|---|")
    for name, figures in found.items():
        if "takes" in figures:
            cells = [name, cell(figures["takes"], ".3f"), cell(figures["moved"], ".2f"), cell(figures["kept"], ".3f")]
            cells += [f"{figures['linear']:.3f}, {figures['mlp']:.3f}", cell(figures["nll"], ".1f")]
            print(f"| {' | '.join([*cells, cell(figures['seconds'], '.1f'), cell(figures['round_trip'], '.0e')])} |")
    for name, figures in found.items():
        if isinstance(figures, dict) and "share" in figures:
            print(f"\n{name}: {figures['share']:.3f} of the {figures['flips']:.3f} real changes of the answer", end="")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(DEFAULT_TASKS), metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--lite0", type=Path, help="weights of EfficientNet-Lite0, in timm's names")
    parser.add_argument("--work", type=Path, default=Path("runs/defaults"), help="shared with defaults.py")
    given = parser.parse_args()
    wall = 0.0
    for name in given.tasks:
        context = Context(given.work / name, given.data_root, given.lite0, 0)
        context.work.mkdir(parents=True, exist_ok=True)
        found = computed(context.work, "alternatives", lambda task=TASKS[name], where=context: compared(task, where))
        wall += found.pop("wall")
        report(TASKS[name], found)
    print(f"\n{machine(wall)}")


if __name__ == "__main__":
    main()
