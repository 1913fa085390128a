"""`iin demo` as a new user runs it, cut short."""

import json


def test_the_demo_from_the_shell(run_cli, tmp_path):
    code, out, err = run_cli(
        "demo", "--out", tmp_path / "d", "--backbone-seconds", 2, "--translator-seconds", 2, "--json"
    )
    assert code == 0, err
    result = json.loads(out)
    assert {"seconds", "swap", "reconstruction_accuracy", "out"} <= result.keys()
    assert result["swap"].keys() == {"digit", "color"}
    assert all(scores.keys() == {"transfer", "kept"} for scores in result["swap"].values())
    assert "swap-digit.png" in err
