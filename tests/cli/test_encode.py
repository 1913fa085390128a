import json
import os
import subprocess
import sys

from PIL import Image

from iin_cli.acceleration import choosing
from iin_cli.interpretation.opening import open_translator
from iin_cli.io import checkpoint


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


def test_bad_images_are_left_out_if_so_wished(files, command_line, tmp_path):
    folder, file = tmp_path / "photos", tmp_path / "z.safetensors"
    for index in range(4):
        path = folder / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (index, 0, 0)).save(path)
    (folder / "a" / "0.png").write_bytes(b"no image")
    command = ["encode", "-b", files.autoencoder, "-d", folder, "--device", "cpu", "--out", file]
    code, _, err = command_line(*command)
    assert (code, len(err.splitlines())) == (3, 1)
    assert "--skip-bad" in err
    code, out, err = command_line(*command, "--skip-bad", "--json")
    assert (code, json.loads(out)["count"]) == (0, 3)
    assert "a/0.png (not an image" in err
    assert checkpoint.describe(file)["data"]["left_out"] == {"a/0.png": "not an image that Pillow knows"}
    # What is printed, and what has no checkpoint, says so, too; a command without such files does not.
    assert json.loads(out)["left_out"] == {str(folder / "a" / "0.png"): "not an image that Pillow knows"}
    command = ["walk", "-t", files.of_images, "--factor", "digit", "-d", folder, "--n", "1", "--device", "cpu"]
    code, out, err = command_line(*command, "--split", "all", "--skip-bad", "--out", tmp_path / "walk", "--json")
    assert code == 0, err
    for value in (json.loads(out), json.loads((tmp_path / "walk" / "walk.json").read_text())):
        assert [*value["left_out"]] == [str(folder / "a" / "0.png")]
    (folder / "a" / "0.png").unlink()
    code, out, err = command_line(*command, "--split", "all", "--out", tmp_path / "again", "--json")
    assert "left_out" not in json.loads(out)


def test_a_precision_is_recorded_with_latents_and_translator_and_kept(files, command_line, monkeypatch, tmp_path):
    monkeypatch.setattr(choosing, "bfloat16_is_fast", lambda device: True)
    command = ["encode", "-b", files.classifier, "-d", "digits", "--split", "test", "--device", "cpu", "--json"]
    code, out, err = command_line(*command, "--out", "z.safetensors", "--precision", "bfloat16")
    assert (code, json.loads(out)["precision"]) == (0, "bfloat16"), err
    assert "in bfloat16, as asked: bfloat16 changes its latents by" in err
    # So few images are not worth the rounding.
    assert json.loads(command_line(*command, "--out", "exact.safetensors")[1])["precision"] == "float32"
    assert checkpoint.describe(tmp_path / "z.safetensors")["backbone"]["precision"] == "bfloat16"
    code, _, err = command_line(
        *("fit-translator", "-b", files.classifier, "-d", "digits", "-c", "class", "--method", "linear"),
        *("--precision", "bfloat16", "--device", "cpu", "--out", "t"),
    )
    assert code == 0, err
    opened = open_translator(tmp_path / "t")
    assert (opened.network.precision, opened.network.settled) == ("bfloat16", True)
    # Where bfloat16 is slow, latents stay those that T was fitted to.
    monkeypatch.setattr(choosing, "bfloat16_is_fast", lambda device: False)
    code, out, err = command_line("audit", "-t", "t", "-d", "digits", "--n", "40", "--device", "cpu", "--json")
    assert code == 0, err


def test_a_precision_that_cannot_be_had_is_one_line(files, command_line, monkeypatch):
    monkeypatch.setattr(choosing, "bfloat16_is_fast", lambda device: False)
    own = ["-b", files.autoencoder]
    for arguments, words in (
        (["encode", *own, "--precision", "half"], "auto, bfloat16, float32"),
        (["encode", *own, "--precision", "bfloat16", "--device", "cpu"], "has no instructions for bfloat16"),
        (["fit-translator", *own, "--precision", "bfloat16", "--dry-run"], "has no instructions for bfloat16"),
        (["estimate-dims", *own, "-c", "color", "--all-layers", "--precision", "bfloat16"], "every layer in float32"),
        (["fit-translator", "--from", files.of_images, "--precision", "float32"], "leave --layer"),
        (["fit-translator", "--latents", "z.safetensors", "--precision", "float32"], "leave --precision out"),
    ):
        code, out, err = command_line(*arguments)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert words in err
