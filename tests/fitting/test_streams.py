"""Streams of pairs: deterministic by (seed, step, number), weighted by concept (Eq 10), held-out apart."""

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.fitting.streams import FixedPairs, FreshPairs, MaskedPairs, SingleRows
from iin_cli.latents.cache import Latents
from iin_cli.latents.pairs import PairSampler
from iin_cli.latents.table import ConceptPairs, LatentTable
from iin_cli.translator.factors import Factors

FACTORS = Factors.of({"digit": 1, "color": 1, "residual": 2}, {"digit": 0.5, "color": 0.8})
ROWS = np.arange(40)
OUT = ROWS >= 30


def table(spread=0.0):
    mean = np.repeat(ROWS[:, None], 4, 1).astype(np.float32)
    return LatentTable([Latents(mean, np.full_like(mean, np.log(spread**2)) if spread else None)])


def concept(name, groups, out=True):
    fit = PairSampler.of(ROWS[~OUT], groups[~OUT], name)
    return ConceptPairs(name, "share", fit, PairSampler.of(ROWS[OUT], groups[OUT], name) if out else None)


def fresh(batch=7, seed=0, spread=0.0, out=(True, True)):
    pairs = [concept("digit", ROWS % 2, out[0]), concept("color", ROWS % 3, out[1])]
    return FreshPairs(table(spread), pairs, FACTORS, batch, seed, 50)


def test_a_batch_holds_every_concept_with_equal_weight():
    stream = fresh()
    batch = stream.batch(0)
    assert stream.rows_per_step == 14
    assert batch.z_a.shape == batch.z_b.shape == batch.rho.shape == (7, 4)
    np.testing.assert_allclose(batch.weight, [0.125] * 4 + [1 / 6] * 3)
    np.testing.assert_allclose(batch.rho[[0, 4]], [[0.5, 0, 0, 0], [0, 0.8, 0, 0]])
    a, b = batch.z_a[:, 0].numpy().astype(int), batch.z_b[:, 0].numpy().astype(int)
    assert (a[:4] % 2 == b[:4] % 2).all()
    assert (a[4:] % 3 == b[4:] % 3).all()
    assert (a != b).all()
    assert max(a.max(), b.max()) < 30


def test_the_batch_of_a_step_needs_no_steps_before():
    late = fresh().batch(11)
    stream = fresh()
    for step in range(11):
        stream.batch(step)
    assert torch.equal(stream.batch(11).z_a, late.z_a)
    assert not torch.equal(stream.batch(12).z_a, late.z_a)
    assert not torch.equal(fresh(seed=1).batch(11).z_a, late.z_a)


def test_a_pair_and_its_noise_do_not_depend_on_the_batch():
    few, many = fresh(6, spread=1.0).batch(2), fresh(40, spread=1.0).batch(2)
    for name in ("z_a", "z_b"):
        assert torch.equal(getattr(few, name)[:3], getattr(many, name)[:3])
        assert torch.equal(getattr(few, name)[3:], getattr(many, name)[20:23])


def test_the_posterior_is_sampled_at_every_step():
    stream = fresh(2000, spread=0.1)
    z = torch.cat((stream.batch(0).z_a, stream.batch(0).z_b))
    noise = z - z.round()
    assert noise.std().item() == pytest.approx(0.1, rel=0.05)
    assert not torch.equal(fresh(4, spread=0.1).batch(1).z_a, fresh(4).batch(1).z_a)


def test_held_out_pairs_are_of_held_out_items():
    stream = fresh(out=(True, False))
    held = stream.held_out()
    assert list(held) == ["digit"]
    assert held["digit"].z_a.shape == (50, 4)
    assert held["digit"].z_a.min() >= 30
    assert held["digit"].weight.sum().item() == pytest.approx(1)
    assert torch.equal(held["digit"].z_b, fresh().held_out()["digit"].z_b)
    with pytest.raises(DataError, match="no two held-out images"):
        fresh(out=(False, False))


