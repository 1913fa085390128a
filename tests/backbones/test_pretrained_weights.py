"""Weights from files and from torch's cache: names old and new, misfits, damage, no network."""

from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import ResNet18_Weights

from iin_cli.backbones.pretrained_weights import default_weights, load_weights, read_weights
from iin_cli.errors import CheckpointError, UsageError

FILE_NAME = "resnet18-f37072fd.pth"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """An empty cache of torch hub, and no network."""

    def refuse(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return tmp_path / "torch" / "hub" / "checkpoints"


def network():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 4))


def filled(value=1.0):
    return {name: torch.full_like(tensor, value) for name, tensor in network().state_dict().items()}


def loaded(tensors, **options):
    model = network()
    load_weights(model, tensors, "the file", **options)
    return model.state_dict()


@pytest.mark.parametrize("wrap", [dict, lambda t: {"model": t, "epoch": 3}, lambda t: {"state_dict": t}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_files_of_torch_save_as_training_scripts_write_them(tmp_path, wrap, prefix):
    torch.save(wrap({prefix + name: tensor for name, tensor in filled().items()}), tmp_path / "w.pth")
    tensors = read_weights(tmp_path / "w.pth")
    assert tensors.keys() == filled().keys()
    assert all((tensor == 1).all() for tensor in loaded(tensors).values())


def test_a_safetensors_file(tmp_path):
    save_file(filled(), tmp_path / "w.safetensors")
    assert read_weights(tmp_path / "w.safetensors").keys() == filled().keys()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04" + bytes(40)])
def test_a_damaged_file_is_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name} cannot be read") as caught:
        read_weights(tmp_path / name)
    assert "\n" not in str(caught.value)


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


def test_weights_of_another_network_name_the_first_misfits():
    tensors = filled()
    del tensors["0.bias"]
    tensors |= {"2.weight": torch.zeros(5, 3), "7.weight": torch.zeros(1), "8.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        loaded(tensors)
    assert str(caught.value) == (
        "the file has weights of another network: 0.bias missing, 7.weight unknown, 8.weight unknown, and 1 more"
    )
    with pytest.raises(CheckpointError, match=r"2.weight \(5, 3\) instead of \(4, 3\)"):
        loaded({**filled(), "2.weight": torch.zeros(5, 3)})


def test_what_may_be_missing_or_too_much():
    tensors = {**filled(), "AuxLogits.fc.weight": torch.zeros(1), "aux1.fc.weight": torch.zeros(1)}
    del tensors["1.num_batches_tracked"]
    assert (loaded(tensors)["0.weight"] == 1).all()
    head = loaded({**filled(), "2.weight": torch.zeros(9, 9)}, but="2")
    assert (head["0.weight"] == 1).all()
    assert not (head["2.weight"] == 1).all()


def test_names_that_torchvision_has_changed_since():
    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1 = nn.BatchNorm1d(2)
            self.mlp = nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Dropout(), nn.Linear(2, 2))

    model = Dense()
    renamed = {"norm1": "norm.1", "mlp.0": "mlp.linear_1", "mlp.3": "mlp.linear_2"}
    old = {}
    for name, tensor in model.state_dict().items():
        stem, _, kind = name.rpartition(".")
        old[f"{renamed[stem]}.{kind}"] = torch.full_like(tensor, 2)
    load_weights(model, old, "the file")
    assert all((tensor == 2).all() for tensor in model.state_dict().values())


def test_the_default_weights_come_from_the_cache(hub):
    hub.mkdir(parents=True)
    torch.save(filled(), hub / FILE_NAME)
    assert default_weights(ResNet18_Weights.DEFAULT, "resnet18").keys() == filled().keys()


def test_without_a_network_the_file_and_its_place_are_named(hub):
    with pytest.raises(UsageError) as caught:
        default_weights(ResNet18_Weights.DEFAULT, "resnet18")
    for part in ("resnet18", "no route to host", f"place {FILE_NAME} in {hub}", "--weights none"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_in_the_cache(hub):
    hub.mkdir(parents=True)
    (hub / FILE_NAME).write_bytes(b"half a downl")
    with pytest.raises(CheckpointError, match=f"{FILE_NAME} cannot be read"):
        default_weights(ResNet18_Weights.DEFAULT, "resnet18")


def test_what_is_fetched_is_read_without_running_code(hub, monkeypatch):
    def fetch(_url, destination, *_, **__):
        torch.save(filled(3.0), destination)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    assert (default_weights(ResNet18_Weights.DEFAULT, "resnet18")["0.bias"] == 3).all()
    assert (hub / FILE_NAME).is_file()
