"""A fit needs the memory of what it looks at, not of the file that its latents lie in."""

import ctypes
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from iin_cli.fitting import pair_files
from iin_cli.fitting.inference import size_factors
from iin_cli.fitting.materials import from_file
from iin_cli.fitting.pair_files import read_pairs
from iin_cli.fitting.translator_fit import TranslatorFit
from iin_cli.latents import cache as latents
from iin_cli.plan import Wishes, plan_translator
from iin_cli.progress import Silent
from iin_cli.translator.flow import Translator

PAIRS, DIM = 60_000, 256
CPU = torch.device("cpu")
# The exit code of a process that cannot tell what it takes.
UNKNOWN = 77


def in_kib(name):
    """A line of what Linux says of this process."""
    return int(re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[1])


def watch_growth():
    """Return what says by how many MiB this process has grown since now, at its largest; exits where nothing can."""
    try:
        # Memory that was freed but kept would hide what is taken next.
        ctypes.CDLL(None).malloc_trim(0)
        # Linux forgets the peak there was.
        Path("/proc/self/clear_refs").write_text("5")
    except (AttributeError, OSError):
        sys.exit(UNKNOWN)
    before = in_kib("VmRSS")
    return lambda: (in_kib("VmHWM") - before) / 1024


def growth_of(work, folder):
    """What `work` says of itself in a process of its own: what other tests have left in this one would count too."""
    done = subprocess.run([sys.executable, __file__, work.__name__, str(folder)], capture_output=True, text=True)
    if done.returncode == UNKNOWN:
        pytest.skip("this system cannot be asked for a new peak of memory")
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def write_pairs(path, count):
    """Write `count` pairs of a concept, a piece at a time."""
    size = 4 * count * DIM
    layout = {"dtype": "F32", "shape": [count, DIM]}
    header = {"z_a": {**layout, "data_offsets": [0, size]}, "z_b": {**layout, "data_offsets": [size, 2 * size]}}
    header["mask"] = {"dtype": "U8", "shape": [count, 2], "data_offsets": [2 * size, 2 * size + 2 * count]}
    text = json.dumps(header).encode()
    generator = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _ in range(2 * count // 1000):
            file.write(generator.standard_normal((1000, DIM), np.float32).tobytes())
        file.write(np.tile(np.array([1, 0], np.uint8), count).tobytes())
    return path


def fit_to(path):
    material = from_file(read_pairs(path, ["concept"]), Silent())
    plan = plan_translator(DIM, len(material.table), "cpu", Wishes(steps=3, blocks=1, hidden=8, depth=1), True)
    stream = material.stream(size_factors(material, material.scores(0, "variance"), None, plan), plan, 0)
    fit = TranslatorFit(Translator(DIM, 1, 8, 1), stream, plan, 0, CPU)
    fit.initialize()
    for step in range(3):
        fit.step(step, step / 3)
    fit.validate()


def fit_to_much(folder):
    # As small beside this file as the real limits are beside one of 200,000 wide pairs.
    latents.BLOCK_NUMBERS, latents.READ_ROWS, pair_files.SCORE_NUMBERS = 2**18, 32, 2**18
    # What is imported and set up once is none of the file.
    fit_to(write_pairs(folder / "few.safetensors", 3000))
    path = write_pairs(folder / "many.safetensors", PAIRS)
    growth = watch_growth()
    fit_to(path)
    return growth()


def read_whole(folder):
    rows = read_pairs(write_pairs(folder / "many.safetensors", PAIRS), ["concept"]).parts[0]
    growth = watch_growth()
    assert rows[:].shape == (PAIRS, DIM)
    return growth()


@pytest.mark.slow
def test_a_fit_to_a_large_file_keeps_little_of_it(tmp_path):
    growth = growth_of(fit_to_much, tmp_path)
    assert (tmp_path / "many.safetensors").stat().st_size > 115 * 2**20
    assert growth < 60


@pytest.mark.slow
def test_the_measure_sees_a_file_that_is_read_whole(tmp_path):
    assert growth_of(read_whole, tmp_path) > 55


if __name__ == "__main__":
    torch.set_num_threads(1)
    print({work.__name__: work for work in (fit_to_much, read_whole)}[sys.argv[1]](Path(sys.argv[2])))
