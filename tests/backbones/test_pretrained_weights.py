"""Published weights from torch's cache, and weights put into a network: names old and new, misfits, no network."""

import pytest
import torch
from torch import nn
from torchvision.models import ResNet18_Weights

from iin_cli.backbones.pretrained_weights import cached_file, default_weights, load_weights
from iin_cli.errors import CheckpointError, UsageError

FILE_NAME = "resnet18-f37072fd.pth"


def network():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 4))


def filled(value=1.0):
    return {name: torch.full_like(tensor, value) for name, tensor in network().state_dict().items()}


def loaded(tensors, **options):
    model = network()
    load_weights(model, tensors, "the file", **options)
    return model.state_dict()


def test_weights_of_another_network_name_the_first_misfits():
    tensors = filled()
    del tensors["0.bias"]
    tensors |= {"2.weight": torch.zeros(5, 3), "7.weight": torch.zeros(1), "8.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        loaded(tensors)
    assert str(caught.value) == (
        "the file has weights of another network: 1 of 9 tensors are missing (0.bias), "
        "the file has 2 others (7.weight, 8.weight), 1 have another shape (2.weight (5, 3) instead of (4, 3))"
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


def test_what_a_diverged_training_left_is_refused():
    spoilt = filled() | {"0.bias": torch.full_like(filled()["0.bias"], torch.nan)}
    with pytest.raises(CheckpointError, match=r"^the file has values that are not finite in 1 of \d+ tensors, 0\.bias"):
        load_weights(network(), spoilt, "the file")


def test_the_default_weights_come_from_the_cache(hub):
    hub.mkdir(parents=True)
    torch.save(filled(), hub / FILE_NAME)
    assert cached_file(ResNet18_Weights.DEFAULT) == hub / FILE_NAME
    assert default_weights(ResNet18_Weights.DEFAULT, "resnet18").keys() == filled().keys()


def test_without_a_network_the_file_and_its_place_are_named(hub):
    with pytest.raises(UsageError) as caught:
        default_weights(ResNet18_Weights.DEFAULT, "resnet18")
    for part in ("resnet18", "no route to host", f"place {FILE_NAME} in {hub}", "--weights none"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"or use --encoder-weights random$"):
        default_weights(ResNet18_Weights.DEFAULT, "resnet18", "--encoder-weights random")


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
