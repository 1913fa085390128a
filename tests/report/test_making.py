"""A report of what lies in memory: a page without any command line, and nothing but the page."""

from dataclasses import replace

import numpy as np

from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.memory import MemoryDataset
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData
from iin_cli.metrics.bootstrap import Resampling
from iin_cli.progress import Silent
from iin_cli.report import making
from iin_cli.report.subject import Effort


def test_without_a_file_there_are_no_command_lines_and_the_page_is_the_result(files, tmp_path, monkeypatch):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    opened, pages = replace(open_translator(files.of_images), path=None), []
    pixels = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), np.uint8)
    labels = {"digit": np.arange(60) % 3, "color": np.linspace(0, 1, 60)}
    data = ChosenData.in_memory(opened, MemoryDataset(pixels, labels), DataChoice(n=60, seed=1), Silent())
    encode, encoded = opened.network.encode, []
    monkeypatch.setattr(opened.network, "encode", lambda images: encoded.append(len(images)) or encode(images))
    result = making.make_report(data, Effort(Resampling(20, 99), grid=2, walks=1), save=pages.append)
    assert encoded == [60]
    assert not (tmp_path / "cache").exists()
    assert (result.out, result.translator, result.n, result.seed, result.failed) == ("", opened.called, 60, 1, {})
    assert result.made == tuple(title for title, _ in making.SECTIONS)
    assert "iin report" not in result.page
    assert "lies in memory" in result.page
    assert len(pages) == len(making.SECTIONS)
    assert making.OUTSTANDING in pages[0]
    assert pages[-1] == result.page
    assert "page" not in result.as_dict()
