import importlib.util
import json

import pytest


def test_maps_of_principal_components(files, command_line, tmp_path):
    options = [
        "--method",
        "pca",
        "--n",
        40,
        "--steps",
        4,
        "--kind",
        "latent",
        "--kind",
        "residual",
        "--seed",
        1,
        "--device",
        "cpu",
        "--json",
    ]
    code, out, err = command_line("embed", "-t", files.of_classes, *options, "--out", "maps", "--format", "pdf", "-q")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["out"], found["method"], found["count"]) == ("maps", "pca", 40)
    assert sorted(file.name for file in (tmp_path / "maps").iterdir()) == sorted([*found["figures"], "embed.json"])
    assert found["figures"] == ["latent.pdf", "residual.pdf"]
    assert found["failures"] == {}


@pytest.mark.skipif(importlib.util.find_spec("umap") is not None, reason="umap-learn is installed")
def test_without_umap_learn_one_line_says_how_to_get_it(files, command_line):
    code, out, err = command_line("embed", "-t", files.of_classes)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "iin-cli[umap]" in err


def test_bad_input_is_one_line(files, command_line):
    for arguments, words in (
        (["--kind", "circle"], "latent"),
        (["--method", "pac"], "pca"),
        (["--method", "pca", "-f", "shape"], "no factor"),
        (["--method", "pca", "--steps", "1"], "--steps"),
        (["--method", "pca", "--color-by", "shade"], "digits has: digit"),
    ):
        code, out, err = command_line("embed", "-t", files.of_images, "--n", 20, "-q", *arguments)
        assert (code in (2, 3), out, len(err.splitlines())) == (True, "", 1)
        assert words in err
