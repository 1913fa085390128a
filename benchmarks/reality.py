"""Verdicts of `iin respond` against the truth: the images really edited, on a pretrained ImageNet network.

Photographs of clothes, really greyed, and cue-conflict pictures (one texture on another shape), matched with pictures
of the same shape in another texture and of another shape in the same texture. What does the answer owe to each factor,
and does exchanging the factor flip as many answers as the real edit? Prints Markdown and writes `reality.json`.

    uv run python benchmarks/reality.py --translator clothes=DIR --translator cueconflict=DIR [--work runs/reality]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from stages import interval, machine, run

COLUMNS = ("factor", "walk", "by chance", "real edit", "factor exchanged", "share reproduced", "by chance", "agrees")


def responded(given: argparse.Namespace, name: str, translator: str) -> dict[str, Any]:
    stage = f"respond-{name}"
    arguments = ["respond", "-t", translator, "--split", given.split, "--seed", str(given.seed)]
    return run(given.work, f"{stage}-result", [*arguments, "--out", str(given.work / stage)])


def agrees(real: dict[str, Any]) -> bool:
    """Say whether the exchange flips as often as the real edit, within the interval of either."""
    edited, exchanged = real["edited"], real["exchanged"]
    return edited["low"] <= exchanged["high"] and exchanged["low"] <= edited["high"]


def row(factor: dict[str, Any]) -> str:
    main, real = next(iter(factor["overall"].values())), factor["reality"]
    cells = [factor["name"], interval(main["factor"]), interval(main["control"])]
    if "edited" in real:
        shares = [interval(real[key]) if real[key] else "–" for key in ("share", "share_by_chance")]
        cells += [interval(real["edited"]), interval(real["exchanged"]), *shares, "yes" if agrees(real) else "no"]
    else:
        cells += ["–"] * 5
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--translator", action="append", required=True, help="NAME=FOLDER of a fitted translator")
    parser.add_argument("--work", type=Path, default=Path("runs/reality"))
    parser.add_argument("--split", default="test", help="train, test or all")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    named = [each.partition("=")[::2] for each in given.translator]
    found = {name: responded(given, name, folder) for name, folder in named}
    print(f"\n{machine(sum(each['wall'] for each in found.values()))}")
    for name, result in found.items():
        print(f"\n{name}: {result['images']} images\n")
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        print("\n".join(map(row, result["factors"])))
        print("\n" + "\n".join(f"- {each['name']}: {each['verdict']['text']}" for each in result["factors"]))
    (given.work / "reality.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
