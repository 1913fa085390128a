"""open_dataset: names first, then paths."""

import numpy as np
import pytest
from PIL import Image

from iin_cli import data
from iin_cli.data import open_dataset
from iin_cli.errors import DataError, PluginError, UsageError
from iin_cli.guests.entry_points import Point
from iin_cli.progress import Silent
from iin_cli.registry import Found

GUEST = Point("iin.datasets", "own", "guest:make", "guest", "1")


def test_a_registered_name_opens_its_dataset():
    assert open_dataset("digits").name == "digits"


def test_a_path_opens_the_folder_even_beside_a_name(tmp_path, monkeypatch):
    (tmp_path / "digits").mkdir()
    (tmp_path / "pictures").mkdir()
    for folder in ("digits", "pictures"):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / folder / "a.png")
    monkeypatch.chdir(tmp_path)
    assert len(open_dataset("digits").sources) == 1797
    assert len(open_dataset("./digits").sources) == 1
    assert len(open_dataset("pictures").sources) == 1


def test_an_unknown_name_hears_of_the_nearest_and_of_paths():
    with pytest.raises(UsageError, match=r"did you mean .*digits.*path of a folder"):
        open_dataset("digitz")


def test_a_path_that_is_not_there_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        open_dataset(str(tmp_path / "gone"))


def test_a_name_with_a_path_of_a_plugin_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("IIN_DISABLE_PLUGINS", "1")
    for name in ("tar:some/shards.tar", "hf:owner/name"):
        with pytest.raises(UsageError, match=f"unknown dataset '{name[:2]}.*IIN_DISABLE_PLUGINS is set"):
            open_dataset(name)
    # A folder may be called so.
    (tmp_path / "tar:some").mkdir()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "tar:some" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert len(open_dataset("tar:some").sources) == 1


@pytest.mark.parametrize("listens", [True, False])
def test_a_factory_that_listens_is_told_where_progress_goes(monkeypatch, listens):
    heard = []

    def with_report(data_root, argument, report=None):
        heard.append((data_root, argument, report))
        return open_dataset("digits")

    def without(data_root, argument):
        heard.append((data_root, argument))
        return open_dataset("digits")

    find = data.find
    found = Found("own", "x", with_report if listens else without, GUEST)
    monkeypatch.setattr(data, "find", lambda group, name, report: found if name == "own:x" else find(group, name))
    report = Silent()
    open_dataset("own:x", None, report)
    assert heard == [(None, "x", report) if listens else (None, "x")]


def test_a_plugin_that_makes_no_dataset_is_named(monkeypatch):
    monkeypatch.setattr(
        data, "find", lambda group, name, report: Found("own", None, lambda data_root, argument: "images", GUEST)
    )
    with pytest.raises(PluginError, match="breaks the contract of a dataset: it made a str instead of a Dataset"):
        open_dataset("own")


def test_an_argument_nobody_takes_is_refused():
    with pytest.raises(UsageError, match="takes no argument"):
        open_dataset("digits:3")
