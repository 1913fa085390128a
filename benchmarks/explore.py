"""From a drag on a pad of `iin explore` to the picture on the screen, in headless Chromium.

Starts the explorer of a translator, opens its page, takes the handle of one factor's pad, and moves it a step at a
time: each step counts from the pointer's event in the page to the frame that shows its picture, decoded. For a
classifier the picture is that of the nearest real images. Prints a Markdown table of all rounds, with the machine's
load before and after, since a machine that is shared tells of its other users as well; with --json all times. Needs
Chromium and playwright's Python package.

    uv run python benchmarks/explore.py runs/00003-fit-translator [MORE…] [--rounds 3] [--options '--data-root DATA']
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stages import machine

WATCH = """
window.times = []
let moved = 0
document.addEventListener('pointermove', () => { moved = performance.now() }, true)
document.addEventListener('iin:shown', ({ detail }) => {
  window.times.push({ milliseconds: performance.now() - moved, server: detail.milliseconds })
})
"""
# Steps before the first that counts: images that were not decoded yet, caches.
WARMING = 5


@contextmanager
def explorer(arguments: list[str]) -> Iterator[str]:
    """Run `iin explore` and give its page's address."""
    command = [
        sys.executable,
        "-m",
        "iin_cli",
        "explore",
        *arguments,
        "--no-browser",
        "--json",
        "--port",
        "0",
        "--quiet",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit("iin explore did not start")
            yield json.loads(line)["url"]
        finally:
            process.kill()


def measured(url: str, drags: int) -> dict[str, Any]:
    """Drag the first factor's handle in a circle, `drags` steps, and return what each took."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(WATCH)
        page.goto(url)
        wait_for(page, 1)
        card = page.locator("[data-factor]").first
        box = card.locator("canvas").bounding_box()
        assert box is not None
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(*middle)
        page.mouse.down()
        page.wait_for_timeout(1000)
        for step in range(WARMING + drags):
            angle, before = 0.37 * step, page.evaluate("window.times.length")
            radius = box["width"] * (0.15 + 0.2 * step / (WARMING + drags))
            page.mouse.move(middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle))
            wait_for(page, before + 1)
        page.mouse.up()
        times = page.evaluate("window.times")[-drags:]
        found = {"factor": card.get_attribute("data-factor"), "translator": translator_of(page)}
        browser.close()
    return {
        **found,
        "milliseconds": [entry["milliseconds"] for entry in times],
        "server_milliseconds": [entry["server"] for entry in times],
    }


def wait_for(page: Any, count: int) -> None:
    """Wait until `count` pictures have been shown."""
    end = time.monotonic() + 120
    while page.evaluate("window.times.length") < count:
        if time.monotonic() > end:
            raise SystemExit("no picture came within two minutes")
        page.wait_for_timeout(5)


def translator_of(page: Any) -> dict[str, Any]:
    """Say what was explored."""
    told = page.evaluate("fetch('/api/translator').then((answer) => answer.json())")
    sizes = {each["name"]: each["dim"] for each in told["factors"]}
    return {"name": told["name"], "answer": told["answer"], "image_size": told["image_size"], "factors": sizes}


def row(rounds: list[dict[str, Any]]) -> str:
    """Write what was measured of one translator as a line of a table."""
    told = rounds[0]["translator"]
    whole, server = (
        sorted(each for found in rounds for each in found[name]) for name in ("milliseconds", "server_milliseconds")
    )
    late = whole[math.ceil(0.9 * len(whole)) - 1]
    loads = [load for found in rounds for load in found["load"]]
    cells = (
        f"{told['answer']}, {told['image_size']}²",
        sum(told["factors"].values()),
        f"{statistics.median(whole):.0f}",
        f"{whole[0]:.0f} to {late:.0f}",
        f"{statistics.median(server):.0f}",
        f"{min(loads):.1f} to {max(loads):.1f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("translators", nargs="+")
    parser.add_argument("--drags", type=int, default=50, help="in a round")
    parser.add_argument("--rounds", type=int, default=1, help="each opens every translator once, in turn")
    parser.add_argument("--options", type=shlex.split, default=[], help="more options of `iin explore`, in one word")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    started, rounds = time.monotonic(), {translator: [] for translator in given.translators}
    for _ in range(given.rounds):
        for translator, found in rounds.items():
            load = os.getloadavg()[0]
            with explorer([translator, *given.options]) as url:
                found.append({**measured(url, given.drags), "load": (load, os.getloadavg()[0])})
    if given.json:
        print(json.dumps({"machine": machine(time.monotonic() - started), "rounds": rounds}, indent=2))
        return
    print("| answer | N | median, ms | from the fastest to nine of ten | of it the server | load of the machine |")
    print("|---|---:|---:|---:|---:|---:|")
    for found in rounds.values():
        print(row(found))


if __name__ == "__main__":
    main()
