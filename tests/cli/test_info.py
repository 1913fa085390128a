"""`iin info` from the shell."""

import json
import subprocess
import sys

import torch

from iin_cli.io import checkpoint


def iin(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "iin_cli", "info", *map(str, arguments)], capture_output=True, text=True
    )


def test_a_run_folder_from_the_shell(tmp_path):
    factors = [{"name": "digit", "dim": 2, "sigma": 0.9, "relation": "share"}]
    config = {"dim": 2, "blocks": 1, "hidden": 2, "depth": 1}
    checkpoint.save(
        tmp_path / "translator.safetensors",
        {"w": torch.ones(3)},
        {"kind": "translator", "config": config, "factors": factors},
    )
    (tmp_path / "cut.safetensors").write_bytes(b"cut")
    done = iin(tmp_path, "--json")
    assert done.returncode == 0
    result = json.loads(done.stdout)
    assert (result["kind"], result["parameters"], result["factors"]) == ("translator", 3, factors)
    assert [entry["kind"] for entry in result["checkpoints"]] == ["translator"]
    assert len(done.stderr.splitlines()) == 1
    assert "cut.safetensors left out" in done.stderr

    table = iin(tmp_path / "translator.safetensors").stdout
    for word in ("translator", "digit", "share", "0.9", "3 in 1 tensors"):
        assert word in table


def test_a_file_that_is_none_is_exit_4_and_one_line(tmp_path):
    done = iin(tmp_path / "nowhere.safetensors")
    assert (done.returncode, done.stdout) == (4, "")
    assert len(done.stderr.splitlines()) == 1
    assert "no such checkpoint" in done.stderr
