"""`iin report` from the shell."""

import json

import pytest

from iin_cli.report.page import Text


@pytest.fixture(autouse=True)
def short(monkeypatch):
    def broken(subject):
        raise ValueError("cannot be")

    parts = (("One", lambda subject: [Text("all is well")]), ("Two", broken))
    monkeypatch.setattr("iin_cli.report.making.SECTIONS", parts)


def test_a_page_and_its_summary(files, command_line, tmp_path):
    given = ["report", files.of_classes, "--seed", 1, "--device", "cpu"]
    code, out, err = command_line(*given, "--out", "r.html", "--json", "--quiet")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["out"], found["made"], found["seed"], found["n"]) == ("r.html", ["One"], 1, 500)
    assert found["failed"] == {"Two": "ValueError: cannot be"}
    assert "all is well" in (tmp_path / "r.html").read_text(encoding="utf-8")
    code, out, err = command_line(*given)
    assert code == 0
    assert "no: ValueError: cannot be" in out
    assert "report: 1 of 2: One" in err
    assert (tmp_path / "runs" / "00000-report" / "report.html").is_file()


def test_bad_input_is_one_line(files, command_line):
    for arguments, exit_code, words in (
        ([files.of_classes, "--out", "r.pdf"], 2, ".html"),
        ([files.of_classes, "--format", "pdf"], 2, "give png or svg"),
        ([files.of_classes, "--format", "tiff"], 2, "--format"),
        ([files.of_latents, "--out", "r.html"], 2, "without a backbone"),
        (["gone.safetensors", "--out", "r.html"], 4, "gone.safetensors"),
    ):
        code, out, err = command_line("report", *arguments, "--quiet")
        assert (code, out, len(err.splitlines())) == (exit_code, "", 1), err
        assert words in err
