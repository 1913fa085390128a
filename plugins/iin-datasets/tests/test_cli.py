"""Every command that reads images reads those of a table and of shards, as a process of its own."""

import json

import pytest


@pytest.mark.slow
def test_from_shards_to_a_swap(run_cli, write_tar, library, parquet, digits, tmp_path):
    images, values, _ = digits
    # Two classes, so that few images make pairs.
    parity = [value % 2 for value in values]
    members = [(f"{i}.png", image) for i, image in enumerate(images)]
    write_tar(tmp_path / "digits-0.tar", [*members, *((f"{i}.cls", b"%d" % side) for i, side in enumerate(parity))])
    shards, table = "tar:digits-{0..0}.tar", parquet(image=images, label=parity)
    words = ("-b", "autoencoder", "-d", shards, "--steps", 2, "--latent-dim", 8)
    code, out, err = run_cli("train-backbone", *words, "--seed", 1, "-o", "ae", "--json")
    assert code == 0, err
    words = ("-b", "ae", "--concept", "class", "--steps", 2, "--dims", "class=2")
    code, out, err = run_cli("fit-translator", *words, "--seed", 1, "-o", "t", "--json")
    assert code == 0, err
    assert json.loads((tmp_path / "t" / "plan.json").read_text())["data"] is not None
    code, out, err = run_cli("swap", "-t", "t", "-f", "class", "--n", 2, "--seed", 1, "-o", "grid.png", "--json")
    assert code == 0, err
    assert (tmp_path / "grid.png").stat().st_size > 100
    code, out, err = run_cli("fid", shards, table, "--features", "ae", "--split", "all", "--json")
    assert code == 0, err
    # The same images, in another order.
    assert json.loads(out)["value"] == pytest.approx(0, abs=1e-3)


@pytest.mark.slow
def test_a_set_that_is_not_there_is_one_line(run_cli):
    left, out, err = run_cli("train-backbone", "-b", "autoencoder", "-d", "hf:owner/name", "-q")
    assert (left, out) == (3, "")
    assert err.startswith("iin: ")
    assert len(err.splitlines()) == 1
