"""The fit of T beside other libraries' flows of the same size: training, inverse, memory, and time to a held-out NLL.

All train on the same pairs of synthetic latents, by the same likelihood: `iin` by its defaults, the others as their
documentation shows, in float32 with Adam at the paper's rate ("plain" is the paper's recipe in plain PyTorch, also
under bfloat16). Contestants take turns within a round, and what is kept are medians of the rounds' ratios. Prints
Markdown tables, draws a plot and writes JSON to --work. `uv sync --group peers` installs the libraries; nflows had its
last release in 2020.

    uv run --group peers python benchmarks/peers.py                                    # about 10 minutes on 2 cores
    uv run --group peers python benchmarks/peers.py --only nll --seconds 150,600 --threads 1 --every-peer   # 70 minutes
    uv run --group peers python benchmarks/peers.py --record                           # keep the ratios in record.json
    uv run --group peers python benchmarks/peers.py --compare                          # name what lost 10 % since

On a machine that others use, --clock cpu --threads 1 counts the seconds of this process alone. One run of each
contestant gives all of --seconds; none goes on beyond --cap times the largest of them by the clock on the wall, and
`iin` stops when it has reached all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peer_contest import CLOCKS, OURS, contestants, inverse_rounds, memory, traces, training_rounds
from peer_flows import Size
from stages import machine

RECORD = Path(__file__).with_name("record.json")
PARTS = ("training", "inverse", "memory", "nll")
# A ratio that falls by more than this part has been lost.
TOLERANCE = 0.1


def lost(before: Mapping[str, float], now: Mapping[str, float], tolerance: float = TOLERANCE) -> dict[str, str]:
    """Name the ratios (how many times better than a peer) that fell by more than `tolerance`, or are missing."""
    found = {}
    for name, value in before.items():
        if name not in now:
            found[name] = f"{value:.2f} before, not measured now"
        elif now[name] < (1 - tolerance) * value:
            found[name] = f"{value:.2f} before, {now[name]:.2f} now"
    return found


def ratios(found: Mapping[str, Any]) -> dict[str, float]:
    """Return how many times better `iin` is than each peer, of all that was measured."""
    made = {}
    for pairs, rounds in found["training"].items():
        for name in rounds:
            made[f"training, {pairs} pairs, {name}"] = _ratio(rounds, name)
    for name in found["inverse"]:
        made[f"inverse, {name}"] = _ratio(found["inverse"], name)
    for name, peak in found["memory"].items():
        made[f"memory, {name}"] = peak / found["memory"]["iin"]
    for seconds, figures in found["nll"]["reached"].items():
        for name, each in figures.items():
            if each["iin"] is not None:
                made[f"NLL of {seconds} s, {name}"] = each["after"] / each["iin"]
    return {name: value for name, value in made.items() if not name.endswith(", iin")}


def _ratio(rounds: Mapping[str, list[float]], name: str) -> float:
    """Return the median over rounds of a peer's seconds divided by those of `iin`."""
    return statistics.median(peer / ours for peer, ours in zip(rounds[name], rounds["iin"], strict=True))


