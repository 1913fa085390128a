import json
import os
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from iin_cli.metrics.inception import OFFICIAL_SHA256


def keep(path, mean, n=3000, weights=OFFICIAL_SHA256):
    """Write a statistics file as its format says, by hand."""
    facts = {"format_version": 1, "kind": "statistics", "n": n, "weights_sha256": weights, "resize": "bilinear-299"}
    tensors = {"mu": np.asarray(mean, np.float64), "sigma": np.eye(len(mean))}
    save_file(tensors, path, {"iin": json.dumps({**facts, "source": "by hand"})})
    return path


@pytest.fixture
def iin(monkeypatch, capsys, tmp_path):
    """Run `iin fid` in this process, in an empty folder with empty caches; returns exit code, stdout and stderr."""
    from iin_cli.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    # `main` installs a handler, which must not outlive the test.
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["iin", "fid", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code, *capsys.readouterr()

    yield run
    signal.signal(signal.SIGTERM, handler)


def test_json_has_the_keys_scripts_rely_on(tmp_path, iin):
    a, b = keep(tmp_path / "a.safetensors", [0, 0]), keep(tmp_path / "b.safetensors", [3, 4])
    code, out, err = iin(a, b, "--json")
    assert (code, err) == (0, "")
    got = json.loads(out)
    assert got["metric"] == "fid"
    assert got["value"] == pytest.approx(25)
    assert (got["n"], got["weights_sha256"]) == (3000, OFFICIAL_SHA256)
    code, table, _ = iin(a, b)
    rows = dict(line.rsplit(maxsplit=1) for line in table.splitlines())
    assert (rows["metric"], float(rows["value"])) == ("fid", pytest.approx(25))


def test_few_images_are_warned_of_on_stderr(tmp_path, iin):
    a = keep(tmp_path / "a.safetensors", [0] * 128, n=100)
    code, out, err = iin(a, a, "--json")
    assert code == 0
    assert json.loads(out)["n"] == 100
    assert "fid from 100 images is biased upwards: use at least 128" in err


@pytest.mark.slow
def test_offline_without_weights_is_one_line_and_leaves_nothing(tmp_path):
    closed = "http://127.0.0.1:9"
    places = {"IIN_CACHE": str(tmp_path / "cache"), "TORCH_HOME": str(tmp_path / "torch")}
    env = {**os.environ, **places, "https_proxy": closed, "http_proxy": closed, "no_proxy": ""}
    (tmp_path / "images").mkdir()
    for index in range(2):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / "images" / f"{index}.png")
    command = [sys.executable, "-m", "iin_cli", "fid", "images", "images", "--quiet", "--device", "cpu"]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "pt_inception-2015-12-05-6726825d.pth" in done.stderr
    assert "--weights" in done.stderr
    assert [path for path in (tmp_path / "torch").rglob("*") if path.is_file()] == []


def test_a_translator_between_floor_and_ceiling(files, iin):
    arguments = ["-t", files.of_images, "--features", files.classifier, "--n", "60", "--trials", "2"]
    code, table, err = iin(*arguments)
    assert code == 0
    assert "translator, trial 2 of 2: fd" in err
    for name in ("translator", "backbone", "reconstructions"):
        assert re.search(rf"^\W*{name} +60 +2 +[\d.]+ ± ", table, re.MULTILINE), name
    code, out, _ = iin(*arguments, "--json", "--prior", "backbone", "-q")
    got = json.loads(out)
    assert code == 0
    assert (got["metric"], got["network"], got["resize"], got["n"]) == ("fd", "classifier", "bicubic-32", 60)
    assert [entry["images"] for entry in got["sets"]] == ["backbone", "reconstructions"]
    code, out, err = iin("-t", files.of_classes, "--features", files.classifier)
    assert (code, out) == (2, "")
    assert "classifier" in err


