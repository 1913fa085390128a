"""A whole audit of small networks: every figure is named, what is missing has a reason, nothing stops it."""

import json

import pytest

from iin_cli.commands.read import audit as recipe
from iin_cli.errors import UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.reading import ChosenData
from iin_cli.io import checkpoint
from iin_cli.measures.audit import auditing
from iin_cli.metrics.bootstrap import Resampling
from iin_cli.registry import find

pytestmark = pytest.mark.usefixtures("cache")

# Nobody looks at these intervals.
QUICK = Resampling(20, 5)


def audit(translator, data=None, split="test", n=None, seed=0, **given):
    return recipe.audit(translator, DataChoice(data, None, split, n, seed), resampling=QUICK, **given)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    """A classifier of ten digits, untrained, that sees images at twice the size."""
    config = {"image_size": 64, "base_channels": 4, "latent_dim": 8, "classes": list("0123456789")}
    module = find("backbones", "classifier").factory.from_config(config)
    file = tmp_path_factory.mktemp("oracle") / "oracle.safetensors"
    data = {"name": "digits", "root": None, "fingerprint": "0"}
    checkpoint.save(
        file, module.state_dict(), {"kind": "backbone", "name": "classifier", "config": config, "data": data}
    )
    return file


def test_an_autoencoder_of_colours(files, tmp_path, heard):
    result = audit(files.of_images, data="colordigits", n=120, seed=0, out=tmp_path / "out", report=heard)
    assert any(note.startswith("120 of 5,744 images in test, drawn by seed 0") for note in heard.notes)
    assert (result.n, result.complete, result.failed) == (120, True, ())
    known = recipe.metric_names(files.of_images)
    assert set(result.figures) <= set(known)
    missing = set(known) - set(result.figures)
    assert all(any(name == part or name.startswith(f"{part}.") for part in result.skipped) for name in missing), missing
    assert {"transfer.color", "preservation.color.residual", "leakage.digit", "correlation.color.color"} <= set(
        result.figures
    )
    assert "--oracle" in result.skipped["transfer.digit"]
    written = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert written == json.loads(json.dumps(result.as_dict()))
    assert set(written["figures"]["leakage.color"]) == {"value", "low", "high", "items", "null"}
    assert (tmp_path / "out" / "audit.png").read_bytes()[:4] == b"\x89PNG"
    titles = [title for title, _ in result.tables()]
    assert titles[:2] == ["the network on these images", "is each factor usable, and what for?"]
    assert "reconstruction_error" in written["performance"]
    assert titles[2].startswith("correlation of pairs")
    assert result.training == 1000
    assert [each.factor for each in result.verdicts] == ["digit", "color", "residual"]
    assert written["verdicts"][0]["reasons"]
    assert titles[-1] == "not measured"


def test_an_oracle_judges_the_images_of_swaps(files, oracle, tmp_path):
    result = audit(files.of_images, data="digits", n=40, seed=0, oracles=[oracle], out=tmp_path / "out")
    untrained = result.figures.get("reconstruction.digit")
    # One that never names a true class leaves nothing to divide by, which is said.
    assert untrained is not None or "reconstruction" in result.skipped
    assert "transfer.digit" not in result.skipped


def test_a_folder_without_labels_keeps_what_needs_none(files, pictures, tmp_path):
    result = audit(
        files.of_classes, data=str(pictures), split="all", n=40, seed=0, out=tmp_path / "out", fail_if=["mig.digit<0"]
    )
    assert {"round_trip_error", "no_op_agreement", "gaussianity.digit", "correlation.color.color"} <= set(
        result.figures
    )
    assert "no label 'digit'" in result.skipped["correlation.digit"] or "digit" in result.skipped["correlation.digit"]
    (line,) = result.failed
    assert line.startswith("mig.digit<0: mig.digit was not measured: ")
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["failed"] == [line]


def test_equal_seeds_give_equal_figures(files, tmp_path):
    first, second = (
        audit(files.of_classes, data="digits", n=30, seed=4, out=tmp_path / name).figures for name in ("a", "b")
    )
    assert first == second


def test_a_part_that_breaks_says_why_and_stops_no_other(files, tmp_path, monkeypatch):
    def broken(material, findings, task):
        raise ArithmeticError("it does\nnot add up")

    monkeypatch.setattr(auditing, "likelihood", broken)
    result = audit(files.of_images, data="digits", n=20, seed=0, out=tmp_path / "out")
    assert result.skipped["heldout_nll"] == "ArithmeticError: it does not add up"
    assert {"round_trip_error", "gaussianity.color"} <= set(result.figures)


def test_a_stopped_audit_leaves_what_it_had(files, tmp_path, monkeypatch):
    def stopped(material, findings, task):
        raise KeyboardInterrupt

    monkeypatch.setattr(auditing, "normality", stopped)
    with pytest.raises(KeyboardInterrupt):
        audit(files.of_images, data="digits", n=20, seed=0, out=tmp_path / "out")
    written = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert not written["complete"]
    assert "round_trip_error" in written["figures"]


def test_bad_wishes_are_refused_before_the_work(files, tmp_path, monkeypatch):
    monkeypatch.setattr(ChosenData, "read", None)
    for wishes, words in (
        ({"fail_if": ["leakage.colr>1"]}, "did you mean leakage.color"),
        ({"concepts": ["greyscale"]}, "no factor 'greyscale'"),
    ):
        with pytest.raises(UsageError, match=words):
            audit(files.of_images, out=tmp_path / "out", **wishes)


def test_oracles_must_fit(files, tmp_path):
    for oracle, words in ((files.autoencoder, "is no classifier"), (files.classifier, "labels of no concept")):
        with pytest.raises(UsageError, match=words):
            audit(files.of_images, data="digits", n=20, seed=0, oracles=[oracle], out=tmp_path / "out")


def test_an_unknown_split_is_refused(files, tmp_path):
    with pytest.raises(UsageError, match="none"):
        audit(files.of_images, data="digits", split="none", n=20, out=tmp_path / "out")
