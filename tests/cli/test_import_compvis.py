"""`iin import-compvis` from the shell."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

built = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "io" / "test_compvis.py")))


def iin(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "iin_cli", "import-compvis", *map(str, arguments)], capture_output=True, text=True
    )


def test_json_has_the_keys_scripts_rely_on(tmp_path):
    file, out = built.write(tmp_path / "t.ckpt", built.published_translator()), tmp_path / "t.safetensors"
    done = iin(file, "--out", out, "--factors", "digit=2,color=1,residual=3", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["checkpoint"], result["kind"]) == (str(out), "translator")
    assert list(result["factors"].items()) == [("digit", 2), ("color", 1), ("residual", 3)]


def test_a_translator_without_factors_is_one_line_and_leaves_nothing(tmp_path):
    file, out = built.write(tmp_path / "t.ckpt", built.published_translator()), tmp_path / "t.safetensors"
    done = iin(file, "--out", out)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "N = 6" in done.stderr
    assert "--factors digit=2,color=2,residual=2" in done.stderr
    assert not out.exists()


def test_a_file_that_is_none_is_one_line_and_exit_4(tmp_path):
    (tmp_path / "t.ckpt").write_bytes(b"not a checkpoint")
    done = iin(tmp_path / "t.ckpt", "--out", tmp_path / "t.safetensors", "--factors", "digit=2,residual=4")
    assert (done.returncode, done.stdout) == (4, "")
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be read" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["t.ckpt"]
