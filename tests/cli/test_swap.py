import json
import subprocess
import sys

from PIL import Image


def test_a_pair_of_files_gives_one_image(files, tmp_path):
    for name, color in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (40, 40), color).save(tmp_path / f"{name}.png")
    command = [sys.executable, "-m", "iin_cli", "swap", "-t", str(files.of_images), "--factor", "digit"]
    command += ["--target", "a.png", "--source", "b.png", "--out", "out.png", "--device", "cpu", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["out"], found["count"], found["factors"]) == ("out.png", 1, ["digit"])
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (32, 32)


def test_a_classifiers_table_and_one_line_for_bad_input(files, command_line):
    code, out, _ = command_line("swap", "-t", files.of_classes, "-f", "digit", "--n", 2, "--seed", 0)
    assert code == 0
    assert "predicted after" in out
    assert "runs/00000-swap-digit" in out
    for arguments, exit_code, words in (
        (["-f", "shape"], 2, "no factor 'shape'"),
        (["-f", "digit", "--target", "gone.png"], 3, "gone.png"),
        (["-f", "digit", "--out", "x.png"], 2, "table of predictions"),
        ([], 2, "--factor"),
    ):
        code, out, err = command_line("swap", "-t", files.of_classes, *arguments)
        assert (code, out, len(err.splitlines())) == (exit_code, "", 1)
        assert words in err
