import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file


@pytest.fixture
def latents(tmp_path):
    save_file({"z": torch.randn(5, 8, generator=torch.Generator().manual_seed(0))}, tmp_path / "z.safetensors")
    return "z.safetensors"


def test_latents_to_images(files, tmp_path, latents):
    command = [sys.executable, "-m", "iin_cli", "decode", "--backbone", str(files.autoencoder), "--latents", latents]
    command += ["--out", "images", "--device", "cpu", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["out"], found["count"], found["holds"]) == ("images", 5, "images")
    assert len(list((tmp_path / "images").glob("*.png"))) == 5


def test_bad_input_is_one_line(files, tmp_path, latents, command_line):
    for arguments, code, words in (
        (["-b", files.classifier, "-l", latents, "--out", "grid.png"], 2, "the result is logits"),
        (["-b", files.classifier, "-l", "gone.safetensors"], 3, "gone"),
        (["-b", files.of_images, "-l", latents], 4, "expected a backbone"),
    ):
        got, out, err = command_line("decode", *arguments)
        assert (got, out, len(err.splitlines())) == (code, "", 1)
        assert words in err
