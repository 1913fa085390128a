import json

import numpy as np
from PIL import Image


def test_an_image_is_explained(files, command_line, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "x.png")
    options = ["--sources", 4, "--search", 30, "--seed", 1, "--device", "cpu", "--out", "why", "--format", "svg"]
    code, out, err = command_line("explain", "x.png", "-t", files.of_classes, *options, "--json", "-q")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["out"], found["sources"], found["searched"]) == ("why", 4, 30)
    assert found["searchable"] > 1000
    assert set(found["images"][0]["factors"]) == {"digit", "color", "residual"}
    assert sorted(file.name for file in (tmp_path / "why").iterdir()) == ["explain.json", "explain.svg"]


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


def test_the_smallest_edits_that_are_called_otherwise(files, command_line, tmp_path):
    options = ["--search", 30, "--seed", 1, "--device", "cpu", "--json", "-q"]
    code, out, err = command_line(
        "explain",
        "-t",
        files.of_classes,
        "--target",
        "a",
        "--target",
        "b",
        "-f",
        "digit",
        *options,
        "--out",
        "why",
        "--format",
        "pdf",
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found == json.loads((tmp_path / "why" / "explain.json").read_text())
    assert found["targets"] == ["a", "b"]
    assert {each["target"] for each in found["found"]} <= set("ab")
    assert [way["factor"] for way in found["found"][0]["ways"]] == ["digit", "all factors"]
    # Unless the image is called one of them already.
    count = len(found["found"])
    assert count in (1, 2)
    assert found["figures"] == (
        ["explain.pdf"] if count == 1 else ["explain-000.pdf", "explain-001.pdf", "borders.pdf"]
    )
    assert all((tmp_path / "why" / name).stat().st_size > 1000 for name in found["figures"])


def test_targets_that_cannot_be_said_are_refused_in_one_line(files, command_line):
    for translator, arguments, words in (
        (files.of_classes, ["--target", "q"], "no class of classifier"),
        (files.of_classes, ["--target", "a", "--mode", "walk"], "leave --mode"),
        (files.of_classes, ["--target", "a", "-f", "shape"], "no factor"),
        (files.of_classes, ["--oracle", files.classifier], "--target"),
        (files.of_classes, ["--target", "a", "--oracle", files.classifier], "leave --oracle out"),
        (files.of_images, ["--target", "a"], "--oracle"),
    ):
        code, out, err = command_line("explain", "-t", translator, *arguments, "-q")
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert words in err
