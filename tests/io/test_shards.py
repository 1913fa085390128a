"""A shard is recorded when its files are whole, and found again by their bytes."""

import os

import torch

from iin_cli.editing.priors import TranslatorPrior, generate
from iin_cli.interpretation.opening import open_translator
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


def test_names_are_those_of_the_seeds_or_of_the_shard(tmp_path):
    second = cut([*range(256), 7, 1234])[1]
    assert ShardFiles(Manifest(tmp_path), "png").names(second) == ["000007.png", "001234.png"]
    assert ShardFiles(Manifest(tmp_path), "png", True).names(second) == ["000000/000007.png", "001000/001234.png"]
    assert ShardFiles(Manifest(tmp_path), "npz").names(second) == ["images-00001.npz"]
