"""Concepts added to a fitted translator: what it had stays to the last bit."""

import json

import numpy as np
import pytest
import torch

import iin_cli as iin
from iin_cli.errors import CheckpointError, DataError, UsageError
from iin_cli.interpretation.opening import open_translator
from iin_cli.io import checkpoint


@pytest.fixture(scope="module")
def latents():
    """z (900, 8) of a side (2), a level (3) and a tone (4), a rendering of them in which the tone differs, labels."""
    generator = np.random.default_rng(0)
    labels = {name: generator.integers(0, count, 900) for name, count in (("side", 2), ("level", 3))}
    noise, tone = generator.normal(size=(900, 8)) * 0.5, generator.normal(size=(2, 900))
    mixing = np.linalg.qr(generator.normal(size=(8, 8)))[0]

    def z(tone):
        rows = noise.copy()
        rows[:, 0] += 3 * labels["side"]
        rows[:, 1] += 2 * labels["level"]
        rows[:, 2] += 2 * tone
        return np.tanh(rows / 4) @ mixing

    return z(tone[0]), z(tone[1]), labels


@pytest.fixture(scope="module", params=["linear", "flow"])
def old(request, latents):
    z, _, labels = latents
    size = {} if request.param == "linear" else {"steps": 20, "blocks": 2, "hidden": 16}
    return iin.fit(iin.Pairs(z).share("side", labels["side"]), method=request.param, seed=0, **size)


@pytest.mark.parametrize("size", [{"method": "linear"}, {"steps": 20, "blocks": 2, "hidden": 16}])
def test_a_concept_is_added(old, latents, size, tmp_path):
    z, other, labels = latents
    pairs = iin.Pairs(z).share("level", labels["level"]).differ("tone", other)
    new = iin.fit(pairs, start=old, seed=1, **size)
    assert new.factors.names == ("side", "level", "tone", "residual")
    assert new.factors.dims["side"] == old.factors.dims["side"]
    side = old.factors.slice("side")
    assert np.array_equal(new.transform(z)[:, side], old.transform(z)[:, side])
    np.testing.assert_allclose(new.inverse_transform(new.transform(z)), z, atol=1e-4)
    level = new.transform(z)[:, new.factors.slice("level")]
    assert abs(np.corrcoef(level[:, 0], labels["level"])[0, 1]) > 0.9
    # Log-determinants of both parts add up.
    row = torch.from_numpy(z[:1]).float()
    jacobian = torch.autograd.functional.jacobian(lambda x: new.translator(x)[0], row)[0, :, 0]
    assert new.translator(row)[1].item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-3)
    again = iin.load(new.save(tmp_path / "new"))
    assert np.array_equal(again.transform(z), new.transform(z))
    assert again.factors == new.factors
    third = iin.fit(iin.Pairs(z).share("half", labels["level"] > 0), start=again, method="linear", seed=2)
    assert np.array_equal(third.transform(z)[:, : side.stop], old.transform(z)[:, side])
    assert third.factors.names == ("side", "level", "tone", "half", "residual")
    assert np.array_equal(iin.load(third.save(tmp_path / "third")).transform(z), third.transform(z))


def test_what_cannot_be_added(old, latents):
    z, _, labels = latents
    with pytest.raises(UsageError, match="has side already"):
        iin.fit(iin.Pairs(z).share("side", labels["side"]), start=old)
    with pytest.raises(UsageError, match="name one"):
        iin.fit(iin.Pairs(z), start=old)
    with pytest.raises(DataError, match="5 dimensions"):
        iin.fit(iin.Pairs(z[:, :5]).share("level", labels["level"]), start=old)
    dims = {"level": old.factors.dims["residual"] - 1}
    full = iin.fit(iin.Pairs(z).share("level", labels["level"]), start=old, method="linear", dims=dims, seed=0)
    with pytest.raises(UsageError, match="residual of 1 dimension"):
        iin.fit(iin.Pairs(z).share("half", labels["level"] > 0), start=full)


def test_a_damaged_addition_is_refused(old, latents, tmp_path):
    z, _, labels = latents
    file = iin.fit(iin.Pairs(z).share("level", labels["level"]), start=old, method="linear", seed=0).save(tmp_path)
    found = checkpoint.load(file)
    del found.metadata["digest"]
    found.metadata["config"]["added"][0]["dim"] = 60
    checkpoint.save(file, found.tensors, found.metadata)
    with pytest.raises(CheckpointError, match="describes"):
        open_translator(file)


def test_from_the_command_line(files, pictures, command_line, tmp_path):
    common = ["--data", pictures, "--method", "linear", "--seed", "0", "--device", "cpu"]
    code, _, err = command_line("fit-translator", "-b", files.autoencoder, "-c", "class", *common, "--out", "t")
    assert code == 0, err
    code, out, err = command_line("fit-translator", "--from", "t", "-c", "color", *common, "--out", "t2", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert list(found["factors"]) == ["class", "color", "residual"]
    old, new = (open_translator(tmp_path / name) for name in ("t", "t2"))
    z = torch.randn(20, 8)
    own = old.factors.slice("class")
    assert torch.equal(new.transform(z)[:, own], old.transform(z)[:, own])
    assert new.metadata["from"]["sha256"] == checkpoint.digest(tmp_path / "t" / "translator.safetensors")
    for arguments, words in (
        (["--from", "t", "-c", "class"], "has class already"),
        (["--from", "t"], "name one"),
        (["--from", "t", "-c", "color", "--layer", "encoder"], "--layer"),
    ):
        code, out, err = command_line("fit-translator", *arguments, *common, "--out", "t3")
        assert (code, out) == (2, ""), err
        assert words in err.splitlines()[-1]
    drawn = ["--n", "2", "--data", pictures, "--split", "train", "--out", "swap.png"]
    code, out, err = command_line("swap", "-t", "t2", "-f", "color", *drawn)
    assert code == 0, err
