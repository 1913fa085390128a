import json
import os
import subprocess
import sys

import pytest


def run(cwd, *command, **env):
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)], cwd=cwd, capture_output=True, text=True, env={**os.environ, **env}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def images(folder):
    return {file.name: file.read_bytes() for file in folder.glob("*.png")}


def test_alone_and_under_torchrun_the_same_bytes(files, tmp_path):
    command = ["iin_cli", "sample", "-t", files.of_images, "--seeds", "0-40", "--device", "cpu", "--json"]
    found = json.loads(run(tmp_path, *command, "--out", "alone"))
    assert (found["count"], found["out"]) == (41, "alone")
    assert found["images_per_second"] > 0 < found["seconds"]
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", 2, "-m"]
    found = json.loads(run(tmp_path, *torchrun, *command, "--batch", 7, "--out", "shared", OMP_NUM_THREADS="1"))
    assert found["count"] == 41
    assert len(images(tmp_path / "alone")) == 41
    assert images(tmp_path / "alone") == images(tmp_path / "shared")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--seeds", "9-0"], 2, "runs backwards"),
        (["--seeds", "0", "--format", "gif"], 2, "png, npz, safetensors"),
        (["--seeds", "0", "--out", "."], 2, "not empty"),
        (["--seeds", "0", "--backbone", "gone"], 4, "gone"),
    ],
)
def test_bad_input_is_one_line(files, tmp_path, command_line, arguments, code, words):
    (tmp_path / "something").write_text("")
    got, out, err = command_line("sample", "-t", files.of_images, *arguments)
    assert (got, out, len(err.splitlines())) == (code, "", 1)
    assert words in err