def test_latents_to_initialise_with_are_fitted_ones():
    for stream in (fresh(), SingleRows(table(), OUT, 8, 0, 50)):
        z = stream.initial(25)
        assert z.shape == (25, 4)
        assert z.max() < 30


def test_single_rows():
    stream = SingleRows(table(), OUT, 8, 0, 5)
    batch = stream.batch(3)
    assert batch.z_b is None
    assert batch.z_a.shape == (8, 4)
    assert batch.z_a.max() < 30
    assert torch.equal(batch.z_a, SingleRows(table(), OUT, 8, 0, 5).batch(3).z_a)
    held = stream.held_out()["residual"].z_a[:, 0]
    assert len(held.unique()) == 5
    assert held.min() >= 30
    with pytest.raises(DataError, match="too few"):
        SingleRows(table(), np.ones(40, bool), 8, 0, 5)


def fixed(mask, batch=12, held_out=OUT, fit=None):
    z = np.repeat(np.arange(40, dtype=np.float32)[:, None], 4, axis=1)
    pairs = MaskedPairs(z, z + 0.5, torch.tensor(mask, dtype=torch.int8), ~held_out if fit is None else fit, held_out)
    return FixedPairs(pairs, FACTORS, batch, 0, 50)


def test_fixed_pairs_are_balanced_over_what_they_share():
    # 4 in 5 pairs share the digit; one in five shares the colour.
    mask = [[0, 1, 0] if row % 5 == 0 else [1, 0, 0] for row in range(40)]
    stream = fixed(mask)
    batch = stream.batch(0)
    assert stream.rows_per_step == 24
    rows = batch.z_a[:, 0].long()
    of_color = rows % 5 == 0
    assert of_color.sum() == 6
    assert batch.weight[of_color].sum().item() == pytest.approx(0.5)
    np.testing.assert_allclose(batch.rho[of_color], [[0, 0.8, 0, 0]] * 6)
    assert rows.max() < 30
    assert torch.equal(batch.z_b, batch.z_a + 0.5)
    held = stream.held_out()
    assert {name: sorted(part.z_a[:, 0].tolist()) for name, part in held.items()} == {
        "color": [30, 35],
        "digit": [31, 32, 33, 34, 36, 37, 38, 39],
    }


def test_fixed_pairs_that_share_several_factors_or_none():
    patterns = [[1, 1, 0], [0, 0, 0], [1, 0, 1]]
    stream = fixed([patterns[row % 3] for row in range(40)])
    assert set(stream.held_out()) == {"digit+color", "none", "digit+residual"}
    assert stream.initial(15).shape == (15, 4)
    np.testing.assert_allclose(stream.held_out()["digit+residual"].rho[0], [0.5, 0, 0.9, 0.9])


def test_too_few_fixed_pairs():
    mask = [[1, 0, 0]] * 40
    with pytest.raises(DataError, match="too few"):
        fixed(mask, held_out=np.ones(40, bool))
    with pytest.raises(DataError, match="too few"):
        fixed(mask, held_out=np.zeros(40, bool))


def test_pairs_of_which_something_is_not_known_are_one_stratum():
    mask = [[1, 0, 0] if row % 4 == 0 else [-1, 0, 0] if row % 4 == 1 else [-1, -1, 0] for row in range(40)]
    stream = fixed(mask)
    assert stream.masks == {"unknown": (-1, -1, -1), "digit": (1, 0, 0)}
    batch = stream.batch(0)
    rows = batch.z_a[:, 0].long()
    assert (rows % 4 == 0).sum() == 6
    # 10 of 10 known share the digit, none of 20 the colour; both with one more of each kind.
    wanted = {0: [1, 0, 0], 1: [11 / 12, 0, 0], 2: [11 / 12, 1 / 22, 0], 3: [11 / 12, 1 / 22, 0]}
    np.testing.assert_allclose(batch.prior, [wanted[int(row % 4)] for row in rows], rtol=1e-6)
    assert fixed([[1, 0, 0]] * 40).batch(0).prior is None
    assert len(batch.rows(slice(0, 3)).prior) == 3
