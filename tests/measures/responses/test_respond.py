"""Response analysis of networks whose answer is known."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError, UsageError
from iin_cli.measures.responses import respond as module
from iin_cli.measures.responses.respond import measure_responses, respond
from iin_cli.measures.responses.walks import WalkSettings
from iin_cli.progress import Silent

QUICK = {"steps": 5, "seed": 1, "controls": 2}


def folder(result, name):
    return Path(result.out) / name


def test_a_network_that_reads_one_factor_responds_to_that_one(files, monkeypatch):
    reading = open_reading(files.of_classes, data=None, data_root=None, n=80, seed=1, report=Silent())
    # As a fitted translator would give them: an untrained one's z̃ is far from N(0, 1), and walks go home from there.
    z_tilde = torch.randn(80, 8, generator=torch.Generator().manual_seed(0))
    reading = replace(reading, z_tilde=z_tilde)
    translator, where = reading.opened.translator, reading.opened.factors.slice("digit")

    def decode(z):
        read = translator(z)[0][:, where]
        return torch.cat((read, -read[:, :2]), 1) * 3

    monkeypatch.setattr(reading.opened.backbone, "decode", decode)
    result = measure_responses(reading, ("digit", "color", "residual"), WalkSettings(steps=12, seed=2))
    verdicts = {each.name: each.overall["flip_rate"].verdict for each in result.factors}
    assert verdicts == {"digit": "more than chance", "color": "less than chance", "residual": "less than chance"}
    digit, color = result.factors[:2]
    assert digit.overall["kl"].ratio.low > 1
    assert color.overall["flip_rate"].factor.value == 0
    assert color.overall["kl"].factor.value == pytest.approx(0, abs=1e-5)
    assert sum(each["flip_rate"].factor.items for each in digit.by_start_class.values()) == 80
    # The rate of all images is made of those of the classes they start as.
    parts = [each["flip_rate"].factor for each in digit.by_start_class.values()]
    assert sum(part.value * part.items for part in parts) / 80 == pytest.approx(digit.overall["flip_rate"].factor.value)


def test_a_classifiers_folder_holds_figures_table_and_points(files, tmp_path):
    result = respond(files.of_classes, ["digit", "residual"], tmp_path / "out", n=60, raw=True, **QUICK)
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
    assert titles[0].startswith("flip rate: ")
    assert titles[-1].startswith("flip rate by")


def test_a_seed_gives_one_result_and_a_factor_does_not_depend_on_the_others(files, tmp_path):
    every = respond(files.of_classes, (), tmp_path / "a.json", n=50, **QUICK)
    alone = respond(files.of_classes, ["color"], tmp_path / "b.json", n=50, **QUICK)
    assert every.factors[1].as_dict() == alone.factors[0].as_dict()
    other = respond(files.of_classes, ["color"], tmp_path / "c.json", n=50, **{**QUICK, "seed": 2})
    assert other.factors[0].as_dict() != alone.factors[0].as_dict()


def test_of_an_autoencoder_the_image_change_is_measured(files, tmp_path):
    result = respond(files.of_images, (), tmp_path / "out", n=50, **QUICK)
    assert result.kind == "images"
    digit = result.factors[0]
    assert set(digit.overall) - {"violation_rate"} == {"absolute_change", "squared_change"}
    assert set(digit.by_channel) == {"red", "green", "blue"}
    channels = [each["absolute_change"].factor.value for each in digit.by_channel.values()]
    assert digit.overall["absolute_change"].factor.value == pytest.approx(np.mean(channels))
    assert digit.overall["absolute_change"].factor.value > 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["respond.json", "respond.png"]


def test_a_factor_that_fails_is_recorded_and_the_rest_measured(heard, files, tmp_path, monkeypatch):
    measure, saved = module.measure_walks, []

    def failing(reading, starts, name, *rest):
        if name == "color":
            raise RuntimeError("no such\nwalk")
        return measure(reading, starts, name, *rest)

    def save(path, value):
        saved.append([each["name"] for each in value["factors"]])

    monkeypatch.setattr(module, "measure_walks", failing)
    monkeypatch.setattr(module, "write_json", save)
    result = respond(files.of_classes, (), tmp_path / "out", n=50, report=heard, **QUICK)
    assert result.failed == {"color": "RuntimeError: no such walk"}
    assert saved == [["digit"], ["digit"], ["digit", "residual"]]
    assert heard.warnings == ["color is not measured: RuntimeError: no such walk"]
    assert result.tables()[-1] == ("not measured", [{"factor": "color", "why": "RuntimeError: no such walk"}])


def test_where_nothing_can_be_measured_the_error_is_raised(files, tmp_path):
    with pytest.raises(DataError, match="finite numbers"):
        respond(files.of_classes, (), tmp_path / "out", n=50, walk_sigma=1e38, **QUICK)
    assert not (tmp_path / "out").exists()


def test_few_images_are_measured_and_say_so(heard, files, tmp_path):
    result = respond(files.of_classes, ["color"], tmp_path / "out", n=1, report=heard, **QUICK)
    assert "1 images" in heard.warnings[0]
    assert result.factors[0].overall["flip_rate"].verdict == "too few images"


def test_bad_input(files, tmp_path):
    out = tmp_path / "out"
    for given, words in (
        ({"factors": ["shape"]}, "no factor 'shape'"),
        ({"gamma": 0}, "gamma"),
        ({"steps": 1}, "at least 2 steps"),
        ({"controls": 0}, "at least 1"),
        ({"center": "moon"}, "origin, input"),
        ({"out": tmp_path / "x.csv"}, "name a folder"),
        ({"out": tmp_path / "x.json", "raw": True}, "must be a folder"),
    ):
        with pytest.raises(UsageError, match=words):
            respond(files.of_classes, **{"out": out, "n": 50, **given})
    with pytest.raises(UsageError, match="draws images"):
        respond(files.of_images, out=out, n=50, raw=True)
    with pytest.raises(UsageError, match="without a backbone"):
        respond(files.of_latents, out=out)
    assert not out.exists()
