"""Small sets of scikit-learn's digits as a Parquet file and as tar shards, and caches that nobody else uses."""

import io
import os
import subprocess
import sys
import tarfile
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from iin_cli.data import open_dataset
from PIL import Image


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Keep every test away from the user's caches and from the Hub."""
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def library(tmp_path, monkeypatch):
    """The library `datasets`, with a cache of this test's own and no Hub, whatever was set when it was imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import datasets
        from datasets import config
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "hf" / "datasets")
    monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
    return datasets


def encoded(pixels, kind="PNG"):
    """Encode pixels, or an image of Pillow, as a file."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.fixture
def png():
    """Encode pixels, or an image of Pillow, as a file."""
    return encoded


@pytest.fixture(scope="session")
def digits():
    """40 digits as PNG files, 4 of each, and which digit each is."""
    dataset = open_dataset("digits")
    values = dataset.labels["digit"].values
    items = np.concatenate([np.flatnonzero(values == digit)[:4] for digit in range(10)])
    pixels = dataset.images(items, 32)
    return [encoded(image) for image in pixels], values[items].tolist(), pixels


def written(path, members):
    """Write a tar file of (name, content)."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def write_tar():
    """Write a tar file of (name, content); returns its path."""
    return written


@pytest.fixture
def shards(tmp_path, digits):
    """`tar:` of two shards with the digits, an image and its `.cls` each."""
    images, values, _ = digits
    for shard in range(2):
        chosen = range(shard, len(images), 2)
        members = [(f"{i:03d}.png", images[i]) for i in chosen]
        members += [(f"{i:03d}.cls", str(values[i]).encode()) for i in chosen]
        written(tmp_path / f"digits-{shard}.tar", members)
    return f"tar:{tmp_path}/digits-{{0..1}}.tar"


@pytest.fixture
def parquet(tmp_path):
    """Write a Parquet file of columns; returns its name for `--data`."""
    import pyarrow
    from pyarrow.parquet import write_table

    def write(name="set.parquet", **columns):
        write_table(pyarrow.table(columns), tmp_path / name)
        return f"hf:{tmp_path / name}"

    return write


class Listener:
    """Keeps what is reported."""

    def __init__(self):
        self.notes, self.warnings, self.tasks = [], [], []

    @contextmanager
    def task(self, description, total, unit="it"):
        self.tasks.append(description)
        yield self

    def advance(self, amount=1, **metrics):
        pass

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)


@pytest.fixture
def listener():
    return Listener()


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
