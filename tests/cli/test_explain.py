import json

import numpy as np
from PIL import Image


def test_an_image_is_explained(files, command_line, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "x.png")
    options = ["--sources", 4, "--search", 30, "--seed", 1, "--device", "cpu", "--out", "why"]
    code, out, err = command_line("explain", "x.png", "-t", files.of_classes, *options, "--json", "-q")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["out"], found["sources"], found["searched"]) == ("why", 4, 30)
    assert found["searchable"] > 1000
    assert set(found["images"][0]["factors"]) == {"digit", "color", "residual"}
    assert sorted(file.name for file in (tmp_path / "why").iterdir()) == ["explain.json", "explain.png"]


def test_a_table_without_json_and_bad_input_in_one_line(files, command_line):
    code, out, _ = command_line(
        "explain", "-t", files.of_classes, "--sources", 3, "--search", 20, "--out", "why.json", "-q"
    )
    assert code == 0
    assert "class changes" in out
    for arguments, words in (
        (["none.png"], "no such image"),
        (["--mode", "fly"], "swap, walk"),
        (["--space", "x"], "z-tilde"),
        (["-f", "shape"], "no factor"),
        (["--k", "0"], "--k"),
    ):
        code, out, err = command_line("explain", "-t", files.of_classes, *arguments, "-q")
        assert (code in (2, 3), out, len(err.splitlines())) == (True, "", 1)
        assert words in err
