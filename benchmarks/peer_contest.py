"""Contestants of `peers.py`, and the clock: rounds in which they take turns, their memory, and their NLL over time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from peer_flows import PEERS, Flow, Size
from torch import Tensor

from iin_cli.fitting.inference import Inferred, infer
from iin_cli.fitting.materials import Material
from iin_cli.fitting.pairs import Pairs
from iin_cli.fitting.streams import Batch, PairStream
from iin_cli.fitting.translator_fit import TranslatorFit
from iin_cli.plan import Wishes
from iin_cli.progress import Silent
from iin_cli.training.loop import flushed_denormals
from iin_cli.translator.alignment import Alignment, alignments, explained
from iin_cli.translator.flow import Translator
from iin_cli.translator.likelihood import pair_nll

__all__ = ["CLOCKS", "Contestant", "contestants", "inverse_rounds", "memory", "traces", "training_rounds"]

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
CPU = torch.device("cpu")
ROUNDED = "plain bf16"
# The default without its reward for pairs that correlate, as the peers are fitted.
UNREWARDED = "iin, likelihood alone"
# What a result calls the fits of this library -> their contestants.
OURS = {"iin": "iin", "unrewarded": UNREWARDED}
ROWS, CLASSES, SEED = 20_000, 10, 0
# Of the paper (Table 6, and its code).
RATE, PAPER_PAIRS = 1e-4, 25
# A turn lasts about so many seconds, or one step.
TURN = 0.3
MEMORY_PAIRS = 250
# Validations along a curve, whose time is not counted, denser towards its beginning, and pairs of each.
VALIDATIONS, HELD_OUT = 48, 512
# The first of them, as a part of all seconds.
EARLIEST = 1 / 400


@dataclass(frozen=True)
class HeldOut:
    """Figures of held-out pairs: NLL in nats per latent, and the sum of the class factor's correlations."""

    nll: float
    explained: float


@dataclass(frozen=True)
class Contestant:
    """Something that trains: a step by its number, figures of held-out pairs, the inverse."""

    step: Callable[[int], Any]
    held_out: Callable[[], HeldOut]
    inverse: Callable[[Tensor], Tensor]
    parameters: int


def contestants() -> list[str]:
    """Name all contestants, `iin` first."""
    return ["iin", "plain", ROUNDED, *(name for name in PEERS if name != "plain")]


