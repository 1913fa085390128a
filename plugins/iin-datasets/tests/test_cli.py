"""Every command that reads images reads those of a table and of shards, one of them as a process of its own."""

import json
import sys

import pytest
from iin_cli.cli import main


@pytest.fixture
def command_line(monkeypatch, capsys, tmp_path):
    """Run a command in this process; returns its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["iin", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def result_of(command_line):
    """Run a command in this process; returns what it printed as JSON."""

    def run(*arguments):
        code, out, err = command_line(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return run


@pytest.mark.slow
def test_from_shards_to_a_swap(run_cli, result_of, write_tar, library, parquet, digits, tmp_path):
    images, values, _ = digits
    # Two classes, so that few images make pairs.
    parity = [value % 2 for value in values]
    members = [(f"{i}.png", image) for i, image in enumerate(images)]
    write_tar(tmp_path / "digits-0.tar", [*members, *((f"{i}.cls", b"%d" % side) for i, side in enumerate(parity))])
    shards, table = "tar:digits-{0..0}.tar", parquet(image=images, label=parity)
    words = ("-b", "classifier", "-d", shards, "--steps", 2, "--latent-dim", 8)
    code, _, err = run_cli("train-backbone", *words, "--seed", 1, "-o", "net", "--json")
    assert code == 0, err
    # A checkpoint names its shards from wherever it is opened.
    words = ("-b", "net", "--concept", "class", "--steps", 2, "--dims", "class=2", "--seed", 1)
    result_of("fit-translator", *words, "-o", "t")
    assert result_of("info", "t")["data"]["name"] == f"tar:{tmp_path}/digits-{{0..0}}.tar"
    assert result_of("swap", "-t", "t", "-f", "class", "--n", 2, "--seed", 1)["count"] == 2
    assert result_of("estimate-dims", "-b", "net", "-d", table, "--concept", "class", "--seed", 1)["latent_dim"] == 8
    # The same images, in another order.
    compared = result_of("fid", shards, table, "--features", "net", "--split", "all")
    assert compared["value"] == pytest.approx(0, abs=1e-3)


def test_a_set_that_is_not_there_is_one_line(command_line):
    code, out, err = command_line("train-backbone", "-b", "autoencoder", "-d", "tar:no-{0..9}.tar", "-q")
    assert (code, out) == (3, "")
    assert err == (
        "iin: 10 of 10 shards are missing, such as no-0.tar: fetch what is missing, or name those that are there\n"
    )
