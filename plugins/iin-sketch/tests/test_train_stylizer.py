"""The recipe end to end in this process: run folder, file, resume, divergence; and a translator fitted with it."""

import json

import numpy as np
import pytest
import torch
from iin_cli.commands.make.fit_translator import fit_translator
from iin_cli.errors import DataError, DivergedError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.network_choice import NetworkChoice
from iin_cli.io import checkpoint
from iin_cli.plan import Wishes
from iin_cli.registry import find
from iin_cli.training.runs import RunChoice

from iin_sketch import train_stylizer as module
from iin_sketch.stylizer_files import open_stylizer
from iin_sketch.train_stylizer import size_for, train_stylizer


@pytest.fixture
def train(pictures, small, tmp_path):
    def run(**options):
        given = {"out": tmp_path / "run", "encoder_weights": "random", "steps": 2, "seed": 1, "device": "cpu"}
        return train_stylizer(str(pictures), **{**given, **options})

    return run


def test_a_stylizer_is_trained_and_found_again(train, tmp_path, pictures, say):
    result = train(report=say)
    assert result.parameters > 1000
    assert (result.encoder, result.side, result.steps, result.seed) == ("random", 32, 2, 1)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "stylizer.safetensors",
        "log.jsonl",
        "plan.json",
        "result.json",
    }
    opened = open_stylizer(tmp_path / "run", "cpu")
    assert opened.stylizer.config == {"width": 4, "decoder_width": 4, "side": 32}
    assert opened.metadata["kind"] == "stylizer"
    assert opened.metadata["encoder"]["source"] == "random"
    assert opened.metadata["data"]["name"] == str(pictures)
    assert opened.metadata["training"]["seed"] == 1
    assert np.isfinite(list(result.metrics.values())).all()
    assert json.loads((tmp_path / "run" / "result.json").read_text())["history"]
    assert "random weights" in say.warnings[0]


def test_the_same_seed_trains_the_same_file(train, tmp_path):
    state = torch.get_rng_state()
    tensors = [checkpoint.load(tmp_path / name, "stylizer").tensors for name in "ab" if train(out=tmp_path / name)]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])


def test_images_that_cannot_be_read_are_left_out_and_recorded(pictures, train, tmp_path):
    (pictures / "bad.png").write_bytes(b"no image")
    try:
        with pytest.raises(DataError, match=r"bad\.png cannot be read .*--skip-bad"):
            train()
        train(skip_bad=True)
    finally:
        (pictures / "bad.png").unlink()
    assert [*checkpoint.describe(tmp_path / "run" / "stylizer.safetensors")["data"]["left_out"]] == ["bad.png"]


def test_sketches_of_ones_own(train, drawings, tmp_path):
    train(style=f"{drawings[0]},{drawings[1]}")
    style = checkpoint.describe(tmp_path / "run" / "stylizer.safetensors")["style"]
    assert style["name"] == f"{drawings[0]},{drawings[1]}"


def test_what_cannot_be_resumed(train, tmp_path):
    with pytest.raises(UsageError, match="there is no interrupted run"):
        train(resume=True)
    train()
    with pytest.raises(UsageError, match="is not empty"):
        train()
    with pytest.raises(UsageError, match="has finished"):
        train(resume=True)


def test_a_run_that_diverges_leaves_nothing(train, tmp_path, monkeypatch):
    monkeypatch.setattr("iin_sketch.training.content_loss", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(DivergedError, match="content is nan"):
        train()
    assert not (tmp_path / "run").exists()


def test_sizes_follow_the_device():
    assert size_for(torch.device("cpu")) is module.ON_CPU
    assert size_for(torch.device("cuda")).side > module.ON_CPU.side


def test_a_run_that_was_stopped_early_says_so(train, tmp_path, say):
    result = train(steps=1000, max_seconds=0.5, report=say)
    assert (result.steps < 1000, result.planned_steps) == (True, 1000)
    assert any(f"{result.steps:,} of 1,000 steps (stopped early" in warning for warning in say.warnings)
    training = checkpoint.describe(tmp_path / "run" / "stylizer.safetensors")["training"]
    assert (training["planned_steps"], training["stopped"]) == (1000, "time")


def test_a_translator_is_fitted_with_roundness_and_no_second_command(small, pictures, tmp_path):
    torch.manual_seed(0)
    backbone = find("backbones", "autoencoder").factory.from_config(
        {"image_size": 32, "base_channels": 4, "latent_dim": 8}
    )
    metadata = {"kind": "backbone", "name": "autoencoder", "config": backbone.config, "data": None}
    checkpoint.save(tmp_path / "ae.safetensors", backbone.state_dict(), metadata)
    wishes = Wishes(steps=2, blocks=1, hidden=8, depth=1)
    network, run = NetworkChoice(str(tmp_path / "ae.safetensors")), RunChoice(tmp_path / "t", seed=0, device="cpu")
    result = fit_translator(network, ["roundness:learned"], DataChoice(str(pictures)), wishes, run)
    assert list(result.factors) == ["roundness", "residual"]
    assert list((tmp_path / "cache" / "stylizers").glob("*/stylizer.safetensors"))
