"""What a checkpoint says of itself, without its weights being loaded."""

import hashlib

import pytest
import torch

from iin_cli.errors import CheckpointError
from iin_cli.io import checkpoint
from iin_cli.io.describe import describe
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator

FACTORS = Factors.of({"digit": 2, "residual": 4}, 0.975)


@pytest.fixture
def translator(tmp_path):
    made = Translator(6, blocks=2, hidden=8, depth=1)
    metadata = {
        "kind": "translator",
        "name": "translator",
        "config": made.config,
        "factors": FACTORS.as_json(),
        "backbone": {"name": "autoencoder", "source": "/there/backbone.safetensors", "sha256": "ab" * 32},
        "data": {"name": "colordigits", "root": "/data", "fingerprint": "f"},
        "training": {"preset": "auto", "heldout_nll": 33.25, "history": [1, 2], "seed": 7},
        "versions": {"iin": "0.1.0", "torch": "2.12"},
        "extra": "kept",
        "encoder": {"source": "random", "width": 16},
        "renderings": ["a", "b"],
    }
    checkpoint.save(tmp_path / "translator.safetensors", made.state_dict(), metadata)
    return made, tmp_path / "translator.safetensors"


def test_a_file_is_described(translator):
    made, path = translator
    result = describe(path).as_dict()
    assert result["kind"] == "translator"
    assert result["config"] == {"dim": 6, "blocks": 2, "hidden": 8, "depth": 1}
    assert result["factors"] == FACTORS.as_json()
    assert result["training"]["heldout_nll"] == 33.25
    assert result["extra"] == "kept"
    assert result["format_version"] == checkpoint.FORMAT_VERSION
    assert result["size_bytes"] == path.stat().st_size
    assert result["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    # Permutations travel in the file and are not parameters.
    assert result["parameters"] == sum(parameter.numel() for parameter in made.parameters())
    assert result["tensors"] == len(made.state_dict())


def test_a_person_reads_plain_lines(translator):
    (entry,) = describe(translator[1]).checkpoints
    summary = entry.summary()
    assert all(isinstance(value, (str, int, float)) for value in summary.values())
    assert summary["backbone"] == "autoencoder"
    assert summary["backbone source"] == "/there/backbone.safetensors"
    assert summary["backbone sha256"] == "ab" * 6
    assert summary["data"] == "colordigits"
    assert summary["training heldout_nll"] == 33.25
    assert "training history" not in summary
    assert summary["encoder"] == "source random, width 16"
    assert "renderings" not in summary
    ((title, rows),) = entry.tables()
    assert title == "factors"
    assert [list(row.values()) for row in rows] == [
        ["digit", 2, 0.975, "share"],
        ["residual", 4, 0.975, "rest"],
    ]


def test_half_precision_counts_and_scalars_too(tmp_path):
    tensors = {"a": torch.ones(2, 3, dtype=torch.bfloat16), "b": torch.tensor(1.0), "c": torch.arange(5)}
    checkpoint.save(tmp_path / "x", tensors, {"kind": "latents"})
    (entry,) = describe(tmp_path / "x").checkpoints
    assert (entry.parameters, entry.tensors, entry.kind, entry.name) == (7, 3, "latents", None)
    assert entry.factors == []


def test_a_folder_is_its_checkpoints(translator, tmp_path):
    alone = describe(tmp_path).as_dict()
    assert alone["kind"] == "translator"
    assert len(alone["checkpoints"]) == 1
    checkpoint.save(
        tmp_path / "backbone.safetensors", {"a": torch.ones(1)}, {"kind": "backbone", "name": "mynet", "config": {}}
    )
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    result = describe(tmp_path).as_dict()
    assert [entry["kind"] for entry in result["checkpoints"]] == ["backbone", "translator"]
    assert list(result["refused"]) == [str(tmp_path / "broken.safetensors")]
    assert "kind" not in result


def test_nothing_to_describe(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        describe(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"holds no \.safetensors file"):
        describe(tmp_path)
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        describe(tmp_path)