def latents(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Make latents (M, dim) of ten classes, bent and mixed, and their labels (M,)."""
    generator = np.random.default_rng(SEED)
    labels = generator.integers(0, CLASSES, ROWS)
    own = generator.normal(size=(ROWS, dim)) + 1.5 * generator.normal(size=(CLASSES, dim))[labels]
    mixing, bending = generator.normal(size=(2, dim, dim)) / dim**0.5
    return (own @ mixing + np.tanh(2 * own @ bending)).astype(np.float32), labels


@cache
def _inferred(size: Size, pairs: int) -> tuple[Material, Inferred]:
    z, labels = latents(size.dim)
    material = Pairs(z).share("class", labels).material(Silent())
    wishes = Wishes(blocks=size.blocks, hidden=size.hidden, depth=size.depth, batch_pairs=pairs)
    return material, infer(material, wishes, SEED, CPU, Silent())


def enter(name: str, size: Size, pairs: int) -> Contestant:
    """Build a contestant that takes `pairs` pairs a step; all see the same pairs."""
    material, inferred = _inferred(size, pairs)
    stream = material.stream(inferred.factors, inferred.plan, SEED)
    wanted = {key: alignments(inferred.factors, mask, ()) for key, mask in stream.masks.items()}
    if name not in OURS.values():
        torch.manual_seed(SEED)
        rounded = name == ROUNDED
        return _peer(PEERS["plain" if rounded else name](size), stream, wanted, rounded)
    plan = inferred.plan if name == "iin" else replace(inferred.plan, pair_reward=0.0)
    translator = Translator(size.dim, plan.blocks, plan.hidden, plan.depth, SEED, plan.linear_start)
    fit = TranslatorFit(translator, stream, plan, SEED, CPU, wanted)
    fit.held_out = {key: batch.rows(slice(HELD_OUT)) for key, batch in fit.held_out.items()}
    fit.initialize(inferred.spectrum)
    return Contestant(
        lambda step: fit.step(step, min(1.0, step / plan.steps)),
        lambda: _validated(fit, wanted),
        translator.inverse,
        sum(weight.numel() for weight in translator.parameters()),
    )


def _validated(fit: TranslatorFit, wanted: Mapping[str, Sequence[Alignment]]) -> HeldOut:
    # Without a reward a fit asks for none of it.
    before, fit.wanted = fit.wanted, dict(wanted)
    found = fit.validate()
    fit.wanted = before
    return HeldOut(found["heldout_nll"], found["pair_correlation"])


def _peer(flow: Flow, stream: PairStream, wanted: Mapping[str, Sequence[Alignment]], rounded: bool) -> Contestant:
    flow.forward(stream.initial(2000))
    weights = [weight for weight in flow.module.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=RATE)
    precision = torch.autocast("cpu", torch.bfloat16, enabled=rounded)

    def translated(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return z̃ of both members and the mean NLL."""
        assert batch.z_b is not None
        assert batch.rho is not None
        with precision:
            z_tilde, log_det = flow.forward(torch.cat((batch.z_a, batch.z_b)))
        (a, b), (of_a, of_b) = z_tilde.float().tensor_split(2), log_det.float().tensor_split(2)
        return a, b, 0.5 * pair_nll(a, of_a, b, of_b, batch.rho).mean()

    def step(number: int) -> float:
        loss = translated(stream.batch(number))[2]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    held_out = {key: batch.rows(slice(HELD_OUT)) for key, batch in stream.held_out().items()}

    @torch.no_grad()
    def figures() -> HeldOut:
        found = []
        for name, batch in held_out.items():
            a, b, nats = translated(batch)
            found.append((nats.item(), explained(a, b, wanted[name])))
        return HeldOut(*np.mean(found, axis=0).tolist())

    return Contestant(step, figures, flow.inverse, sum(weight.numel() for weight in weights))


@flushed_denormals()
def training_rounds(size: Size, pairs: int, rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Return the seconds of a step in every round, of each contestant."""
    entered = {name: enter(name, size, pairs) for name in contestants()}
    counts, numbers = {}, {name: iter(range(10**9)) for name in entered}
    for name, each in entered.items():
        each.step(next(numbers[name]))
        counts[name] = max(1, round(TURN / max(_seconds(each, numbers[name], 1, clock), 1e-4)))
    return {
        name: list(turns)
        for name, turns in zip(
            entered,
            zip(
                *(
                    [_seconds(each, numbers[name], counts[name], clock) for name, each in entered.items()]
                    for _ in range(rounds)
                ),
                strict=True,
            ),
            strict=True,
        )
    }


def _seconds(contestant: Contestant, numbers: Iterator[int], count: int, clock: Callable[[], float]) -> float:
    started = clock()
    for _ in range(count):
        contestant.step(next(numbers))
    return (clock() - started) / count


def inverse_rounds(size: Size, rows: int, rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Return the seconds of the inverse of `rows` rows in every round; in float32, since it must undo T."""
    z = torch.randn(rows, size.dim, generator=torch.Generator().manual_seed(SEED))
    entered = {name: enter(name, size, PAPER_PAIRS) for name in contestants() if name != ROUNDED}
    seconds: dict[str, list[float]] = {name: [] for name in entered}
    with torch.no_grad():
        for turn in range(rounds + 1):
            for name, each in entered.items():
                started = clock()
                each.inverse(z)
                # The first only warms up.
                if turn:
                    seconds[name].append(clock() - started)
    return seconds


def memory(name: str, settings: Mapping[str, Any]) -> float:
    """Return the peak memory in MiB of a process that takes two steps, libraries included."""
    asked = json.dumps({"name": name, "size": settings["size"], "threads": settings["threads"]})
    done = subprocess.run([sys.executable, __file__, asked], stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


@flushed_denormals()
def traces(
    size: Size, names: Sequence[str], seconds: Sequence[float], clock: Callable[[], float], cap: float
) -> dict[str, dict[str, Any]]:
    """Return curves of the held-out figures over the seconds of training, and when `iin` reaches each peer's best NLL.

    Peers train by the paper's recipe, 25 pairs a step; `iin` by its defaults, its closed form included, until it has
    reached what all others did.

    Args:
        cap: a curve ends after so many times the most of `seconds` by the clock on the wall.
    """
    curves = {name: _curve(name, size, PAPER_PAIRS, seconds, clock, cap) for name in names}
    best = min(nll for curve in curves.values() for _, nll, _ in curve)
    for name in OURS.values():
        curves[name] = _curve(name, size, MEMORY_PAIRS, seconds, clock, cap, best)
    reached: dict[str, dict[str, dict[str, float | None]]] = {}
    for limit in seconds:
        reached[f"{limit:g}"] = {}
        for name in names:
            # The last step may end a little later; a curve that was cut short has its own end.
            within = [each for each in curves[name] if each[0] <= 1.02 * limit] or curves[name][:1]
            _, lowest, explains = min(within, key=lambda each: each[1])
            firsts = {key: next((at for at, nll, _ in curves[who] if nll <= lowest), None) for key, who in OURS.items()}
            known = {"nll": lowest, "explained": explains, "after": min(limit, within[-1][0])}
            reached[f"{limit:g}"][name] = {**known, **firsts}
    return {"curves": curves, "reached": reached}


def _curve(
    name: str,
    size: Size,
    pairs: int,
    seconds: Sequence[float],
    clock: Callable[[], float],
    cap: float,
    target: float = -float("inf"),
) -> list[tuple[float, float, float]]:
    """Return (seconds, NLL, explained) of a training: train for the most of `seconds`, or until the NLL is `target`.

    The seconds of validations are not counted.
    """
    most, began = max(seconds), time.monotonic()
    due = sorted({*np.geomspace(most * EARLIEST, most, VALIDATIONS).tolist(), *seconds})
    # What `iin` infers is part of its time.
    _inferred.cache_clear()
    started = clock()
    contestant = enter(name, size, pairs)
    spent = clock() - started if name in OURS.values() else 0.0

    def judged() -> tuple[float, float, float]:
        found = contestant.held_out()
        return spent, found.nll, found.explained

    curve = [judged()]
    numbers = iter(range(10**9))
    for at in due:
        while spent < at:
            spent += _seconds(contestant, numbers, 1, clock)
        # What prepared may have taken longer than the first ones.
        if spent > curve[-1][0]:
            curve.append(judged())
        if curve[-1][1] <= target or time.monotonic() - began > cap * most:
            break
    return curve


def _print_peak(asked: Mapping[str, Any]) -> None:
    import resource

    torch.set_num_threads(asked["threads"])
    contestant = enter(asked["name"], Size(**asked["size"]), MEMORY_PAIRS)
    for number in range(2):
        contestant.step(number)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    _print_peak(json.loads(sys.argv[1]))
