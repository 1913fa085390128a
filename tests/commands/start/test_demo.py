"""The demo, cut short: every part runs, and says what it made."""

import json

import pytest

from iin_cli.commands.start.demo import demo


@pytest.mark.slow
def test_the_demo_makes_its_figures_and_scores(tmp_path, monkeypatch):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "demo"
    result = demo(out, seed=1, backbone_seconds=4, translator_seconds=4)
    assert result.factors.keys() == {"digit", "color", "residual"}
    assert sum(result.factors.values()) == 64
    assert set(result.swap) == {"digit", "color"}
    assert all(0 <= value <= 1 for scores in result.swap.values() for value in scores.values())
    assert 0 <= result.reconstruction_accuracy <= 1
    assert all((out / figure).stat().st_size > 1000 for figure in result.figures)
    assert {"swap-digit.png", "swap-color.png", "walk-linear.png", "samples.png"} <= set(result.figures)
    assert json.loads((out / "demo.json").read_text())["swap"] == result.swap
    assert (out / "backbone" / "backbone.safetensors").is_file()
    assert (out / "translator" / "translator.safetensors").is_file()
