"""The command lines of a report can be typed, and a part of the data is a dataset like the whole."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer

from iin_cli.cli import app
from iin_cli.data import open_dataset
from iin_cli.interpretation.opening import open_translator
from iin_cli.progress import Silent
from iin_cli.report.subject import PartOfData, Subject


@pytest.fixture
def subject(files, tmp_path):
    folder = tmp_path / "with space"
    folder.mkdir()
    translator = shutil.copy(files.of_images, folder / "translator.safetensors")
    return Subject(
        opened=open_translator(translator),
        dataset=open_dataset("digits"),
        data=None,
        data_root=Path("/somewhere else"),
        split="all",
        backbone=None,
        device="cpu",
        n=7,
        seed=3,
        folder=tmp_path,
        report=Silent(),
    )


def typed(line):
    """The parsed parameters of a command line; an unknown option raises."""
    program, name, *words = shlex.split(line)
    assert program == "iin"
    command = typer.main.get_command(app).commands[name]
    return command.make_context(name, words, resilient_parsing=False).params


def test_a_command_line_says_all_that_was_given(subject):
    given = typed(subject.command("swap", "--factor", "digit; rm -r x", "--n", 7, out="swap.png"))
    assert given["translator"] == subject.translator
    assert given["factor"] == ["digit; rm -r x"]
    assert (given["n"], given["seed"], given["split"], given["device"]) == (7, 3, "all", "cpu")
    assert (given["data"], given["data_root"], given["out"]) == (None, Path("/somewhere else"), Path("swap.png"))
    assert typed(subject.command("report", "--n", 7, out="r.html"))["translator"] == subject.translator


def test_the_fit_is_told_from_the_checkpoint_and_the_plan_beside_it(subject):
    given = typed(subject.fit_command())
    assert given["backbone"] == subject.opened.network.source
    assert given["dims"] == "digit=3,color=2"
    assert given["concept"] == ["digit", "color"]
    assert (given["steps"], given["data"]) == (None, "digits")
    plan = {"factors": subject.opened.factors.dims, "plan": {"steps": 20, "max_seconds": 1.5, "feature_noise": 0.0}}
    (subject.translator.parent / "plan.json").write_text(json.dumps(plan))
    given = typed(subject.fit_command())
    assert (given["steps"], given["max_seconds"], given["feature_noise"]) == (20, 1.5, 0)


@pytest.mark.parametrize("text", ["{", "[]", '{"factors": {}, "plan": {"steps": 9}}'])
def test_a_plan_that_is_broken_or_anothers_is_not_used(subject, text):
    (subject.translator.parent / "plan.json").write_text(text)
    assert "--steps" not in subject.fit_command()


def test_a_part_of_the_data_has_fewer_training_items_and_all_else():
    whole = open_dataset("colordigits")
    part = PartOfData(whole, 40, 0)
    assert len(part.splits["train"]) == 40
    assert set(part.splits["train"]) <= set(whole.splits["train"])
    assert np.array_equal(part.splits["test"], whole.splits["test"])
    assert np.array_equal(part.colors, whole.colors)
    items = part.splits["train"][:2]
    assert np.array_equal(part.images(items, 32), whole.images(items, 32))
    assert part.path(5) == whole.path(5)
    assert np.array_equal(PartOfData(whole, 10**6, 0).splits["train"], np.sort(whole.splits["train"]))
    assert not hasattr(part, "nothing_of_this_name")
