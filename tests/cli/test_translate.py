import json
import subprocess
import sys

import torch
from safetensors.torch import load_file, save_file


def test_foreign_latents_there_and_back(files, tmp_path):
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    save_file({"z": z}, tmp_path / "z.safetensors")
    command = [sys.executable, "-m", "iin_cli", "translate", "-t", str(files.of_latents), "--device", "cpu", "--json"]
    for arguments in (
        ["--latents", "z.safetensors", "--out", "there.safetensors"],
        ["--latents", "there.safetensors", "--inverse", "--out", "back.safetensors"],
    ):
        done = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["factors"] == {"digit": 3, "color": 2, "residual": 3}
    torch.testing.assert_close(load_file(tmp_path / "back.safetensors")["z"], z, atol=1e-4, rtol=1e-4)


def test_bad_input_is_one_line(files, tmp_path, command_line):
    save_file({"x": torch.zeros(2, 8)}, tmp_path / "x.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "x.safetensors").read_bytes()[:-9])
    for latents, code, words in (("x", 3, "it has: x"), ("gone", 3, "gone"), ("cut", 4, "not a whole safetensors")):
        got, out, err = command_line("translate", "-t", files.of_latents, "-l", f"{latents}.safetensors")
        assert (got, out, len(err.splitlines())) == (code, "", 1)
        assert words in err
