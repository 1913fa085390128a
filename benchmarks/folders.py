"""How long it takes to open folders of 1,000 to 1,000,000 tiny images, and how much memory, first and when known.

Every open is a process of its own. "first" reads, hashes and decodes every file; "known" finds all as they were;
"one changed" finds one file rewritten; "--verify" reads all again. Memory is the growth of the process's peak over its
size after the imports, per file. Prints a Markdown table, and fails where fingerprints of the same bytes differ.

    uv run python benchmarks/folders.py --folder /tmp/tiny [--counts 1000 10000 100000 1000000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

IN_CLASS = 10_000
OPEN = """
import json, resource, sys, time
from iin_cli.data.folder import open_folder
from PIL import Image
Image.init()
before, started, worked = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), time.process_time()
dataset = open_folder(sys.argv[1])
seconds, cpu = time.perf_counter() - started, time.process_time() - worked
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / len(dataset.sources)
print(json.dumps({"seconds": seconds, "cpu": cpu, "bytes": grown, "fingerprint": dataset.fingerprint}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="new folder, for the images and the cache")
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--verify", action="store_true", help="also read all again")
    given = parser.parse_args()
    names = ["first", "known", "one changed", *(["--verify"] if given.verify else [])]
    print(f"| files | {' | '.join(f'{name}, s (CPU s)' for name in names)} | bytes a file |")
    print("|" + "---|" * (len(names) + 2), flush=True)
    for count in given.counts:
        folder = given.folder / str(count)
        make(folder, count)
        # A file as new as the disk's clock is not trusted.
        time.sleep(3)
        found = {name: opened(given.folder, folder, verify=False) for name in ("first", "known")}
        if found["first"]["fingerprint"] != found["known"]["fingerprint"]:
            sys.exit("the fingerprint has changed")
        write(folder, count // 2, count)
        found["one changed"] = opened(given.folder, folder, verify=False)
        if found["one changed"]["fingerprint"] == found["known"]["fingerprint"]:
            sys.exit("a changed file was not noticed")
        if given.verify:
            found["--verify"] = opened(given.folder, folder, verify=True)
        cells = [f"{found[name]['seconds']:.2f} ({found[name]['cpu']:.2f})" for name in names]
        print(f"| {count:,} | {' | '.join(cells)} | {found['known']['bytes']:.0f} |", flush=True)


def make(folder: Path, count: int) -> None:
    """Write images of one pixel, no two alike, in classes of 10,000."""
    for number in range(count):
        if number % IN_CLASS == 0:
            (folder / f"class-{number // IN_CLASS:03}").mkdir(parents=True)
        write(folder, number, number)


def write(folder: Path, number: int, color: int) -> None:
    """Write image `number` in a colour."""
    path = folder / f"class-{number // IN_CLASS:03}" / f"{number:07}.ppm"
    path.write_bytes(b"P6 1 1 255\n" + color.to_bytes(3, "big"))


def opened(cache: Path, folder: Path, verify: bool) -> dict[str, float]:
    """Open the folder in another process."""
    environment = {**os.environ, "IIN_CACHE": str(cache / "cache"), **({"IIN_VERIFY": "1"} if verify else {})}
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(folder)], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
