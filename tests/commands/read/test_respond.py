"""Response analysis through real files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from iin_cli.commands.read.respond import respond
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.io.output import Output
from iin_cli.measures.responses.walks import WalkDesign, Walker
from iin_cli.translator.edit import OUWalk


def responded(translator, factors=(), out=None, n=50, seed=1, controls=2, walk=None, **given):
    walk = OUWalk(tuple(factors), **{"steps": 5, **(walk or {})})
    return respond(translator, DataChoice(n=n, seed=seed), WalkDesign(walk, controls=controls, seed=seed), out, **given)


def folder(result, name):
    return Path(result.out) / name


def test_a_classifiers_folder_holds_figures_table_and_points(files, tmp_path):
    result = responded(files.of_classes, ["digit", "residual"], tmp_path / "out", n=60, raw=True)
    found = json.loads(folder(result, "respond.json").read_text())
    assert found == json.loads(json.dumps(result.as_dict()))
    assert [each["name"] for each in found["factors"]] == ["digit", "residual"]
    assert set(found["factors"][0]["by_class"]) == set("abcde")
    of_class = found["factors"][0]["by_class"]["a"]
    assert of_class["quantiles"]["factor"]["0.05"] <= of_class["quantiles"]["factor"]["0.95"] <= 0
    assert folder(result, "respond.png").stat().st_size > 5000
    with folder(result, "respond.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 60 * 4
    walked = [row for row in rows if row["factor"] == "digit" and not row["control"]]
    mean = np.mean([float(row["log_probability.a"]) for row in walked])
    assert of_class["factor"]["value"] == pytest.approx(mean, abs=1e-4)
    titles = [title for title, _ in result.tables()]
    assert titles[:2] == ["the network on these images", "what the answer owes to each factor"]
    assert titles[2].startswith("flip rate: ")
    # The labels of the digits are no classes called a to e.
    assert "none of the labels" in found["performance"]["unknown"]
    assert found["factors"][0]["verdict"]["text"] == result.tables()[1][1][0]["verdict"]
    assert "no concept" in found["factors"][1]["reality"]["why_not"]
    assert titles[-1].startswith("flip rate by")


def test_of_an_autoencoder_the_image_change_is_measured(files, tmp_path):
    result = responded(files.of_images, (), tmp_path / "out")
    assert result.kind == "images"
    digit = result.factors[0]
    assert set(digit.overall) - {"violation_rate"} == {"absolute_change", "squared_change"}
    assert set(digit.by_channel) == {"red", "green", "blue"}
    channels = [each["absolute_change"].factor.value for each in digit.by_channel.values()]
    assert digit.overall["absolute_change"].factor.value == pytest.approx(np.mean(channels))
    assert digit.overall["absolute_change"].factor.value > 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["respond.json", "respond.png"]


def test_a_factor_that_fails_is_recorded_and_the_rest_measured(heard, files, tmp_path, monkeypatch):
    measure, saved = Walker.measure, []

    def failing(self, name, *rest):
        if name == "color":
            raise RuntimeError("no such\nwalk")
        return measure(self, name, *rest)

    def save(output, name, value):
        saved.append([each["name"] for each in value["factors"]])

    monkeypatch.setattr(Walker, "measure", failing)
    monkeypatch.setattr(Output, "write_json", save)
    result = responded(files.of_classes, (), tmp_path / "out", report=heard)
    assert result.failed == {"color": "RuntimeError: no such walk"}
    assert saved == [["digit"], ["digit"], ["digit", "residual"]]
    assert heard.warnings == ["color is not measured: RuntimeError: no such walk"]
    assert result.tables()[-1] == ("not measured", [{"factor": "color", "why": "RuntimeError: no such walk"}])


def test_where_nothing_can_be_measured_the_error_is_raised(files, tmp_path):
    with pytest.raises(DataError, match="finite numbers"):
        responded(files.of_classes, (), tmp_path / "out", walk={"sigma": 1e38})
    assert not (tmp_path / "out").exists()


def test_few_images_are_measured_and_say_so(heard, files, tmp_path):
    result = responded(files.of_classes, ["color"], tmp_path / "out", n=1, report=heard)
    assert "1 images" in heard.warnings[0]
    assert result.factors[0].overall["flip_rate"].verdict == "too few images"


def test_bad_input(files, tmp_path):
    out = tmp_path / "out"
    for given, words in (
        ({"factors": ["shape"]}, "no factor 'shape'"),
        ({"walk": {"gamma": 0}}, "gamma"),
        ({"walk": {"steps": 1}}, "at least 2 steps"),
        ({"controls": 0}, "at least 1"),
        ({"walk": {"center": "moon"}}, "origin, input"),
        ({"out": tmp_path / "x.csv"}, "name a folder"),
        ({"out": tmp_path / "x.json", "raw": True}, "must be a folder"),
    ):
        with pytest.raises(UsageError, match=words):
            responded(files.of_classes, **{"out": out, **given})
    with pytest.raises(UsageError, match="draws images"):
        responded(files.of_images, out=out, raw=True)
    with pytest.raises(UsageError, match="without a backbone"):
        responded(files.of_latents, out=out)
    assert not out.exists()


def test_a_seed_gives_one_result_and_a_factor_does_not_depend_on_the_others(files, tmp_path):
    every = responded(files.of_classes, (), tmp_path / "a.json")
    alone = responded(files.of_classes, ["color"], tmp_path / "b.json")
    assert every.factors[1].as_dict() == alone.factors[0].as_dict()
    other = responded(files.of_classes, ["color"], tmp_path / "c.json", seed=2)
    assert other.factors[0].as_dict() != alone.factors[0].as_dict()
