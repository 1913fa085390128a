"""A run's folder is named, and its seed is the user's, the interrupted run's, or new."""

import pytest

from iin_cli.errors import UsageError
from iin_cli.training.runs import RunChoice


def test_a_folder_is_made_and_named(heard, tmp_path):
    with RunChoice(tmp_path / "run").open("x", heard) as folder:
        assert folder == tmp_path / "run"
        assert folder.is_dir()
    assert heard.notes == [f"run folder {folder}"]


def test_a_dry_run_has_no_folder(heard, tmp_path):
    with RunChoice(tmp_path / "run", dry_run=True).open("x", heard) as folder:
        assert folder is None
    assert (heard.notes, list(tmp_path.iterdir())) == ([], [])


def test_seeds(tmp_path):
    assert RunChoice(seed=3).final_seed("t") == 3
    assert RunChoice().final_seed("t") != RunChoice().final_seed("t")
    with pytest.raises(UsageError, match="name its folder"):
        RunChoice(resume=True).final_seed("t")
