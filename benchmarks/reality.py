"""Verdicts of `iin respond` against the truth: the images really edited, on a pretrained ImageNet network.

Photographs of clothes, really greyed, and cue-conflict pictures (one texture on another shape): what does the answer owe
to each factor, does exchanging the factor flip as many answers as the real edit, and does the verdict's headline agree?
Of the cue-conflict pictures it also counts decisions for the shape and for the texture, among pictures whose answer is
one of their two classes, where ImageNet's names name them. Prints Markdown and writes `reality.json`.

    uv run python benchmarks/reality.py --translator clothes=DIR --translator cueconflict=DIR [--work runs/reality]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from stages import interval, machine, run

COLUMNS = ("factor", "walk", "by chance", "real edit", "factor exchanged", "share reproduced", "by chance", "agrees")


def responded(work: Path, name: str, translator: str, seed: int) -> dict[str, Any]:
    out = str(work / f"respond-{name}")
    return run(
        work, f"respond-{name}", ["respond", "-t", translator, "--split", "all", "--seed", str(seed), "--out", out]
    )


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
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    named = [each.partition("=")[::2] for each in given.translator]
    found = {name: responded(given.work, name, folder, given.seed) for name, folder in named}
    print(f"\n{machine(sum(each['wall'] for each in found.values()))}")
    for name, result in found.items():
        print(f"\n{name}: {result['images']} images\n")
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        print("\n".join(map(row, result["factors"])))
        print("\n" + "\n".join(f"- {each['name']}: {each['verdict']['text']}" for each in result["factors"]))
    (given.work / "reality.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
