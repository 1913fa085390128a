import json
import os
import signal
import subprocess
import sys
import time

import pytest

from iin_cli.editing import sample as room

# `iin`, but in the second shard a file is written by half only.
HALF_WRITTEN = """
import pathlib, time
from iin_cli.io import images
write = pathlib.Path.write_bytes
def write_half(path, content):
    path = pathlib.Path(path)
    if "000300" not in path.name and "images-00001" not in path.name:
        return write(path, content)
    write(path, content[:20])
    pathlib.Path("reached").touch()
    time.sleep(600)
pathlib.Path.write_bytes = images._write_bytes = write_half
from iin_cli.cli import main
main()
"""


def contents(folder):
    """Every file but the one that tells how long it took."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != "sample.json"}


def kill_while_writing(cwd, arguments):
    """Run `iin` and kill it when the first shard is there, and a file of the second by half."""
    command = [sys.executable, "-c", HALF_WRITTEN, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    while not ((cwd / "reached").exists() and (cwd / "out" / "manifest" / "00000.json").exists()):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_alone_and_under_torchrun_the_same_bytes(files, tmp_path, command_line, torchrun):
    command = ["sample", "-t", files.of_images, "--seeds", "0-599", "--device", "cpu", "--json"]
    code, out, _ = command_line(*command, "--out", "alone")
    found = json.loads(out)
    assert (code, found["count"], found["skipped"], found["out"]) == (0, 600, 0, "alone")
    assert found["images_per_second"] > 0 < found["seconds"]
    shared = [*command, "--batch", 7, "--out", "shared"]
    code, out, err, _ = torchrun("-m", "iin_cli", *shared, folder=tmp_path, processes=3)
    assert code == 0, err
    assert json.loads(out)["count"] == 600
    alone = contents(tmp_path / "alone")
    assert len([name for name in alone if name.endswith(".png")]) == 600
    assert contents(tmp_path / "shared") == alone
    # What many ranks wrote, one goes on with.
    (tmp_path / "shared" / "000300.png").unlink()
    code, out, err = command_line(*command, "--out", "shared")
    assert (code, json.loads(out)["skipped"]) == (0, 344)
    assert "344 of 600 images are there and whole: 256 to draw\n" in err
    assert contents(tmp_path / "shared") == alone


@pytest.mark.parametrize("kind", ["npz", "png"])
@pytest.mark.slow
def test_a_run_killed_while_it_writes_is_completed_by_running_it_again(files, tmp_path, command_line, kind):
    command = ["sample", "-t", files.of_images, "--seeds", "0-599", "--device", "cpu", "--format", kind, "--json"]
    kill_while_writing(tmp_path, [*command, "--out", "out"])
    assert command_line(*command, "--out", "whole")[0] == 0
    whole, left = contents(tmp_path / "whole"), contents(tmp_path / "out")
    assert [name for name in left if name.endswith(".part")]
    assert {name: found for name, found in left.items() if not name.endswith(".part")}.items() <= whole.items()
    code, out, _ = command_line(*command, "--out", "out")
    assert (code, json.loads(out)["skipped"]) == (0, 256)
    assert contents(tmp_path / "out") == whole


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_run_that_is_stopped_keeps_what_is_finished(files, tmp_path, command_line, monkeypatch, number, code, word):
    generate = room.generate

    def stop_in_the_second_shard(backbone, prior, seeds, *rest):
        if 256 in seeds:
            os.kill(os.getpid(), number)
            time.sleep(60)
        yield from generate(backbone, prior, seeds, *rest)

    monkeypatch.setattr(room, "generate", stop_in_the_second_shard)
    arguments = ["sample", "-t", files.of_images, "--seeds", "0-599", "--device", "cpu", "-q", "--out", "out"]
    assert command_line(*arguments) == (code, "", f"iin: {word}\n")
    # Whole files only; the shard whose record had not begun is drawn again.
    left = contents(tmp_path / "out")
    assert set(left) - {"manifest.json", "manifest/00000.json"} <= {f"{seed:06d}.png" for seed in range(256)}
    monkeypatch.setattr(room, "generate", generate)
    code, out, _ = command_line(*arguments, "--json")
    assert (code, json.loads(out)["count"]) == (0, 600)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--seeds", "9-0"], 2, "runs backwards"),
        (["--seeds", "0", "--format", "gif"], 2, "png, webp, npz, safetensors"),
        (["--seeds", "0", "--out", "."], 2, "not empty and holds no samples"),
        (["--seeds", "0", "--out", "something"], 2, "is a file"),
        (["--seeds", "0", "--backbone", "gone"], 4, "gone"),
        (["--seeds", "0", "--prior", "gan"], 2, "translator, backbone"),
        (["--seeds", "0", "--truncation", "2"], 2, "--truncation 2"),
        (["--seeds", "0", "--vary", "digit"], 2, "add --fix residual=IMAGE"),
        (["--seeds", "0", "--fix", "digit"], 2, "is not FACTOR=IMG"),
        (["--seeds", "0", "--fix", "digit="], 2, "is not FACTOR=IMG"),
        (["--seeds", "0", "--fix", "digit=gone.png"], 3, "no such image: gone.png"),
        (["--seeds", "0", "--fix", "digit=something"], 3, "something"),
        (["--seeds", "0", "--fix", "shape=gone.png"], 2, "no factor 'shape'"),
    ],
)
def test_bad_input_is_one_line(files, tmp_path, command_line, arguments, code, words):
    (tmp_path / "something").write_text("")
    got, out, err = command_line("sample", "-t", files.of_images, *arguments)
    assert (got, out, len(err.splitlines())) == (code, "", 1)
    assert words in err
    assert [path.name for path in tmp_path.iterdir()] == ["something"]


def test_partial_sampling_with_another_prior_in_the_same_words(files, tmp_path, command_line):
    assert command_line("sample", "-t", files.of_images, "--seeds", "0-1", "--subdirs", "--out", "a", "-q")[0] == 0
    image = "a/000000/000001.png"
    options = ["--fix", f"residual={image}", "--fix", f"color={image}", "--truncation", "0.7"]
    code, out, _ = command_line("sample", "-t", files.of_images, "--seeds", "0-1", *options, "--out", "b", "--json")
    found = json.loads(out)
    assert (code, found["varied"], found["truncation"]) == (0, ["digit"], 0.7)
    assert found["fixed"] == {"residual": image, "color": image}
