"""Run a benchmark and keep the tables that it prints in `results/NAME.json`, with date, machine and command.

    uv run python benchmarks/keep.py startup -- startup.py --translator runs/demo/translator --rounds 3
    uv run python benchmarks/keep.py startup --note "Medians. Goals: 0.6 s without tensors." -- startup.py …

The site is written from these files. A kept result keeps its title and its place. Its old remarks are about its old
figures, so they are dropped, and printed to be read again.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


def parts_of(printed: str) -> list[dict[str, Any]]:
    """Return the paragraphs and tables of Markdown, in order, as a result file holds them."""
    found: list[dict[str, Any]] = []
    for block in printed.strip().split("\n\n"):
        lines = [line.strip() for line in block.strip().splitlines()]
        rows = [cells(line) for line in lines if line.startswith("|")]
        words = " ".join(line for line in lines if not line.startswith("|"))
        if words:
            found.append({"text": words})
        if len(rows) > 2:
            columns, rules, *body = rows
            align = ["right" if rule.endswith(":") else "left" for rule in rules]
            found.append({"columns": columns, "align": align, "rows": body})
    return found


def cells(line: str) -> list[str]:
    """Cut a line of a table into its cells."""
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def main() -> None:
    """Run, show, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the file in results/, without .json")
    parser.add_argument("--title", help="heading on the site; default: that of the kept file, else the name")
    parser.add_argument("--note", action="append", default=[], help="a paragraph above the figures; repeatable")
    parser.add_argument("words", nargs="+", help="the script and its options")
    given = parser.parse_args()
    # Only a run that is measured needs torch, for its version.
    from stages import machine

    began = time.monotonic()
    script = Path(__file__).with_name(given.words[0])
    done = subprocess.run([sys.executable, script, *given.words[1:]], stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, end="")
    file = RESULTS / f"{given.name}.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    result = {
        "title": given.title or before.get("title", given.name),
        "order": before.get("order", 1000),
        "scripts": [given.words[0]],
        "commands": [f"uv run python benchmarks/{shlex.join(given.words)}"],
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(time.monotonic() - began),
        "parts": [*({"text": note} for note in given.note), *parts_of(done.stdout)],
    }
    file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for part in before.get("parts", []):
        if "text" in part:
            print(f"no longer kept: {part['text']}", file=sys.stderr)


if __name__ == "__main__":
    main()
