"""Draw the pictures of the site and the README again, from what `iin demo` leaves behind.

uv run python docs/pictures.py                      # runs the demo first, about four minutes on two cores
uv run python docs/pictures.py --demo runs/00000-demo
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PICTURES = Path(__file__).with_name("pictures")
ICON_FILE, ICON = Path(__file__).with_name("_static") / "favicon.png", (113, 449, 177, 513)
SEED = "1"
# Name of a picture -> command that draws it, but for the translator and the place.
COMMANDS = {
    "swap-digit.png": ("swap", "-f", "digit", "-n", "6"),
    "swap-color.png": ("swap", "-f", "color", "-n", "6"),
    "walk-color.png": ("walk", "--mode", "ou", "-f", "color", "-n", "4"),
}


def iin(*words: str) -> None:
    """Run one command; whatever it prints of progress is shown."""
    subprocess.run([sys.executable, "-m", "iin_cli", *words], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Run the demo unless one is given, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, help="the folder of a finished demo")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        demo = given.demo or Path(folder, "demo")
        if given.demo is None:
            iin("demo", "--seed", SEED, "--out", str(demo))
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / "samples.png").write_bytes((demo / "samples.png").read_bytes())
        for name, words in COMMANDS.items():
            drawn = Path(folder, name)
            iin(*words, "-t", str(demo / "translator"), "--seed", SEED, "--out", str(drawn))
            (PICTURES / name).write_bytes(drawn.read_bytes())
        with Image.open(PICTURES / "swap-digit.png") as grid:
            # One drawn digit, for the tab of the browser.
            grid.crop(ICON).resize((64, 64)).save(ICON_FILE)


if __name__ == "__main__":
    main()
