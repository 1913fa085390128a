"""`iin respond` from the shell."""

import json


def test_tables_and_json(files, command_line, tmp_path):
    given = ["respond", "-t", files.of_classes, "-f", "digit", "--n", 60, "--steps", 4, "--seed", 1]
    code, out, err = command_line(*given, "--out", "r", "--format", "pdf", "--dpi", 60, "-q")
    assert (code, err) == (0, "")
    assert "flip rate" in out
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["respond.json", "respond.pdf"]
    assert "more than chance" in out or "less than chance" in out or "not distinguishable" in out
    code, out, _ = command_line(*given, "--out", "r.json", "--json")
    assert code == 0
    found, saved = json.loads(out), json.loads((tmp_path / "r.json").read_text())
    assert found == saved
    assert found["factors"][0]["overall"]["flip_rate"]["factor"]["items"] == 60
    assert found["factors"][0]["verdict"]["text"].startswith(found["factors"][0]["overall"]["flip_rate"]["verdict"])
    assert set(found["performance"]) >= {"images", "unknown"}


def test_bad_input_is_one_line(files, command_line):
    for arguments, words in (
        (["--gamma", "2"], "gamma"),
        (["-f", "shape"], "shape"),
        (["--split", "moon"], "moon"),
        (["-c", "nothing"], "nothing"),
        (["-c", "rotation:45"], "no factor 'rotation'"),
    ):
        code, out, err = command_line("respond", "-t", files.of_classes, *arguments)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert words in err
