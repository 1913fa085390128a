"""The summary of what the sections found."""

import pytest

from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.reading import ChosenData
from iin_cli.progress import Silent
from iin_cli.report.overview import glance
from iin_cli.report.subject import Effort, ReportSubject


@pytest.fixture
def subject(opened, tmp_path):
    return ReportSubject(ChosenData(opened, DataChoice(), Silent()), Effort(), None, tmp_path)


def test_the_summary_keeps_the_order_of_the_factors(subject):
    assert glance(subject) == []
    subject.note("residual", b="2")
    subject.note("digit", a="1")
    (table,) = glance(subject)
    assert table.rows == [{"factor": "digit", "dims": 3, "a": "1"}, {"factor": "residual", "dims": 3, "b": "2"}]


def test_the_summary_explains_its_columns(subject):
    subject.note("digit", by_chance="0.1", known_from_it=None)
    table, said = glance(subject)
    assert "known from it" in table.rows[0]
    assert "By chance: " in said.text
    assert "known from the residual: " not in said.text
