"""`iin preview-concept` from the shell."""

import json

import pytest
from PIL import Image


def test_json(run_cli, pictures, tmp_path):
    arguments = ("-c", "greyscale", "-d", pictures, "--n", 2, "--out", "grid.png", "--seed", 1, "--json")
    code, out, err = run_cli("preview-concept", *arguments)
    assert code == 0, err
    result = json.loads(out)
    assert (result["concept"], result["relation"], result["out"]) == ("greyscale", "differ", "grid.png")
    assert result["items"] == 2 * result["groups"]
    with Image.open(tmp_path / "grid.png") as page:
        assert page.height > 2 * 64 < page.width


def test_a_numbered_folder_and_a_table(command_line, pictures, tmp_path):
    code, out, err = command_line("preview-concept", "-c", "class", "-d", pictures, "--device", "cpu", "-q")
    assert (code, err) == (0, "")
    assert "runs/00000-preview-concept-class/preview.png" in out
    assert (tmp_path / "runs" / "00000-preview-concept-class" / "preview.png").is_file()


def test_a_seed_is_drawn_and_recorded(command_line, pictures):
    runs = [command_line("preview-concept", "-c", "class", "-d", pictures, "--n", 1, "--json", "-q") for _ in range(2)]
    seeds = [json.loads(out)["seed"] for _, out, _ in runs]
    assert seeds[0] != seeds[1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-c", "rotatoin"), 2, "did you mean rotation"),
        (("-c", "rotation:round"), 2, "write rotation:30"),
        (("-c", "label:shape"), 3, "needs the label 'shape'"),
        (("-c", "attribute:colour"), 3, "did you mean color"),
        (("-c", "redraw:color"), 3, "cannot: choose --data shapes"),
        (("-c", "class", "--out", "x.jpg"), 2, "a file that ends in .png"),
        (("-c", "class", "--out", "taken.png"), 2, "exists already"),
        (("-c", "class", "--n", "0"), 2, "--n"),
        (("-c", "class", "-d", "nowhere"), 2, "or give the path of a folder of images"),
        ((), 2, "--concept"),
    ],
)
def test_bad_input(command_line, pictures, tmp_path, arguments, code, message):
    (tmp_path / "taken.png").write_text("")
    left, out, err = command_line("preview-concept", "-d", pictures, *arguments, "-q")
    assert (left, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1
