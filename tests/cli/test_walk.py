import json
import subprocess
import sys


def test_a_classifiers_walk_says_how_often_it_flips(files, tmp_path):
    command = [sys.executable, "-m", "iin_cli", "walk", "-t", str(files.of_classes), "--mode", "ou", "-f", "digit"]
    command += ["--steps", "10", "--n", "2", "--seed", "1", "--out", "w", "--device", "cpu", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["out"], found["mode"], found["factors"], found["steps"]) == ("w", "ou", ["digit"], 10)
    assert 0 <= found["flip_rate"] <= 1
    assert sorted(file.name for file in (tmp_path / "w").iterdir()) == ["walk.csv", "walk.json", "walk.png"]


def test_linear_is_the_default_and_bad_input_is_one_line(files, command_line):
    code, out, _ = command_line("walk", "-t", files.of_images, "--n", 1, "--out", "w.png", "--seed", 0, "--json")
    assert (code, json.loads(out)["mode"]) == (0, "linear")
    for arguments, words in (
        (["--mode", "ou"], "which factor"),
        (["--mode", "ou", "-f", "digit", "--gamma", "2"], "gamma"),
        (["--center", "moon"], "origin, input"),
        (["--steps", "1"], "--steps"),
        (["--mode", "attribute", "-a", "class=3", "--strength", "3..-3"], "--strength 3..-3"),
        (["--mode", "attribute", "-a", "class=3", "--strength", "three"], "write -3..3"),
        (["--mode", "attribute", "--with", "here"], "go together"),
        (["--mode", "attribute", "--with", "here", "-a", "class=3"], "not both"),
        (["--mode", "attribute"], "which attribute"),
        (["--mode", "attribute", "-a", "class=3:0"], "weight of 0"),
        (["-a", "class=3"], "write --mode attribute"),
        (["--mode", "ou", "-f", "digit", "--strength", "-1..1"], "write --mode attribute"),
        (["--mode", "grid", "--n", "5"], "four corners"),
        (["--mode", "ou", "-f", "digit", "--source", "here"], "no end"),
        (["--mode", "circle"], "linear, ou, grid, attribute"),
        (["--mode", "ou", "-f", "digit", "--center", "moon"], "origin, input"),
        (["--animate", "avi"], "gif, webp, mp4"),
    ):
        code, out, err = command_line("walk", "-t", files.of_images, *arguments)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert words in err


def test_an_attribute_walk_shows_its_axis_and_unknown_attributes_are_data_errors(files, pictures, command_line):
    shared = ["walk", "-t", files.of_images, "--mode", "attribute", "--data", pictures, "--split", "all", "--seed", 0]
    code, out, _ = command_line(*shared, "-a", "class=a", "-a", "color=1:-1", "--strength", "-1..1", "--out", "w.gif")
    assert code == 0
    assert "color=1" in out
    assert "images without" in out
    code, out, err = command_line(*shared, "-a", "Smiling", "--out", "v.gif")
    assert (code, out, len(err.splitlines())) == (3, "", 1)
    assert "choose from: class, color" in err
