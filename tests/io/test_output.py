from pathlib import Path

import pytest

from iin_cli.errors import UsageError
from iin_cli.io.output import Output


def opened(out, label="swap-digit"):
    return open_output(out, label, (".png",), "images")


def test_a_file_a_folder_or_the_next_numbered_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened(tmp_path / "new" / "a.png") as (place, is_file):
        assert (place, is_file) == (tmp_path / "new" / "a.png", True)
        assert place.parent.is_dir()
    with opened(tmp_path / "v1.5") as (place, is_file):
        assert is_file is False
        assert place.is_dir()
    with opened(None) as (place, is_file):
        assert (place, is_file) == (Path("runs/00000-swap-digit"), False)


def test_what_is_taken_or_cannot_hold_the_result_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("")
    with pytest.raises(UsageError, match="exists already"), opened(tmp_path / "a.png"):
        pass
    with (
        pytest.raises(UsageError, match=r"images; name a folder or a file that ends in \.png"),
        opened(tmp_path / "a.csv"),
    ):
        pass
