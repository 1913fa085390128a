"""Whichever write of a training meets a full or a broken disk, nothing is left damaged, and the next try works."""

import builtins
import errno
import os
from contextlib import contextmanager

import pytest
import torch

from iin_cli.commands.make.fit_translator import fit_translator
from iin_cli.errors import IinError
from iin_cli.io import checkpoint
from iin_cli.plan import Wishes
from iin_cli.training import saving
from iin_cli.training.runs import RunChoice

KEPT = {"log.jsonl", "plan.json", "training-state.safetensors"}


@contextmanager
def failing(folder, at, number):
    """Let write `at` below `folder` fail with the error `number`; yields a list with an entry per write."""
    writes, fsync, replace, low, high = [], os.fsync, os.replace, os.open, builtins.open

    def meet(path):
        if str(path).startswith(str(folder)):
            writes.append(path)
            if len(writes) == at + 1:
                raise OSError(number, os.strerror(number), str(path))

    def synchronised(handle):
        meet(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    def renamed(source, target, **more):
        meet(target)
        replace(source, target, **more)

    def created(path, flags, *more, **others):
        if flags & os.O_CREAT:
            meet(path)
        return low(path, flags, *more, **others)

    def opened(file, mode="r", *more, **others):
        if set(mode) & set("wax+"):
            meet(file)
        return high(file, mode, *more, **others)

    os.fsync, os.replace, os.open, builtins.open = synchronised, renamed, created, opened
    try:
        yield writes
    finally:
        os.fsync, os.replace, os.open, builtins.open = fsync, replace, low, high


def raised(call):
    try:
        call()
    except IinError as error:
        return error
    return None


@pytest.fixture
def fit(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "FIRST_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(saving, "SAVE_SHARE", 1e9)
    latents, wishes = tmp_path / "z.safetensors", Wishes(steps=2, blocks=1, hidden=4)
    checkpoint.save(latents, {"z": torch.randn(64, 4)}, {"kind": "latents"})
    return lambda resume=False: fit_translator(latents, (), None, wishes, RunChoice(tmp_path / "run", 0, resume=resume))


def test_no_write_of_a_training_that_fails_leaves_damage(fit, tmp_path, monkeypatch):
    # A full disk sends the product to the temporary folder, which is as full here.
    monkeypatch.setattr(saving, "_kept", lambda *_: None)
    folder = tmp_path / "run"
    with failing(tmp_path, -1, 0) as writes:
        fit()
    assert len(writes) > 12
    for at in range(len(writes)):
        number = (errno.ENOSPC, errno.EIO)[at % 2]
        for entry in folder.iterdir():
            entry.unlink()
        with failing(tmp_path, at, number):
            error = raised(fit)
        if error is None:
            continue
        assert error.exit_code == (6 if number == errno.ENOSPC else 2)
        assert "\n" not in str(error)
        left = {entry.name for entry in folder.iterdir()}
        if "translator.safetensors" in left:
            # What failed came after the product, which is whole.
            checkpoint.load(folder / "translator.safetensors")
            continue
        assert left <= KEPT
        fit(resume="training-state.safetensors" in left)
        assert "training-state.safetensors" not in {entry.name for entry in folder.iterdir()}
