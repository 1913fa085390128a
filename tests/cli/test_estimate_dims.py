"""`iin estimate-dims` from the shell."""

import json
import re
import shutil

import pytest


def test_json(run_cli, files, pictures):
    arguments = ("-b", files.autoencoder, "-d", pictures, "-c", "class", "-c", "color", "--seed", 0)
    code, out, err = run_cli("estimate-dims", *arguments, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert result["latent_dim"] == sum(result["factors"].values()) == 8
    assert list(result["factors"]) == ["class", "color", "residual"]
    assert set(result["scores"]) == {"class", "color", "residual"}
    assert set(result["evidence"]) == set(result["absent"]) == {"class", "color"}
    assert set(result["evidence"]["color"]) == {"score", "null", "z", "p_value", "verdict"}
    assert sum(result["calibrated"].values()) == sum(result["eq11"].values()) == 8
    assert [concept["name"] for concept in result["spectrum"]["concepts"]] == ["class", "color"]
    assert result["spectrum"]["sizes"] == result["factors"]


def test_table(command_line, files, pictures):
    code, out, _ = command_line("estimate-dims", "-b", files.autoencoder, "-d", pictures, "-c", "class", "-q")
    assert code == 0
    assert "residual" in out
    assert "score" in out
    assert "if absent" in out
    assert "found" in out


def test_a_plot_and_the_result_are_written(command_line, files, pictures, tmp_path):
    arguments = ("-b", files.autoencoder, "-d", pictures, "-c", "class", "-q", "--seed", 0)
    assert command_line("estimate-dims", *arguments, "--out", tmp_path / "dims", "--format", "svg")[0] == 0
    assert sorted(path.name for path in (tmp_path / "dims").iterdir()) == ["dims.json", "dims.svg"]
    assert json.loads((tmp_path / "dims" / "dims.json").read_text())["factors"]["class"] >= 1
    assert command_line("estimate-dims", *arguments, "--out", tmp_path / "one.png")[0] == 0
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-c", "digitt"), 2, "unknown concept 'digitt': did you mean digit"),
        (("-c", "color"), 3, "concept color needs the label 'color', and digits has: digit, class"),
        (("-c", "digit", "-c", "digit"), 2, "given twice"),
        (("-c", "digit", "--estimator", "x"), 2, "choose from: correlation, variance"),
        (("-c", "digit", "-b", "nowhere.safetensors"), 4, "no such backbone checkpoint: nowhere.safetensors"),
        (("-c", "digit", "-d", "nowhere"), 2, "or give the path of a folder of images"),
        (("-c", "digit", "--layer", "x"), 2, "--layer x: autoencoder has no such layer; choose from: decoder, encoder"),
        (("-c", "digit", "--all-layers", "--layer", "x"), 2, "--layer x: --all-layers looks at every layer"),
        (("-c", "digit", "--null", "random-weights"), 2, "--null random-weights goes with --all-layers: add that"),
        (("-c", "digit", "--all-layers", "--null", "zeros"), 2, "--null 'zeros': choose from: random-weights"),
        (("-c", "digit", "--out", "x.jpg"), 2, "--out x.jpg: the result is a plot; name a folder"),
        ((), 2, "--concept"),
    ],
)
def test_bad_input(command_line, files, arguments, code, message):
    left, out, err = command_line("estimate-dims", "-b", files.autoencoder, "-d", "digits", *arguments, "-q")
    assert (left, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_column_of_a_folder_is_a_concept(files, pictures, command_line, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(pictures, folder)
    labels = folder / "labels.csv"
    labels.write_text(labels.read_text().replace("file,class,color", "file,shape,color"))
    given = ["estimate-dims", "-b", files.autoencoder, "--data", folder, "--seed", 0, "--device", "cpu"]
    code, out, err = command_line(*given, "-c", "shape", "--n", 60)
    assert code == 0, err
    assert re.search(r"^60 of 8\d training images, drawn by seed 0; --n for more$", err, re.MULTILINE)
    assert re.search(r"^estimated from +60 of 8\d training images$", out, re.MULTILINE)
    assert "dominance" not in out
    code, out, err = command_line(*given, "-c", "shap", "-q")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "nor is it a label column of" in err
    assert "shape, color" in err
