import json


def test_an_erased_backbone_is_taken_by_other_commands(files, pictures, run_cli, tmp_path):
    command = ["erase", "-t", files.of_classes, "-f", "color", "--n", "50", "--out", "e", "--device", "cpu", "--json"]
    code, out, err = run_cli(*command)
    # Neither is there a colour in these data, nor was the factor fitted to pairs that differ in it alone.
    assert (code, len(err.splitlines()), "fitted to pairs that share it" in err) == (0, 2, True), err
    found = json.loads(out)
    assert (found["checkpoint"], found["factors"]) == ("e/backbone.safetensors", ["color"])
    assert found["effect"]["exchanged_after"] == 0
    code, _, err = run_cli("encode", "--backbone", "e", "--data", pictures, "--out", "z.safetensors")
    assert (code, (tmp_path / "z.safetensors").is_file()) == (0, True), err


def test_one_line_for_bad_input(files, command_line):
    for arguments, exit_code, words in (
        (["-t", files.of_classes, "-f", "shape"], 2, "no factor 'shape'"),
        (["-t", files.of_classes], 2, "--factor"),
        (["-t", "gone", "-f", "color"], 4, "gone"),
        (["-t", files.of_classes, "-f", "color", "--out", "x.png"], 2, ".safetensors"),
        (["-t", files.of_classes, "-f", "color", "--data", "./gone"], 3, "gone"),
        (["-t", files.of_classes, "-f", "color", "--concept", "redraw:hue"], 2, "no factor 'hue'"),
        (["-t", files.of_classes, "-f", "color", "--concept", "label:color"], 3, "fitted to pairs that share it"),
    ):
        code, out, err = command_line("erase", *arguments)
        assert (code, out, len(err.splitlines())) == (exit_code, "", 1), err
        assert words in err
    code, out, err = command_line("encode", "--backbone", "erased", "--data", "digits")
    assert (code, "iin erase" in err) == (2, True)
