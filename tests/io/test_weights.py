"""Weights files as training scripts write them, damaged ones, and ones that would run code."""

import argparse
import pathlib
from datetime import date

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from iin_cli.errors import CheckpointError
from iin_cli.io.weights import misfits, named_as, read_weights

TENSORS = {"0.weight": torch.ones(2, 3), "0.bias": torch.ones(2)}


@pytest.mark.parametrize(
    "wrap",
    [
        dict,
        lambda tensors: {"model": tensors, "epoch": 3},
        lambda tensors: {"state_dict": tensors},
        lambda tensors: {"state_dict": {"other": torch.zeros(1)}, "state_dict_ema": tensors},
        lambda tensors: {"net": tensors, "acc": 93.1, "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
        lambda tensors: {"model_state_dict": tensors, "optimizer_state_dict": {"state": {}, "param_groups": []}},
        lambda tensors: {"mine": {"inner": tensors}, "history": {"loss": [1.0]}},
        lambda tensors: {"state_dict": tensors, "args": argparse.Namespace(lr=0.1, out=pathlib.Path("x"))},
        lambda tensors: {"model": tensors, "best": np.float64(0.5), "counts": np.int64(3)},
        lambda tensors: {"n_averaged": torch.tensor(3), **tensors} if next(iter(tensors))[:2] == "mo" else tensors,
    ],
)
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_files_of_torch_save_as_training_scripts_write_them(tmp_path, wrap, prefix):
    torch.save(wrap({prefix + name: tensor for name, tensor in TENSORS.items()}), tmp_path / "w.pth")
    tensors = read_weights(tmp_path / "w.pth")
    assert tensors.keys() == TENSORS.keys()
    assert all((tensor == 1).all() for tensor in tensors.values())


def test_a_prefix_of_some_names_is_part_of_them(tmp_path):
    torch.save({"module.weight": torch.ones(1), "bias": torch.ones(1)}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").keys() == {"module.weight", "bias"}


def test_names_of_a_trainers_module_are_those_of_the_network_in_it():
    inside = {f"model.net.{name}": tensor for name, tensor in TENSORS.items()}
    found = named_as({"model.loss.weight": torch.zeros(2), **inside}, TENSORS)
    assert found.keys() == TENSORS.keys()
    assert named_as(TENSORS, TENSORS) == TENSORS
    # Names of another network stay as they are, to be named in the message.
    assert named_as({"a.b": torch.zeros(1)}, ["c"]).keys() == {"a.b"}


def test_two_networks_in_one_file_are_named(tmp_path):
    torch.save({"G": TENSORS, "D": TENSORS}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"several networks, G, D: save one .*torch.load\('w.pth'\)\['G'\]"):
        read_weights(tmp_path / "w.pth")


def test_what_would_run_code_is_named_with_the_line_that_saves_the_weights_alone(tmp_path):
    torch.save({"model": TENSORS, "when": date(2020, 6, 14)}, tmp_path / "w.pth")
    with pytest.raises(
        CheckpointError, match=r"holds datetime.date, .*torch.save\(model.state_dict\(\), 'weights.pth'\)"
    ):
        read_weights(tmp_path / "w.pth")


def test_why_weights_do_not_fit():
    own = {"stem.weight": torch.ones(4, 3, 7, 7), "stem.bias": torch.ones(4), "fc.weight": torch.ones(5, 4)}
    assert misfits(own, own) is None
    assert misfits(own, {}, own) is None
    grey = misfits(own, own | {"stem.weight": torch.ones(4, 1, 7, 7)})
    assert grey is not None
    assert "images of 1 channels, not 3: open it in Python" in grey
    headless = {name: tensor for name, tensor in own.items() if name != "fc.weight"}
    removed, replaced = misfits(own, headless), misfits(own, headless | {"fc.1.weight": torch.ones(2, 4)})
    assert removed == (
        "1 of 3 tensors are missing (fc.weight): its head fc was removed: "
        "open it in Python with iin.Network.cut(model, layer)"
    )
    assert replaced is not None
    assert "the file has 1 others (fc.1.weight): its head was replaced" in replaced
    assert "(a, b, c, d and 3 more)" in (misfits(own, own | dict.fromkeys("abcdefg", torch.ones(1))) or "")


def test_a_safetensors_file(tmp_path):
    save_file(TENSORS, tmp_path / "w.safetensors")
    assert read_weights(tmp_path / "w.safetensors").keys() == TENSORS.keys()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04" + bytes(40)])
def test_a_damaged_file_is_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name} cannot be read") as caught:
        read_weights(tmp_path / name)
    assert "\n" not in str(caught.value)
    # Torch's advice for every possible cause would bury what is wrong.
    assert len(str(caught.value)) < len(str(tmp_path)) + 200


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {"optimizer": {"state": {0: {"step": torch.zeros(1)}}}}])
def test_a_file_of_something_else(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="does not hold a network's weights"):
        read_weights(tmp_path / "w.pth")


def test_a_file_that_would_run_code_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"weight": Trap()}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_weights(tmp_path / "w.pth")
    assert not (tmp_path / "sprung").exists()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"no such weights file: .*default, none, or a file"):
        read_weights(tmp_path / "w.pth")
