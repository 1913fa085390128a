"""Checkpoints of iin 0.1 open, give the same latents, and sample the same bytes.

`assets/v0.1` was written by 0.1.0 (torch 2.15, x86-64): a small random autoencoder and classifier, a translator of
each, what they made of twelve digits (`expected.safetensors`), and the sha256 of what `iin sample` wrote. Images that
keep the residual of one (`fixed.safetensors`) are of later code, whose bytes were those of 0.1.0 on its machine.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from iin_cli.commands.edit.sample import sample
from iin_cli.editing.sample import Sampling
from iin_cli.errors import CheckpointError
from iin_cli.interpretation.opening import open_translator

ASSETS = Path(__file__).parent / "assets" / "v0.1"
EXPECTED = load_file(ASSETS / "expected.safetensors")
DIGESTS = json.loads((ASSETS / "sha256.json").read_text())
SEEDS = [*range(40), 123456]
BACKBONES = {"images": ASSETS / "autoencoder.safetensors", "classes": ASSETS / "classifier.safetensors"}


def translator(kind):
    return ASSETS / f"translator-of-{kind}.safetensors"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def images_of(folder):
    return b"".join(np.asarray(Image.open(folder / f"{seed:06d}.png")).tobytes() for seed in SEEDS)


@pytest.mark.parametrize("kind", ["images", "classes"])
def test_latents_are_the_same(kind):
    opened = open_translator(translator(kind), backbone=BACKBONES[kind])
    z = opened.require_network().encode_pixels(EXPECTED["images"].numpy())
    torch.testing.assert_close(z, EXPECTED[f"{kind}.z"], atol=1e-5, rtol=0)
    torch.testing.assert_close(opened.transform(z), EXPECTED[f"{kind}.z_tilde"], atol=1e-5, rtol=0)
    torch.testing.assert_close(opened.inverse_transform(EXPECTED[f"{kind}.z_tilde"]), z, atol=1e-5, rtol=0)


def test_answers_are_the_same():
    drawn = open_translator(translator("images"), backbone=BACKBONES["images"]).network.draw(EXPECTED["images.z"])
    assert np.abs(drawn.astype(int) - EXPECTED["images.drawn"].int().numpy()).max() <= 1
    classifier = open_translator(translator("classes"), backbone=BACKBONES["classes"]).network
    found = classifier.answers(EXPECTED["classes.z"])
    torch.testing.assert_close(found, EXPECTED["classes.log_probability"], atol=1e-5, rtol=0)


def test_a_backbone_that_was_moved_is_asked_for_and_another_is_refused():
    with pytest.raises(CheckpointError, match=r"not at /old/runs/autoencoder\.safetensors: say where .* --backbone"):
        open_translator(translator("images"))
    with pytest.raises(CheckpointError, match="is not the backbone"):
        open_translator(translator("images"), backbone=BACKBONES["classes"])


@pytest.mark.parametrize(
    ("name", "sampling"),
    [
        ("translator", {}),
        ("backbone", {"prior": "backbone", "truncation": 0.5}),
    ],
)
def test_samples_and_manifests_are_the_same_to_the_byte(tmp_path, name, sampling):
    asked = Sampling(**sampling, format="safetensors")
    sample(translator("images"), SEEDS, tmp_path, asked, backbone=BACKBONES["images"], device="cpu")
    found = {str(path.relative_to(tmp_path)): sha256(path.read_bytes()) for path in tmp_path.rglob("*.*")}
    del found["sample.json"]
    assert found == DIGESTS[name]


def test_samples_around_an_image_are_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(EXPECTED["images"][4].numpy()).save("fixed.png")
    asked = Sampling(fix=(("residual", Path("fixed.png")),), vary=("digit",), format="safetensors")
    sample(translator("images"), SEEDS, Path("out"), asked, backbone=BACKBONES["images"], device="cpu")
    # Processors with and without AVX-512 round the image's latents differently.
    before, now = (
        load_file(file)["images"].int() for file in (ASSETS / "fixed.safetensors", *Path("out").glob("*.s*"))
    )
    assert (now[: len(before)] - before).abs().max() <= 1
    found = {str(path.relative_to("out")): sha256(path.read_bytes()) for path in Path("out").rglob("*.*")}
    del found["sample.json"]
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        assert found == DIGESTS["fixed"]
    assert found["manifest.json"] == DIGESTS["fixed"]["manifest.json"]


def test_png_files_hold_the_same_pixels(tmp_path):
    sample(translator("images"), SEEDS, tmp_path, backbone=BACKBONES["images"], device="cpu")
    # Compressed, they depend on the version of zlib.
    assert sha256(images_of(tmp_path)) == DIGESTS["png"]["pixels"]
    assert sha256((tmp_path / "manifest.json").read_bytes()) == DIGESTS["png"]["manifest.json"]
