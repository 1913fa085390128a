import json
import subprocess
import sys

import pytest
from PIL import Image


def test_an_item_of_the_data_gives_one_image(files, tmp_path):
    """The translator's own data, embedded digits, by number: no file is named."""
    command = [sys.executable, "-m", "iin_cli", "edit", "test:3", "-t", str(files.of_images), "--json", "-q"]
    command += ["--swap", "digit=test:5", "--strength", "digit=0.5", "--resample", "color=7", "--out", "out.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["out"], found["image"], found["answers"], found["nearest"]) == ("out.png", "test:3", None, None)
    assert found["recipe"]["changes"][0] == {"factor": "digit", "swap": "test:5", "strength": 0.5, "move": [0.0, 0.0]}
    assert found["factors"].keys() == {"digit", "color", "residual"}
    assert 0 <= found["likely"]["percent"] <= 100
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (32, 32)


@pytest.mark.parametrize("ending", ["pdf", "svg"])
def test_an_edit_is_written_as_every_format_of_a_figure(files, command_line, tmp_path, ending):
    file = tmp_path / f"edit.{ending}"
    code, _, err = command_line("edit", "sample:3", "-t", files.of_images, "--out", file, "-q")
    assert (code, err) == (0, "")
    assert {"pdf": b"%PDF", "svg": b"<svg"}[ending] in file.read_bytes()


def test_a_folder_gets_the_format_and_the_size_asked_for(files, command_line, tmp_path):
    given = ("edit", "sample:3", "-t", files.of_images, "-q", "--format", "svg")
    code, _, err = command_line(*given, "--dpi", 64, "--out", "out")
    assert (code, err) == (0, "")
    # 32 pixels are half an inch.
    assert 'width="36pt" height="36pt"' in (tmp_path / "out" / "edit.svg").read_text(encoding="utf-8")
    code, _, err = command_line(*given, "--out", "x.png")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "leave one of them out" in err


def test_a_classifiers_table_and_one_line_for_bad_input(files, pictures, command_line):
    own = ["-t", files.of_classes, "--data", pictures]
    code, out, _ = command_line("edit", "test:1", *own, "--move", "digit=1,-2", "--along", "class=a=1", "-q")
    assert code == 0
    assert "nearest real images" in out
    assert "→" in out
    assert "runs/00000-edit" in out
    for arguments, exit_code, words in (
        (["test:1", "--swap", "shape=test:0"], 2, "no factor 'shape'"),
        (["test:99"], 3, "9 images in test"),
        (["test:1", "--swap", "digit=gone.png"], 3, "gone.png"),
        (["test:1", "--along", "hue=1"], 3, "no attribute"),
        (["test:1", "--out", "x.png"], 2, "predictions and the nearest"),
        (["a" * 3000], 2, "too long for a file"),
        (["test:1", "--strength", "digit=3"], 2, "neither swapped nor resampled"),
        (["test:1", "--along", "class=a=1", "--lock", "shape"], 2, "no factor 'shape'"),
        (["test:1", "--format", "pdf"], 2, "are of pictures"),
        ([], 2, "argument"),
    ):
        code, out, err = command_line("edit", *arguments, *own, "-q")
        assert (code, out, len(err.splitlines())) == (exit_code, "", 1), (arguments, err)
        assert words in err


def test_latents_alone_are_edited_without_pictures(files, command_line):
    code, out, err = command_line("edit", "sample:4", "-t", files.of_latents, "--resample", "color=1", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["likely"]["percent"] is None
    code, _, err = command_line("edit", "a.png", "-t", files.of_latents, "--resample", "color=1")
    assert code == 2
    assert "without a backbone" in err
