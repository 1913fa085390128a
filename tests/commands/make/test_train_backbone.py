"""Training a backbone end to end in this process: sizes inferred, checkpoint, bad data, exact resume."""

import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from iin_cli.commands.make.train_backbone import train_backbone
from iin_cli.errors import DataError, UsageError
from iin_cli.fitting.backbone_training import BackboneChoice, BackboneTraining
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_network
from iin_cli.io import checkpoint
from iin_cli.training.runs import RunChoice

RUN = ("out", "seed", "device", "dry_run", "resume")


@pytest.fixture
def train(pictures, tmp_path):
    def run(name="classifier", data=str(pictures), report=None, **options):
        run = {"seed": 1, "out": tmp_path / "run", "device": "cpu"}
        asked = {"steps": 4} | {key: options.pop(key) for key in list(options) if key not in RUN}
        return train_backbone(BackboneChoice(name, **asked), DataChoice(data), RunChoice(**run | options), report)

    return run


def test_a_classifier_is_trained_and_found_again(train, pictures, tmp_path):
    result = train()
    assert (result.image_size, result.latent_dim, result.classes, result.steps) == (32, 64, 3, 4)
    assert set(result.metrics) >= {"score", "accuracy"}
    opened = open_network(str(tmp_path / "run"))
    assert opened.backbone.classes == ("a", "b", "c")
    assert opened.data["name"] == str(pictures)
    assert opened.backbone.encode(torch.zeros(2, 3, 32, 32)).shape == (2, 64)
    training = checkpoint.describe(tmp_path / "run" / "backbone.safetensors")["training"]
    assert (training["seed"], training["steps"], training["accuracy"]) == (1, 4, result.metrics["accuracy"])
    assert training["started_from"] is None
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "backbone.safetensors",
        "log.jsonl",
        "plan.json",
        "result.json",
    }


def test_an_autoencoder_is_trained(train, tmp_path):
    state = torch.get_rng_state()
    result = train("autoencoder", steps=2, latent_dim=8)
    assert torch.equal(torch.get_rng_state(), state)
    assert (result.latent_dim, result.classes) == (8, None)
    assert np.isfinite(list(result.metrics.values())).all()
    images = open_network(result.checkpoint).backbone.decode(torch.zeros(1, 8))
    assert images.shape == (1, 3, 32, 32)


def test_a_torchvision_network_is_fine_tuned(train, pictures, tmp_path):
    state = torch.get_rng_state()
    result = train("shufflenet_v2_x0_5", weights="none", image_size=64, steps=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert (result.backbone, result.image_size, result.latent_dim, result.classes) == (
        "shufflenet_v2_x0_5",
        64,
        1024,
        3,
    )
    assert set(result.metrics) >= {"score", "accuracy", "cross_entropy"}
    opened = open_network(str(tmp_path / "run"))
    assert opened.backbone.classes == ("a", "b", "c")
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    f = opened.backbone(images)
    cut = open_network(str(tmp_path / "run"), layer="conv5").backbone
    assert cut.latent_dim == 1024 * 2 * 2
    assert torch.equal(cut.decode(cut.encode(images)), f)
    assert checkpoint.describe(tmp_path / "run" / "backbone.safetensors")["training"]["started_from"] == "none"
    # Its own size, and weights to go on from.
    torch.save(opened.backbone.network.state_dict(), tmp_path / "w.pth")
    again = train("shufflenet_v2_x0_5", weights=str(tmp_path / "w.pth"), dry_run=True)
    assert again.image_size == 256
    with pytest.raises(UsageError, match="--latent-dim 64: the latent of shufflenet_v2_x0_5 has 1024"):
        train("shufflenet_v2_x0_5", weights="none", latent_dim=64, out=tmp_path / "other")


def test_a_dry_run_writes_nothing(train, tmp_path):
    result = train(dry_run=True)
    assert result.checkpoint is None
    assert result.parameters > 1e6
    assert not list(tmp_path.iterdir())


def test_the_image_size_holds_the_images(train, tmp_path):
    folder = tmp_path / "big"
    for name in "ab":
        (folder / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.random.default_rng(number + ord(name)).integers(0, 256, (40, 50, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    assert train(data=str(folder), dry_run=True).image_size == 64
    assert train(data=str(folder), dry_run=True, image_size=32).image_size == 32
    with pytest.raises(UsageError, match="image size 48"):
        train(data=str(folder), image_size=48)


def images_in(folder, names):
    folder.mkdir()
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (number * 20, 0, 0)).save(folder / name)
    return str(folder)


def test_data_that_cannot_be_trained_on(train, tmp_path):
    with pytest.raises(DataError, match="at least two classes, and the data has 1"):
        train(data=images_in(tmp_path / "one", [f"cat/{n}.png" for n in range(5)]))
    with pytest.raises(DataError, match="needs class labels"):
        train(data=images_in(tmp_path / "flat", [f"{n}.png" for n in range(5)]))
    measured = images_in(tmp_path / "measured", [f"{n}.png" for n in range(5)])
    rows = "".join(f"{n}.png,{n / 8}\n" for n in range(5))
    (tmp_path / "measured" / "labels.csv").write_text("file,class\n" + rows)
    with pytest.raises(DataError, match="needs class labels"):
        train(data=measured)
    with pytest.raises(DataError, match="has 1 different training image:"):
        train("autoencoder", data=images_in(tmp_path / "two", ["0.png", "1.png"]))
    with pytest.raises(DataError, match="has no images"):
        train(data=images_in(tmp_path / "none", []))
    broken = images_in(tmp_path / "broken", [f"{name}/{n}.png" for name in "ab" for n in range(5)])
    for file in (tmp_path / "broken" / "a").iterdir():
        file.write_bytes(file.read_bytes()[:45] + file.name.encode())
    with pytest.raises(DataError, match=r"5 of 10 images .*/a/0\.png \("):
        train(data=broken)
    assert not (tmp_path / "run").exists()


def test_few_images_are_warned_of(heard, train):
    train(dry_run=True, latent_dim=200, report=heard)
    assert "fewer than the 200 dimensions" in "".join(heard.warnings)


def test_names_that_cannot_be_trained(train):
    with pytest.raises(UsageError, match="did you mean classifier"):
        train("clasifier")
    with pytest.raises(UsageError, match="takes no argument"):
        train("classifier:x")
    with pytest.raises(UsageError, match="no interrupted run"):
        train(resume=True)


@pytest.mark.parametrize("backbone", ["classifier", "autoencoder", "mnasnet0_5"])
@pytest.mark.slow
def test_an_interrupted_training_is_resumed_exactly(train, tmp_path, monkeypatch, backbone):
    network = {"weights": "none", "image_size": 32} if backbone == "mnasnet0_5" else {}
    expected = train(backbone, **network, out=tmp_path / "undisturbed")
    step = BackboneTraining.step

    def interrupted(self, number, fraction):
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, number, fraction)

    monkeypatch.setattr(BackboneTraining, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(backbone, **network)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "log.jsonl",
        "plan.json",
        "training-state.safetensors",
    }
    monkeypatch.setattr(BackboneTraining, "step", step)
    result = train(backbone, **network, resume=True, seed=None)
    assert result.metrics == expected.metrics
    one, two = (checkpoint.load(tmp_path / n / "backbone.safetensors").tensors for n in ("run", "undisturbed"))
    assert all(torch.equal(one[name], two[name]) for name in one)
