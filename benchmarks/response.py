"""What ColorMNIST's classifier answers by: walks of the digit flip its predictions, walks of the colour do not (Fig 9).

On the classifier that benchmarks/colormnist.py trains; the translator is fitted here, for longer than there. Short
walks stay near their start for part of their way, long ones do not. Prints a Markdown table.

    uv run python benchmarks/response.py --backbone runs/colormnist/classifier --data-root DIR [--work runs/response]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from stages import interval, machine, run

CONCEPTS = ["--concept", "digit", "--concept", "color"]
GOALS = {"digit": "> 0.80", "color": "< 0.02"}
POINTS = (20, 100)


def respond(given: argparse.Namespace, points: int) -> dict[str, Any]:
    arguments = ["respond", "--translator", str(given.work / "fit"), "--data-root", str(given.data_root)]
    arguments += ["--n", str(given.n), "--steps", str(points), "--out", str(given.work / f"respond-{points}")]
    return run(given.work, f"respond-{points}", [*arguments, "--seed", str(given.seed)])


def rows(points: int, found: dict[str, Any]) -> list[str]:
    """Write the rows of a table: the flip rate of each factor beside that of random subspaces of its size."""
    lines = []
    for factor in found["factors"]:
        flips = factor["overall"]["flip_rate"]
        cells = [factor["name"], str(factor["dim"]), str(points), interval(flips["factor"]), interval(flips["control"])]
        lines.append(f"| {' | '.join([*cells, GOALS.get(factor['name'], '')])} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", type=Path, required=True, help="ColorMNIST's classifier, a run folder")
    parser.add_argument("--data-root", type=Path, required=True, help="torchvision's layout of MNIST lies here")
    parser.add_argument("--work", type=Path, default=Path("runs/response"))
    parser.add_argument("--translator-seconds", type=int, default=900)
    parser.add_argument("--n", type=int, default=500, help="test images that walks start from")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    arguments = ["fit-translator", "--backbone", str(given.backbone), "--data-root", str(given.data_root)]
    arguments += [*CONCEPTS, "--max-seconds", str(given.translator_seconds), "--seed", str(given.seed)]
    fit = run(given.work, "fit", [*arguments, "--out", str(given.work / "fit")])
    found = {points: respond(given, points) for points in POINTS}
    wall = sum(stage["wall"] for stage in (fit, *found.values()))
    print(f"\n{machine(wall)}; translator {fit['steps']} steps, held-out NLL {fit['heldout_nll']:.2f} nats")
    print(f"{found[POINTS[0]]['images']} test images, γ {found[POINTS[0]]['gamma']}\n")
    print(
        "| factor | dimensions | points of a walk | flip rate | of random subspaces | goal |\n|---|---|---|---|---|---|"
    )
    for points, result in found.items():
        print("\n".join(rows(points, result)))


if __name__ == "__main__":
    main()
