"""How far the default fit is from the best of a grid: method, width, blocks, σ, sizes, steps halved and doubled.

Every task is fitted by default with three seeds, and once by each setting of the grid, which changes one thing. A
task's score is the mean of its figures, all in [0, 1], more is better. The regret is how far the best setting's score
is above the default's of the same seed, in per cent of it. Keeps all results in --work and prints Markdown tables.

    uv run python benchmarks/defaults.py [TASK …] [--data-root DIR] [--lite0 WEIGHTS] [--work runs/defaults] [--no-grid]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean, median
from typing import Any

from stages import computed, machine
from tasks import TASKS, Context, Task, fitted, networks

SEEDS = (0, 1, 2)


def grid(fit: dict[str, Any], flow: Path) -> dict[str, list[str]]:
    """Return the settings beside the default, as options of `fit-translator`.

    Args:
        fit: the result of the default fit.
        flow: the folder of a fit with a flow, whose size and steps are halved and doubled; where the default is the
            closed form it has none of its own.
    """
    plan = json.loads((flow / "plan.json").read_text())["plan"]
    blocks, hidden, steps = plan["blocks"], plan["hidden"], plan["steps"]
    score = fit["scores"]
    return {
        "closed form": ["--method", "linear"],
        "half the width": ["--hidden", str(hidden // 2)],
        "twice the width": ["--hidden", str(hidden * 2)],
        "a third of the blocks": ["--blocks", str(max(1, blocks // 3))],
        "twice the blocks": ["--blocks", str(blocks * 2)],
        "σ 0.7": ["--sigma", "0.7"],
        "σ 0.97": ["--sigma", "0.97"],
        "sizes of Eq 11": ["--dims", ",".join(f"{name}={size}" for name, size in eq11(score, fit).items())],
        "half the steps": ["--steps", str(steps // 2)],
        "twice the steps": ["--steps", str(steps * 2)],
        "the paper's fit": ["--preset", "paper", "--max-seconds", str(max(60, round(2 * fit["seconds"])))],
    }


def eq11(scores: dict[str, float], fit: dict[str, Any]) -> dict[str, int]:
    """Return the sizes of Eq 11, at least one each and with some left for the residual."""
    from iin_cli.translator.dims import allocate

    sizes = allocate(scores, sum(fit["factors"].values()))
    return {name: size for name, size in sizes.items() if name != "residual"}


def measured(task: Task, context: Context, name: str, options: list[str], seed: int) -> dict[str, Any]:
    """Fit by `options` and measure, unless that is done already."""
    fit = fitted(task, context, name, options, seed)
    figures = computed(context.work, f"{name}-figures", lambda: task.figures(context, context.work / name))
    wall = fit["wall"] + figures.pop("wall")
    return {"fit": fit, "figures": figures, "score": mean(figures.values()), "wall": wall}


def judged(task: Task, context: Context, *, with_grid: bool) -> dict[str, Any]:
    """Measure one task: the default by every seed, and the grid."""
    wall = networks(task, context)
    found = {f"seed {seed}": measured(task, context, f"default-{seed}", [], seed) for seed in SEEDS}
    default = found[f"seed {SEEDS[0]}"]
    if with_grid:
        found["flow"] = measured(task, context, "grid-flow", ["--method", "flow"], SEEDS[0])
        for number, (name, options) in enumerate(grid(default["fit"], context.work / "grid-flow").items()):
            found[name] = measured(task, context, f"grid-{number}", options, SEEDS[0])
    return {"runs": found, "wall": wall + sum(run["wall"] for run in found.values())}


def report(task: Task, found: dict[str, Any]) -> None:
    """Print a task's figures and its grid."""
    runs = found["runs"]
    seeds = [runs[f"seed {seed}"] for seed in SEEDS]
    print(f"\n**{task.name}** ({', '.join(task.concepts)}): factors {seeds[0]['fit']['factors']}\n")
    print("| figure | default, median of 3 seeds | least, most | goal | closed form |\n|---|---|---|---|---|")
    for name in seeds[0]["figures"]:
        values = [seed["figures"][name] for seed in seeds]
        goal = f"≥ {task.goals[name]}" if name in task.goals else ""
        linear = f"{runs['closed form']['figures'][name]:.3f}" if "closed form" in runs else ""
        print(f"| {name} | {median(values):.3f} | {min(values):.3f}, {max(values):.3f} | {goal} | {linear} |")
    seconds = median(seed["fit"]["seconds"] for seed in seeds)
    print(f"\nA fit took {seconds:.0f} s, NLL {seeds[0]['fit']['heldout_nll']:.2f} nats.\n")
    others = {name: run for name, run in runs.items() if not name.startswith("seed ")}
    if others:
        print("| setting | score | held-out NLL | seconds |\n|---|---|---|---|")
        for name, run in sorted({"default": seeds[0], **others}.items(), key=lambda item: -item[1]["score"]):
            cells = [name, f"{run['score']:.4f}", f"{run['fit']['heldout_nll']:.2f}", f"{run['fit']['seconds']:.0f}"]
            print(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(TASKS), metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--lite0", type=Path, help="weights of EfficientNet-Lite0, in timm's names")
    parser.add_argument("--work", type=Path, default=Path("runs/defaults"))
    parser.add_argument("--no-grid", action="store_true", help="the default and its seeds alone")
    given = parser.parse_args()
    wall, lines = 0.0, []
    for name in given.tasks:
        task = TASKS[name]
        found = judged(task, Context(given.work / name, given.data_root, given.lite0, 0), with_grid=not given.no_grid)
        report(task, found)
        wall += found["wall"]
        default = found["runs"][f"seed {SEEDS[0]}"]["score"]
        others = {key: run["score"] for key, run in found["runs"].items() if not key.startswith("seed ")}
        if others:
            best = max(others, key=lambda key: others[key])
            regret = max(0.0, others[best] / default - 1)
            lines.append(f"| {name} | {default:.4f} | {best} | {others[best]:.4f} | {regret:.1%} |")
    if lines:
        print("\n| task | default | best of the grid | its score | regret |\n|---|---|---|---|---|")
        print("\n".join(lines))
    print(f"\n{machine(wall)}")


if __name__ == "__main__":
    main()