def measured(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Measure everything: seconds of every round, peak MiB, and curves of the held-out NLL."""
    size, clock = Size(**settings["size"]), CLOCKS[settings["clock"]]
    found: dict[str, Any] = {"training": {}, "inverse": {}, "memory": {}, "nll": {"curves": {}, "reached": {}}}
    only = settings["only"]
    for pairs in settings["pairs"] if "training" in only else ():
        print(f"training, {pairs} pairs", file=sys.stderr, flush=True)
        found["training"][str(pairs)] = training_rounds(size, pairs, settings["rounds"], clock)
    names = [name for name in contestants() if name != "iin"] if settings["every_peer"] else ["plain"]
    later = {
        "inverse": lambda: inverse_rounds(size, settings["rows"], settings["rounds"], clock),
        "memory": lambda: {name: memory(name, settings) for name in contestants()},
        "nll": lambda: traces(size, names, settings["nll_seconds"], clock, settings["cap"]),
    }
    for part, measure in later.items():
        if part in only:
            print(part, file=sys.stderr, flush=True)
            found[part] = measure()
    return found


def report(settings: Mapping[str, Any], found: Mapping[str, Any], wall: float) -> None:
    """Print the tables."""
    size = Size(**settings["size"])
    print(f"\n{machine(wall)}; N {size.dim}, {size.blocks} x {size.hidden}, {settings['threads']} threads, ", end="")
    print(f"{settings['clock']} clock; latents per second, and how many times as fast `iin` is\n")
    names = list(contestants())
    print(f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    made = ratios(found)
    for pairs, rounds in found["training"].items():
        cells = [f"{2 * int(pairs) / statistics.median(rounds[name]):,.0f}" for name in names]
        cells = [_times(cell, made.get(f"training, {pairs} pairs, {name}")) for cell, name in _zip(cells, names)]
        print(f"| trained, {pairs} pairs a step | {' | '.join(cells)} |")
    inverse = found["inverse"]
    if inverse:
        cells = [f"{1000 * statistics.median(inverse[name]):.0f} ms" if name in inverse else "-" for name in names]
        cells = [_times(cell, made.get(f"inverse, {name}")) for cell, name in _zip(cells, names)]
        print(f"| inverse of {settings['rows']:,} | {' | '.join(cells)} |")
    if found["memory"]:
        cells = [_times(f"{found['memory'][name]:.0f} MiB", made.get(f"memory, {name}")) for name in names]
        print(f"| peak memory, 250 pairs | {' | '.join(cells)} |")
    print("\n| after | reaches a held-out NLL of | and explains | `iin` | its likelihood alone |")
    print("|---|---|---|---|---|")
    for figures in found["nll"]["reached"].values():
        for name, each in figures.items():
            firsts = [_first(each["after"], each[who]) for who in OURS]
            cells = [f"{each['after']:.0f} s, {name}", f"{each['nll']:.2f}", f"{each['explained']:.2f}", *firsts]
            print(f"| {' | '.join(cells)} |")
    print("\n| best of all its seconds | held-out NLL | explains | after |\n|---|---|---|---|")
    for name, curve in found["nll"]["curves"].items():
        at, nll, explains = min(curve, key=lambda each: each[1])
        print(f"| {name} | {nll:.2f} | {explains:.2f} | {at:.0f} s |")


def _first(after: float, reached: float | None) -> str:
    return "not in this run" if reached is None else f"{reached:.1f} s ({after / reached:.1f} x)"


def _times(cell: str, ratio: float | None) -> str:
    return cell if ratio is None else f"{cell} ({ratio:.2f})"


def _zip(cells: list[str], names: list[str]) -> list[tuple[str, str]]:
    return list(zip(cells, names, strict=True))


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw latents per second over the batch, and the held-out NLL over time."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    batches = [2 * int(pairs) for pairs in found["training"]]
    for name in contestants():
        style = {"color": "black", "linewidth": 2.5} if name == "iin" else {}
        speed = [
            rows / statistics.median(rounds[name])
            for rows, rounds in zip(batches, found["training"].values(), strict=True)
        ]
        left.loglog(batches, speed, marker="o", label=name, **style)
        if name in found["nll"]["curves"]:
            curve = found["nll"]["curves"][name]
            right.plot([at for at, _, _ in curve], [nll for _, nll, _ in curve], label=name, **style)
    left.set(xlabel="latents per step", ylabel="latents per second, trained")
    right.set(xlabel="seconds of training", ylabel="held-out NLL, nats per latent")
    left.legend()
    right.legend()
    figure.savefig(path, dpi=120)


def _seconds(words: str) -> list[float]:
    return [float(word) for word in words.split(",")]


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[25, 250, 2048], help="of a step; two latents each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1000, help="of the inverse")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="measure no more than that")
    parser.add_argument("--seconds", type=_seconds, default=[60.0], help="after which NLLs are compared, as 150,600")
    parser.add_argument("--cap", type=float, default=2.0, help="times the most of --seconds that a run may take in all")
    parser.add_argument("--every-peer", action="store_true", help="time all of them to their NLL")
    for name, value in (("dim", 64), ("blocks", 12), ("hidden", 512), ("depth", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--work", type=Path, default=Path("runs/peers"))
    parser.add_argument("--record", action="store_true", help=f"keep the ratios in {RECORD.name}")
    parser.add_argument("--compare", action="store_true", help="measure as the record was, and name what lost 10 %%")
    return parser.parse_args()


def main() -> int:
    given = options()
    kept = ("pairs", "rounds", "rows", "only", "cap", "every_peer", "threads", "clock")
    settings = {name: getattr(given, name) for name in kept} | {"nll_seconds": given.seconds}
    settings["size"] = {name: getattr(given, name) for name in ("dim", "blocks", "hidden", "depth")}
    before = json.loads(RECORD.read_text()) if given.compare else None
    if before is not None:
        # A record of earlier versions says so in another way.
        parts = [part for part in PARTS if part != "memory" or not before["settings"].get("no_memory")]
        settings = {"only": parts, "cap": given.cap, **before["settings"]}
    torch.set_num_threads(settings["threads"])
    given.work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    found = measured(settings)
    wall = time.monotonic() - started
    report(settings, found, wall)
    draw(found, given.work / "peers.png")
    result = {"machine": machine(wall), "settings": settings, "ratios": ratios(found)}
    (given.work / "result.json").write_text(json.dumps({**result, **found}, indent=2))
    if given.record:
        RECORD.write_text(json.dumps(result, indent=2) + "\n")
    if before is None:
        return 0
    worse = lost(before["ratios"], result["ratios"])
    print(f"\nagainst the record of {before['machine']}:")
    print("\n".join(f"lost: {name}: {change}" for name, change in worse.items()) or "nothing lost more than 10 %")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
