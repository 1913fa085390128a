"""Small pictures, small sizes and empty caches: nothing here trains longer than a few steps."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from iin_sketch import sketches
from iin_sketch import train_stylizer as recipe
from iin_sketch.networks import Stylizer, canonical, random_encoder


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Keep every test away from the user's caches; torch's has no VGG-19."""
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of 24 images 40², coloured discs on coloured ground in two classes."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:40, :40]
    for number in range(24):
        (folder / "ab"[number % 2]).mkdir(exist_ok=True)
        ground, disc = generator.integers(0, 256, (2, 3))
        center, radius = generator.uniform(12, 28, 2), generator.uniform(5, 12)
        inside = (x - center[0]) ** 2 + (y - center[1]) ** 2 < radius**2
        pixels = np.where(inside[..., None], disc, ground).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "ab"[number % 2] / f"{number:02d}.png")
    return folder


@pytest.fixture
def small(monkeypatch):
    """Train on a CPU as if it were a very slow one."""
    size = recipe.Size(side=32, crop=32, width=4, batch_size=4, steps=3)
    monkeypatch.setattr(recipe, "ON_CPU", size)
    monkeypatch.setattr(sketches, "FAMILY_SIZE", 3)
    return size


@pytest.fixture
def stylizer(noise):
    """A stylizer of random weights that does change images, frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = Stylizer(4, 4, 32)
        model.encoder = random_encoder(4, 0, noise)
        torch.nn.init.normal_(model.decoder.head.weight, 0.0, 1.0)
        with torch.no_grad():
            # Untrained attention whispers.
            model.fourth.out.weight.mul_(100.0)
    return model.eval().requires_grad_(False)


@pytest.fixture
def noise():
    """Canonical images (6, 3, 32, 32) of noise."""
    return canonical(torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))).images


@pytest.fixture
def say():
    """A reporter that remembers: `notes` and `warnings`."""
    from iin_cli.progress import Silent

    class Said(Silent):
        def __init__(self):
            self.notes, self.warnings = [], []

        def note(self, text):
            self.notes.append(text)

        def warn(self, text):
            self.warnings.append(text)

    return Said()


@pytest.fixture
def drawings(tmp_path):
    """Two sketches as files: `a.png` of upright bars, `b.png` of chequers."""
    y, x = np.mgrid[:80, :80]
    for name, ink in (("a.png", x // 8 % 2), ("b.png", (x // 10 + y // 10) % 2)):
        Image.fromarray((255 * ink).astype(np.uint8)).save(tmp_path / name)
    return tmp_path / "a.png", tmp_path / "b.png"


@pytest.fixture
def run_cli(tmp_path):
    """Run `iin` as a process of its own in an empty folder; returns exit code, stdout and stderr."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "iin_cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            timeout=240,
        )
        return done.returncode, done.stdout, done.stderr

    return run
