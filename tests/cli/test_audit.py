import json


def test_a_condition_that_holds_sets_the_exit_code_and_is_one_line(files, command_line, tmp_path):
    asked = ["audit", "-t", files.of_classes, "--data", "digits", "--n", 20, "--seed", 0, "--quiet"]
    code, out, err = command_line(
        *asked, "--json", "--fail-if", "round_trip_error<1", "--fail-if", "gaussianity.digit>1"
    )
    assert code == 1
    found = json.loads(out)
    assert found["failed"] == [err.strip().removeprefix("iin: failed: ")]
    assert err.startswith("iin: failed: round_trip_error<1: round_trip_error is ")
    assert found["figures"]["round_trip_error"]["items"] == 20
    code, out, err = command_line(*asked, "--fail-if", "gaussianity.digit>1", "--out", "a", "--format", "svg")
    assert (code, err) == (0, "")
    assert "distance from N(0, I)" in out
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["audit.json", "audit.svg"]


def test_figures_are_listed_without_any_data_and_bad_conditions_are_one_line(files, command_line):
    code, out, _ = command_line("audit", "-t", files.of_latents, "--list-metrics")
    assert code == 0
    assert "leakage.color.digit" in out
    code, out, _ = command_line("audit", "-t", files.of_latents, "--list-metrics", "--json")
    assert "greatest" in json.loads(out)["round_trip_error"]
    for arguments, exit_code, words in (
        (["--fail-if", "leakage.colr>1"], 2, "did you mean leakage.color"),
        (["--split", "gone"], 2, "gone"),
        (["--out", "audit.pdf"], 2, "--out audit.pdf: the result is figures and audit.json; name a folder"),
        (["--oracle", "gone.safetensors"], 4, "gone.safetensors"),
    ):
        code, out, err = command_line("audit", "-t", files.of_images, "--data", "digits", "-q", "--n", 3, *arguments)
        assert (code, out, len(err.splitlines())) == (exit_code, "", 1), err
        assert words in err