def test_two_sets_have_a_kernel_distance_density_and_coverage(files, pictures, iin):
    arguments = [pictures, "digits", "-n", "60", "--features", files.classifier]
    code, out, err = iin(*arguments, "--json", "-q")
    assert code == 0, err
    got = json.loads(out)
    assert set(got["kernel"]) == {"value", "std", "low", "high", "subsets", "subset_size"}
    assert got["kernel"]["low"] < got["kernel"]["value"] < got["kernel"]["high"]
    assert (got["reference"], got["n_compared"], got["kernel"]["subset_size"]) == (str(pictures), 60, 60)
    assert 0 <= got["coverage"]["value"] <= 1
    assert got["density"]["items"] == 60
    code, table, _ = iin(*arguments, "-q")
    assert code == 0
    assert f"against {pictures} (60 images)" in table
    # Only Inception's official weights make a KID.
    assert re.search(r"kd +density +coverage", table)
    assert "kid" not in table


def test_several_processes_measure_what_one_does(files, tmp_path, run_cli):
    arguments = ["fid", "-t", files.of_images, "--features", files.classifier, "-n", "70", "--trials", "1"]
    arguments += ["--device", "cpu", "--json", "-q"]
    code, alone, _ = run_cli(*arguments)
    assert code == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    env |= {"WORLD_SIZE": "2", "IIN_CACHE": str(tmp_path / "other")}
    command = [sys.executable, "-m", "iin_cli", *map(str, arguments)]
    ranks = [
        subprocess.Popen(command, env={**env, "RANK": rank, "LOCAL_RANK": rank}, stdout=subprocess.PIPE, text=True)
        for rank in "01"
    ]
    said = [process.communicate(timeout=120)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0]
    assert said[1] == ""
    for one, two in zip(json.loads(alone)["sets"], json.loads(said[0])["sets"], strict=True):
        assert two["images"] == one["images"]
        assert two["value"] == pytest.approx(one["value"], rel=1e-9)
        assert [two[key] for key in ("precision", "recall")] == [one[key] for key in ("precision", "recall")]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a.safetensors"], 2, "'B'"),
        (["a.safetensors", "nonesuch"], 2, "nonesuch"),
        (["a.safetensors", "empty/"], 3, "no images"),
        (["a.safetensors", "other.safetensors"], 4, "weights"),
        (["a.safetensors", "gone.npz"], 4, "gone.npz"),
        (["a.safetensors", "a.safetensors", "--device", "abacus"], 2, "abacus"),
        (["a.safetensors", "a.safetensors", "--n", "4000"], 3, "3000 images"),
        (["a.safetensors", "a.safetensors", "--n", "1"], 2, "--n"),
        (["a.safetensors", "empty/", "--weights", "gone.pth"], 3, "no images"),
        (["a.safetensors", "a.safetensors", "--save-stats", "other.safetensors"], 2, "exists already"),
        ([], 2, "iin fid A B, or iin fid --translator"),
        (["a.safetensors", "a.safetensors", "--trials", "3"], 2, "--trials goes with --translator"),
        (["a.safetensors", "a.safetensors", "--truncation", "0"], 2, "--truncation goes with --translator"),
        (["a.safetensors", "-t", "t.safetensors"], 2, "leave out a.safetensors"),
        (["-t", "t.safetensors", "--split", "train"], 2, "--reference train"),
        (["-t", "t.safetensors", "--save-stats", "s.safetensors"], 2, "--save-stats"),
        (["-t", "t.safetensors", "--trials", "0"], 2, "--trials"),
        (["-t", "t.safetensors", "--prior", "backbon"], 2, "did you mean backbone?"),
        (["-t", "t.safetensors", "--truncation", "1.5"], 2, "--truncation 1.5"),
        (["-t", "t.safetensors"], 4, "t.safetensors"),
    ],
)
def test_bad_input_is_one_line_and_its_exit_code(tmp_path, iin, arguments, code, words):
    keep(tmp_path / "a.safetensors", [0, 0])
    keep(tmp_path / "other.safetensors", [0, 0], weights="1" * 64)
    (tmp_path / "empty").mkdir()
    got, out, err = iin(*arguments)
    assert got == code
    assert len(err.splitlines()) == 1
    assert words in err
    assert out == ""
