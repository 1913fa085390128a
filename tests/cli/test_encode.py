import json
import os
import subprocess
import sys


def test_images_to_latents(files, tmp_path):
    command = [sys.executable, "-m", "iin_cli", "encode", "--backbone", str(files.autoencoder), "--split", "test"]
    command += ["--out", "z.safetensors", "--device", "cpu", "--json"]
    env = {**os.environ, "IIN_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["out"], found["latent_dim"], found["data"]) == ("z.safetensors", 8, "digits")
    assert "z" in found["tensors"]


def test_bad_input_is_one_line(files, command_line):
    for arguments, code, words in (
        (["-b", "gone.safetensors"], 4, "gone.safetensors"),
        (["-b", files.autoencoder, "--data", "gone/"], 3, "gone"),
        (["-b", files.autoencoder, "--split", "half"], 2, "train, test, and all"),
    ):
        got, out, err = command_line("encode", *arguments)
        assert (got, out, len(err.splitlines())) == (code, "", 1)
        assert words in err
