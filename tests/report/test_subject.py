"""Every item is encoded once for the whole report, and each section reads what its command would read."""

import numpy as np
import pytest
import torch

from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.reading import ChosenData
from iin_cli.progress import Silent
from iin_cli.report.subject import Effort, ReportSubject

pytestmark = pytest.mark.usefixtures("cache")


@pytest.mark.parametrize("n", [3, 20, 200])
def test_a_section_reads_what_its_command_reads_and_nothing_is_encoded_twice(opened, cache, tmp_path, monkeypatch, n):
    data = ChosenData(opened, DataChoice(n=n, seed=5), Silent())
    subject = ReportSubject(data, Effort(), None, tmp_path)
    counts = (subject.walked, subject.pool)
    found = [subject.read(count) for count in counts]
    assert len(list(cache.rglob("mean.npy"))) == 1
    for count, reading in zip(counts, found, strict=True):
        alone = data.read(count)
        assert np.array_equal(reading.items, alone.items)
        torch.testing.assert_close(reading.z, alone.z, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(reading.std, alone.std, atol=1e-5, rtol=1e-4)


def test_fewer_images_are_measured_where_they_are_large(opened, tmp_path, monkeypatch):
    subject = ReportSubject(ChosenData(opened, DataChoice(), Silent()), Effort(), None, tmp_path)
    assert (subject.n, subject.walked, subject.draws) == (500, 500, True)
    monkeypatch.setattr(opened.network.backbone, "image_size", 224)
    assert (subject.n, subject.walked) == (100, 100)
