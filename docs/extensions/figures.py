"""Tables of measured figures, written from the files in `benchmarks/results/`: no figure is typed into a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "all_results", "one_result", "table"]

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def all_results(leave_out: frozenset[str] = frozenset()) -> str:
    """Return Markdown of every kept result, in the order that the files give."""
    kept = {file.stem: _read(file) for file in RESULTS.glob("*.json") if file.stem not in leave_out}
    return "\n\n".join(one_result(name) for name in sorted(kept, key=lambda name: (kept[name]["order"], name)))


def one_result(name: str) -> str:
    """Return Markdown of one kept result: when, where and how it was measured, its tables and remarks."""
    result = _read(RESULTS / f"{name}.json")
    facts = f"*{result['date']} · machine: {result['machine']}*"
    commands = ["```sh", *result["commands"], "```"]
    parts = [part["text"] if "text" in part else table(part) for part in result["parts"]]
    return "\n\n".join([f"(figures-{name})=\n## {result['title']}", facts, "\n".join(commands), *parts])


def table(part: dict[str, Any]) -> str:
    """Return a Markdown table of `columns`, `align` (left or right) and `rows`, all of them Markdown."""
    rules = ["---:" if side == "right" else "---" for side in part["align"]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (part["columns"], rules, *part["rows"]))


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))
