"""`iin demo` as a new user runs it, cut short."""

import json


def test_the_demo_from_the_shell(run_cli, tmp_path):
    code, out, err = run_cli(
        "demo", "--out", tmp_path / "d", "--backbone-seconds", 2, "--translator-seconds", 2, "--format", "svg", "--json"
    )
    assert code == 0, err
    result = json.loads(out)
    assert {"seconds", "swap", "reconstruction_accuracy", "out"} <= result.keys()
    assert result["swap"].keys() == {"digit", "color"}
    assert all(scores.keys() == {"transfer", "kept"} for scores in result["swap"].values())
    assert all(0 <= value <= 1 for scores in result["swap"].values() for value in scores.values())
    assert sum(result["factors"].values()) == 64
    assert {"swap-digit.svg", "swap-color.svg", "walk-linear.svg", "samples.svg"} <= set(result["figures"])
    assert all("<svg" in (tmp_path / "d" / figure).read_text(encoding="utf-8") for figure in result["figures"])
    assert json.loads((tmp_path / "d" / "demo.json").read_text())["swap"] == result["swap"]
    assert (tmp_path / "d" / "backbone" / "backbone.safetensors").is_file()
    assert (tmp_path / "d" / "translator" / "translator.safetensors").is_file()
    assert "swap-digit.svg" in err
