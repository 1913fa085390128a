"""A report of what lies in memory: a page without any command line, and nothing but the page."""

import pytest

from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.reading import ChosenData
from iin_cli.progress import Silent
from iin_cli.report import making


@pytest.fixture
def data(opened):
    return ChosenData(opened, DataChoice(n=8, seed=1), Silent())


def test_without_a_file_there_are_no_command_lines_and_the_page_is_the_result(data, monkeypatch):
    shown = ("What was interpreted", "Provenance")
    monkeypatch.setattr(making, "SECTIONS", tuple(part for part in making.SECTIONS if part[0] in shown))
    pages = []
    result = making.make_report(data, save=pages.append)
    assert (result.out, result.made, result.n, result.seed) == ("", shown, 8, 1)
    assert "iin report" not in result.page
    assert "lies in memory" in result.page
    assert len(pages) == 2
    assert making.OUTSTANDING in pages[0]
    assert pages[1] == result.page
    assert "page" not in result.as_dict()
