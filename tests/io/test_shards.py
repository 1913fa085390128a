"""A shard is recorded when its files are whole, and found again by their bytes."""

import os

import numpy as np
import pytest
import torch

from iin_cli.editing.priors import TranslatorPrior, generate
from iin_cli.errors import ResourceError, UsageError
from iin_cli.interpretation.opening import open_translator
from iin_cli.io import shards
from iin_cli.io.manifest import Manifest, cut
from iin_cli.io.shards import ShardFiles

CPU = torch.device("cpu")


def test_a_shard_is_recorded_after_its_files(files, tmp_path, monkeypatch):
    opened = open_translator(files.of_images)
    (shard,) = cut(range(40))
    seen = []
    monkeypatch.setattr(
        Manifest, "record", lambda self, shard, digests: seen.append((set(digests), {*os.listdir(tmp_path)}))
    )
    with ShardFiles(Manifest(tmp_path), "png") as sink:
        sink.write(shard, generate(opened.network.backbone, TranslatorPrior(opened), shard.seeds, CPU, 7))
    (recorded, there) = seen[0]
    assert recorded == there == {f"{seed:06d}.png" for seed in range(40)}


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Write pictures by processes of their own, however few; returns what writes the numbers of a shard."""
    monkeypatch.setattr(shards, "MANY", 1)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (300, 8, 8, 3), np.uint8)

    def write(folder):
        folder.mkdir()
        manifest = Manifest(folder)
        with ShardFiles(manifest, "png").expecting(len(images)) as sink:
            for shard in cut(range(len(images))):
                sink.write(shard, iter([images[shard.seeds.start : shard.seeds.stop]]))
        return {path.name: path.read_bytes() for path in folder.rglob("*.*")}

    return write


@pytest.mark.slow
def test_many_pictures_are_written_by_another_process_to_the_same_bytes(tmp_path, pictures, monkeypatch):
    apart = pictures(tmp_path / "apart")
    monkeypatch.setattr(shards, "MANY", 1000)
    assert apart == pictures(tmp_path / "here")
    assert len(apart) == 300 + 2


@pytest.mark.slow
def test_an_error_of_the_other_process_is_that_of_this_one(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(ShardFiles, "_picture", lambda self, seed: f"not there/{seed}.png")
    monkeypatch.setattr(ShardFiles, "_make_folders", lambda self, shard: None)
    with pytest.raises(UsageError, match=r"cannot write .*not there/\d+\.png: No such file"):
        pictures(tmp_path / "out")


@pytest.mark.slow
def test_a_process_that_the_system_ends_is_named(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(shards, "CHILD", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(
        ResourceError, match=r"writes pictures ended, with status -9: .* goes on where this one stopped"
    ):
        pictures(tmp_path / "out")


def test_where_no_process_starts_this_one_writes(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr("sys.executable", "/not/there")
    assert len(pictures(tmp_path / "out")) == 300 + 2


def test_names_are_those_of_the_seeds_or_of_the_shard(tmp_path):
    second = cut([*range(256), 7, 1234])[1]
    assert ShardFiles(Manifest(tmp_path), "png").names(second) == ["000007.png", "001234.png"]
    assert ShardFiles(Manifest(tmp_path), "png", True).names(second) == ["000000/000007.png", "001000/001234.png"]
    assert ShardFiles(Manifest(tmp_path), "npz").names(second) == ["images-00001.npz"]
