import json
from pathlib import Path

import pytest

from iin_cli.errors import UsageError
from iin_cli.io.output import Output


def opened(out, label="swap-digit"):
    return Output.open(out, label, (".png",), "images")


def test_a_file_a_folder_or_the_next_numbered_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened(tmp_path / "new" / "a.png") as output:
        assert output == Output(tmp_path / "new" / "a.png", True)
        assert output.path.parent.is_dir()
    with opened(tmp_path / "v1.5") as output:
        assert output.is_file is False
        assert output.path.is_dir()
    with opened(None) as output:
        assert output == Output(Path("runs/00000-swap-digit"), False)


def test_parts_go_into_the_folder_or_to_the_file_that_ends_alike(tmp_path):
    folder, file = Output(tmp_path, False), Output(tmp_path / "a.JSON", True)
    assert folder.at("swap.png") == tmp_path / "swap.png"
    assert (file.at("swap.png"), file.at("swap.json")) == (None, tmp_path / "a.JSON")
    assert (folder.ending, file.ending) == ("", ".json")
    for output in (folder, file):
        output.write_json("swap.json", {"a": 1})
    assert json.loads((tmp_path / "swap.json").read_text()) == json.loads((tmp_path / "a.JSON").read_text()) == {"a": 1}


def test_what_is_taken_or_cannot_hold_the_result_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("")
    with pytest.raises(UsageError, match="exists already"), opened(tmp_path / "a.png"):
        pass
    with (
        pytest.raises(UsageError, match=r"images; name a folder or a file that ends in \.png"),
        opened(tmp_path / "a.csv"),
    ):
        pass
