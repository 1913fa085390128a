"""The state of a run comes back as it was, without pickle; an unfit file is refused."""

import math

import pytest
import torch

from iin_cli.errors import CheckpointError
from iin_cli.io import checkpoint
from iin_cli.io.training_state import read_state, write_state


def test_an_optimiser_comes_back_exactly(tmp_path):
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2, betas=(0.5, 0.9))
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    write_state(tmp_path / "s.safetensors", {"optimizer": optimizer.state_dict(), "weights": layer.state_dict()})
    state = read_state(tmp_path / "s.safetensors")
    again = torch.optim.Adam(layer.parameters())
    again.load_state_dict(state["optimizer"])
    assert again.param_groups[0]["lr"] == 1e-2
    assert tuple(again.param_groups[0]["betas"]) == (0.5, 0.9)
    for parameter in layer.parameters():
        for name, value in optimizer.state[parameter].items():
            assert torch.equal(again.state[parameter][name], value)


def test_plain_values_and_shared_memory(tmp_path):
    shared = torch.arange(4.0)
    state = {"a": shared, "b": shared[:2], "n": [1, None, "x", {3: -math.inf}], "e": {}, "t": (True, 0.1)}
    write_state(tmp_path / "s", state)
    back = read_state(tmp_path / "s")
    assert torch.equal(back["a"], shared)
    assert torch.equal(back["b"], shared[:2])
    assert back["n"] == [1, None, "x", {3: -math.inf}]
    assert back["t"] == [True, 0.1]
    assert back["e"] == {}


def test_generator_states(tmp_path):
    generator = torch.Generator().manual_seed(5)
    write_state(tmp_path / "s", {"generator": generator.get_state()})
    expected = torch.rand(3, generator=generator)
    other = torch.Generator()
    other.set_state(read_state(tmp_path / "s")["generator"])
    assert torch.equal(torch.rand(3, generator=other), expected)


def test_an_unfit_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read_state(tmp_path / "nothing")
    (tmp_path / "cut").write_bytes(b"12345678")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        read_state(tmp_path / "cut")
    checkpoint.save(tmp_path / "t", {"x": torch.ones(1)}, {"kind": "translator"})
    with pytest.raises(CheckpointError, match="is a translator, expected a training"):
        read_state(tmp_path / "t")
    checkpoint.save(tmp_path / "d", {}, {"kind": "training", "tree": {"t": "0"}})
    with pytest.raises(CheckpointError, match="does not hold the state"):
        read_state(tmp_path / "d")
