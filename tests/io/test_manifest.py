"""What a manifest promises: a shard counts as complete only when its files hold the recorded bytes."""

import hashlib
import json

import pytest

from iin_cli.errors import CheckpointError, UsageError
from iin_cli.io.manifest import SHARD_SEEDS, Manifest, cut, is_begun, runs_of

SETTINGS = {"translator": "a" * 64, "prior": "translator", "truncation": 1.0, "vary": ["digit"], "fix": {}}


@pytest.fixture
def manifest(tmp_path):
    return Manifest(tmp_path)


def fill(manifest, shard, content=b"image"):
    (manifest.folder / "x.npz").write_bytes(content)
    manifest.record(shard, {"x.npz": hashlib.sha256(content).hexdigest()})


def test_shards_are_cut_from_the_list_alone():
    seeds = [*range(300), 7000, *range(400, 900)]
    shards = cut(seeds)
    assert [seed for shard in shards for seed in shard.seeds] == seeds
    assert {len(shard.seeds) for shard in shards[:-1]} == {SHARD_SEEDS}
    # Latents are decoded in pieces of these heights; a shard must not end inside one.
    assert SHARD_SEEDS % 32 == SHARD_SEEDS % 256 == 0
    assert cut(seeds[: 2 * SHARD_SEEDS]) == shards[:2]


def test_runs_hold_any_list_in_its_order():
    seeds = [5, 6, 7, 1, 3, 2]
    assert runs_of(seeds) == [[5, 7], [1, 1], [3, 3], [2, 2]]
    assert [seed for first, last in runs_of(seeds) for seed in range(first, last + 1)] == seeds


def test_a_shard_is_complete_when_recorded_and_whole(manifest):
    first, second = cut(range(SHARD_SEEDS + 1))
    assert not manifest.is_complete(first, ["x.npz"])
    fill(manifest, first)
    assert manifest.is_complete(first, ["x.npz"])
    assert not manifest.is_complete(second, ["x.npz"])
    # Other seeds under the same number, or files that the record does not know.
    assert not manifest.is_complete(cut(range(1, SHARD_SEEDS + 1))[0], ["x.npz"])
    assert not manifest.is_complete(first, ["x.npz", "y.npz"])
    assert not manifest.is_complete(first, ["y.npz"])


@pytest.mark.parametrize("damage", ["changed", "cut short", "gone", "record cut short", "record foreign"])
def test_damage_is_found(manifest, damage):
    (shard,) = cut(range(3))
    fill(manifest, shard)
    file, record = manifest.folder / "x.npz", manifest.folder / "manifest" / "00000.json"
    if damage == "changed":
        file.write_bytes(b"imagf")
    elif damage == "cut short":
        file.write_bytes(b"imag")
    elif damage == "gone":
        file.unlink()
    else:
        record.write_text(record.read_text()[:-9] if damage == "record cut short" else "[1]")
    assert not manifest.is_complete(shard, ["x.npz"])


def test_the_same_or_more_seeds_go_on(manifest, tmp_path):
    assert not is_begun(tmp_path)
    assert not manifest.begin(SETTINGS, range(10))
    assert is_begun(tmp_path)
    assert manifest.begin(SETTINGS, list(range(10)))
    assert manifest.begin(SETTINGS, [*range(10), 99])
    assert json.loads((tmp_path / "manifest.json").read_text())["seeds"] == [[0, 9], [99, 99]]
    for other in ([0, 1], range(5, 15), [*range(10), 98], [*range(10)][::-1]):
        with pytest.raises(UsageError, match=r"holds the seeds 0-9,99: give the same seeds"):
            manifest.begin(SETTINGS, other)


def test_other_settings_are_refused_by_name(manifest):
    manifest.begin(SETTINGS, range(10))
    with pytest.raises(UsageError, match=r"\(translator a{12}… there, b{12}… asked\): name a new folder"):
        manifest.begin({**SETTINGS, "translator": "b" * 64}, range(10))
    with pytest.raises(UsageError, match=r"truncation 1.0 there, 0.5 asked; vary digit there, none asked"):
        manifest.begin({**SETTINGS, "vary": [], "truncation": 0.5}, range(10))
    with pytest.raises(UsageError, match=r"fix none there, residual=b{12}… asked"):
        manifest.begin({**SETTINGS, "fix": {"residual": "b" * 64}}, range(10))


@pytest.mark.parametrize("text", ["", "[]", '{"name": "an app"}', '{"format_version": 1, "settings": 3, "seeds": []}'])
def test_a_foreign_manifest_is_refused(manifest, tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"manifest\.json is damaged"):
        manifest.begin(SETTINGS, range(10))
    assert (tmp_path / "manifest.json").read_text() == text


def test_what_a_killed_run_left_unfinished_is_removed(manifest, tmp_path):
    (tmp_path / ".manifest.json.abc.part").write_text("{")
    assert not is_begun(tmp_path)
    assert list(tmp_path.iterdir()) == []
    manifest.begin(SETTINGS, range(10))
    (tmp_path / "000000").mkdir()
    for name in ("000001.part", "000000/000002.part", ".images-00000.npz.xyz.part"):
        (tmp_path / name).write_text("half")
    (tmp_path / "notes.txt").write_text("mine")
    manifest.begin(SETTINGS, range(10))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["000000", "manifest.json", "notes.txt"]
