"""A run is saved early, then as seldom as saving is dear; a full disk at the end loses nothing that was fitted."""

import errno
import os
import tempfile

import pytest
import torch

from iin_cli.errors import ResourceError
from iin_cli.io import atomic, checkpoint
from iin_cli.training import saving
from iin_cli.training.saving import Saving, save_product

TENSORS, METADATA = {"w": torch.arange(4.0)}, {"kind": "training", "tree": {}}


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still, and saves that take as long as it says."""
    now = {"seconds": 100.0, "cost": 0.0}
    monkeypatch.setattr(saving.time, "monotonic", lambda: now["seconds"])

    def write(path, state):
        now["seconds"] += now["cost"]

    monkeypatch.setattr(saving, "write_state", write)
    return now


def seconds_until_due(saves, clock):
    began = clock["seconds"]
    while not saves.due:
        clock["seconds"] += 0.5
    return clock["seconds"] - began


def test_saving_takes_a_few_per_cent_of_the_time(tmp_path, clock):
    saves = Saving(tmp_path / "state", True)
    assert seconds_until_due(saves, clock) == 5
    for cost, wait in ((0.01, 5), (2.0, 100), (0.5, 25)):
        clock["cost"] = cost
        saves.save(dict)
        assert seconds_until_due(saves, clock) == pytest.approx(wait, abs=0.5)


def test_who_saves_nothing(tmp_path, clock):
    clock["seconds"] += 10
    assert not Saving(None, True).due

    def unused():
        pytest.fail("the state was gathered for nothing")

    Saving(None, True).save(unused)
    Saving(tmp_path / "state", False).save(unused)


@pytest.fixture
def full_disk(monkeypatch, tmp_path):
    """A folder in which nothing can be written, and an empty one for temporary files."""
    folder, temporary = tmp_path / "full", tmp_path / "tmp"
    for each in (folder, temporary):
        each.mkdir()
    settle, full = atomic._settle, {folder}

    def fail(part, path, mode):
        if full & {path.parent, path.parent.parent}:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        settle(part, path, mode)

    monkeypatch.setattr(atomic, "_settle", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return folder, temporary, full


def test_a_full_disk_at_the_end_loses_nothing(full_disk):
    folder, temporary, _ = full_disk
    with pytest.raises(ResourceError) as told:
        save_product(folder / "translator.safetensors", TENSORS, METADATA)
    (kept,) = temporary.glob("iin-*/*")
    assert str(told.value) == (
        f"no space left on the disk for {folder / 'translator.safetensors'}: it is kept as {kept}, move it"
    )
    assert torch.equal(checkpoint.load(kept, "training").tensors["w"], TENSORS["w"])
    assert list(folder.iterdir()) == []


def test_where_both_disks_are_full_nothing_is_left_over(full_disk):
    folder, temporary, full = full_disk
    full.add(temporary)
    with pytest.raises(ResourceError, match="free some"):
        save_product(folder / "translator.safetensors", TENSORS, METADATA)
    assert [*folder.iterdir(), *temporary.iterdir()] == []


def test_there_is_room(tmp_path):
    save_product(tmp_path / "t.safetensors", TENSORS, METADATA)
    assert checkpoint.load(tmp_path / "t.safetensors").metadata["kind"] == "training"
