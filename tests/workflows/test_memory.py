"""A fit needs the memory of what it looks at, not of the file that its latents lie in."""

import ctypes
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from iin_cli.data import latents
from iin_cli.plan import Wishes, plan_translator
from iin_cli.progress import Silent
from iin_cli.translator.flow import Translator
from iin_cli.workflows import pair_files
from iin_cli.workflows.fitting import TranslatorFit
from iin_cli.workflows.materials import from_file, size_factors
from iin_cli.workflows.pair_files import read_pairs

PAIRS, DIM = 60_000, 256
CPU = torch.device("cpu")


def in_kib(name):
    """A line of what Linux says of this process."""
    return int(re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[1])


def watch_growth():
    """Return what says by how many MiB this process has grown since now, at its largest."""
    try:
        # Memory that was freed but kept would hide what is taken next.
        ctypes.CDLL(None).malloc_trim(0)
        # Linux forgets the peak there was.
        Path("/proc/self/clear_refs").write_text("5")
    except (AttributeError, OSError):
        pytest.skip("this system cannot be asked for a new peak of memory")
    before = in_kib("VmRSS")
    return lambda: (in_kib("VmHWM") - before) / 1024


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
    material = from_file(read_pairs(path, ["concept"]), None, "variance", Silent())
    plan = plan_translator(DIM, material.rows, "cpu", Wishes(steps=3, blocks=1, hidden=8, depth=1), True)
    stream = material.stream(size_factors(material, None, plan), plan, 0)
    fit = TranslatorFit(Translator(DIM, 1, 8, 1), stream, plan, 0, CPU)
    fit.initialize()
    for step in range(3):
        fit.step(step, step / 3)
    fit.validate()


def test_a_fit_to_a_large_file_keeps_little_of_it(tmp_path, monkeypatch):
    # As small beside this file as the real limits are beside one of 200,000 wide pairs.
    monkeypatch.setattr(latents, "BLOCK_NUMBERS", 2**18)
    monkeypatch.setattr(latents, "READ_ROWS", 32)
    monkeypatch.setattr(pair_files, "SCORE_NUMBERS", 2**18)
    # What is imported and set up once is none of the file.
    fit_to(write_pairs(tmp_path / "few.safetensors", 3000))
    path = write_pairs(tmp_path / "many.safetensors", PAIRS)
    growth = watch_growth()
    fit_to(path)
    assert path.stat().st_size > 115 * 2**20
    assert growth() < 60


def test_the_measure_sees_a_file_that_is_read_whole(tmp_path):
    rows = read_pairs(write_pairs(tmp_path / "many.safetensors", PAIRS), ["concept"]).parts[0]
    growth = watch_growth()
    assert rows[:].shape == (PAIRS, DIM)
    assert growth() > 55
