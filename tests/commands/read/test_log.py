"""`log` in this process: which runs and figures, what is drawn, and how a run is followed."""

import json
import threading
import time

import pytest
from PIL import Image

from iin_cli.commands.read import log as module
from iin_cli.commands.read.log import log, new_reports, save_curves
from iin_cli.errors import DataError, UsageError
from iin_cli.io.holding import hold
from iin_cli.io.output import Figures


def report(step, **figures):
    return json.dumps({"step": step, "seconds": step / 10, **figures}) + "\n"


@pytest.fixture
def runs(tmp_path):
    """Two runs of one name in two folders, the second shorter and with another figure."""
    folders = [tmp_path / place / "fit" for place in ("a", "b")]
    for folder, steps in zip(folders, (5, 3), strict=True):
        folder.mkdir(parents=True)
        text = "".join(report(step, train_nll=10.0 - step, heldout_nll=11.0 - step) for step in range(steps))
        (folder / "log.jsonl").write_text(text + (report(9, kl=1.0) if steps == 3 else ""))
    return folders


def test_runs_side_by_side(runs):
    result = log(runs)
    assert result.names == ["a/fit", "b/fit"]
    assert result.figures == ("train_nll", "heldout_nll", "kl")
    first, second = result.as_dict()["runs"]
    assert first["figures"]["heldout_nll"] == {
        "step": [0, 1, 2, 3, 4],
        "seconds": [0.0, 0.1, 0.2, 0.3, 0.4],
        "value": [11.0, 10.0, 9.0, 8.0, 7.0],
    }
    assert (second["state"], second["step"], second["figures"]["kl"]["value"]) == ("stopped", 9, [1.0])
    (_, rows), (_, figures) = result.tables()
    assert [row["run"] for row in rows] == ["a/fit", "b/fit"]
    assert figures[0] == {
        "figure": "train_nll",
        "run": "a/fit",
        "curve": "█▆▅▃▁",
        "first": 10.0,
        "last": 6.0,
        "lowest": 6.0,
        "highest": 10.0,
    }
    assert "kl" not in first["figures"]


def test_figures_and_axes_can_be_chosen(runs):
    result = log(runs[:1], ["heldout_nll"], "seconds")
    (line,) = result.lines
    assert (line.figure, line.at[-1]) == ("heldout_nll", 0.4)
    panel = result.plot().axes[0]
    assert (panel.get_title(loc="left"), panel.get_xlabel()) == ("nll", "seconds")
    with pytest.raises(UsageError, match="--figure 'heldout_nl': did you mean heldout_nll"):
        log(runs, ["heldout_nl"])
    with pytest.raises(UsageError, match="--by 'minutes'"):
        log(runs, by="minutes")
    with pytest.raises(DataError, match="no such run folder"):
        log([runs[0] / "nothing"])


def test_one_colour_per_run_and_dashes_for_training_data(runs):
    figure = log(runs).plot()
    shown = [panel for panel in figure.axes if panel.lines]
    assert [panel.get_title(loc="left") for panel in shown] == ["nll", "kl"]
    styles = {(line.get_color(), line.get_linestyle()) for line in shown[0].lines}
    assert len(styles) == 4
    assert len({color for color, _ in styles}) == 2
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["a/fit", "b/fit", "training data", "held-out data"]


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_the_file_says_the_format(runs, tmp_path, ending):
    result = save_curves(log(runs), tmp_path / f"c.{ending}", Figures(dpi=60))
    start = (tmp_path / f"c.{ending}").read_bytes()[:5]
    assert result.out == str(tmp_path / f"c.{ending}")
    assert start == {"png": b"\x89PNG\r", "pdf": b"%PDF-", "svg": b"<?xml"}[ending]


def test_dots_per_inch(runs, tmp_path):
    for dpi in (50, 100):
        save_curves(log(runs), tmp_path / f"{dpi}.png", Figures(dpi=dpi))
    with Image.open(tmp_path / "50.png") as small, Image.open(tmp_path / "100.png") as large:
        assert large.size == pytest.approx([2 * side for side in small.size], abs=1)
        assert large.info["dpi"] == pytest.approx((100, 100), abs=0.1)


def test_where_curves_cannot_go(runs, tmp_path):
    with pytest.raises(UsageError, match=r"name a file that ends in \.png or \.pdf or \.svg"):
        save_curves(log(runs), tmp_path / "curves.gif", Figures())
    with pytest.raises(UsageError, match=r"--format pdf: --out .* says what is written"):
        save_curves(log(runs), tmp_path / "c.png", Figures("pdf"))
    (tmp_path / "new").mkdir()
    with hold(tmp_path / "new"):
        empty = log([tmp_path / "new"])
    with pytest.raises(UsageError, match="nothing was reported yet"):
        save_curves(empty, tmp_path / "c.png", Figures())


def test_a_run_is_followed_until_it_ends(runs, monkeypatch):
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.01)
    folder, going = runs[0], threading.Event()

    def train():
        with hold(folder):
            going.set()
            for step in (5, 6):
                time.sleep(0.05)
                with (folder / "log.jsonl").open("a") as text:
                    text.write(report(step, heldout_nll=0.0, other=1.0))

    thread = threading.Thread(target=train)
    thread.start()
    going.wait()
    seen = list(new_reports(log([folder]), ["heldout_nll"]))
    thread.join()
    assert [found["step"] for _, found in seen] == list(range(7))
    assert {name for name, _ in seen} == {"fit"}
    assert seen[-1][1] == {"step": 6, "seconds": 0.6, "heldout_nll": 0.0}
