"""Weights files as training scripts write them, damaged ones, and ones that would run code."""

import pytest
import torch
from safetensors.torch import save_file

from iin_cli.errors import CheckpointError
from iin_cli.io.weights import read_weights

TENSORS = {"0.weight": torch.ones(2, 3), "0.bias": torch.ones(2)}


@pytest.mark.parametrize(
    "wrap",
    [
        dict,
        lambda tensors: {"model": tensors, "epoch": 3},
        lambda tensors: {"state_dict": tensors},
        lambda tensors: {"state_dict": {"other": torch.zeros(1)}, "state_dict_ema": tensors},
    ],
)
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_files_of_torch_save_as_training_scripts_write_them(tmp_path, wrap, prefix):
    torch.save(wrap({prefix + name: tensor for name, tensor in TENSORS.items()}), tmp_path / "w.pth")
    tensors = read_weights(tmp_path / "w.pth")
    assert tensors.keys() == TENSORS.keys()
    assert all((tensor == 1).all() for tensor in tensors.values())


def test_a_prefix_of_some_names_is_part_of_them(tmp_path):
    torch.save({"module.weight": torch.ones(1), "bias": torch.ones(1)}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").keys() == {"module.weight", "bias"}


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


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {"layer": {"weight": torch.zeros(1)}}])
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
