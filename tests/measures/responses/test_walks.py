"""Walks of factors and of their controls: who moves, how far, and that blocks change nothing."""

import numpy as np
import pytest
import torch

from iin_cli.editing.random_subspaces import basis_of_control
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData
from iin_cli.measures.responses import walks as module
from iin_cli.measures.responses.walks import WalkDesign, Walker, read_starts
from iin_cli.progress import Silent
from iin_cli.translator.edit import OUWalk


class Counted:
    def __init__(self):
        self.done = []

    def advance(self, amount=1, **metrics):
        self.done.append(amount)


@pytest.fixture(scope="module")
def reading(files):
    return ChosenData(open_translator(files.of_classes), DataChoice(seed=1), Silent()).read(60)


def walker(reading, walks=1, **walk):
    return Walker(reading, WalkDesign(OUWalk(**walk), walks, answered=100))


def walked(reading, name, basis=None, **walk):
    return walker(reading, **walk).walk(slice(0, 60), name, basis)


def test_a_factor_moves_alone(reading):
    moved = walked(reading, "color", steps=6) - reading.z_tilde[:, None]
    where = reading.opened.factors.slice("color")
    assert moved[..., where].abs().min() > 0
    rest = torch.cat((moved[..., : where.start], moved[..., where.stop :]), 2)
    assert not rest.any()


def test_a_control_moves_in_its_subspace_alone_and_is_stationary_there(reading):
    factors = reading.opened.factors
    basis = basis_of_control(factors, "digit", 0, seed=3)
    assert basis.shape == (factors.dims["digit"], factors.dim)
    moved = walked(reading, "digit", basis, steps=6) - reading.z_tilde[:, None]
    torch.testing.assert_close(moved @ basis.T @ basis, moved, atol=1e-5, rtol=0)
    assert moved.abs().max() > 0.5
    # After many steps its coordinates are N(0, 1) whatever the start was.
    late = (walked(reading, "digit", basis, steps=80, gamma=0.5) @ basis.T)[:, 20:]
    assert late.mean().item() == pytest.approx(0, abs=0.05)
    assert late.std().item() == pytest.approx(1, abs=0.05)


def test_controls_differ_and_depend_on_their_factor_alone(reading):
    factors = reading.opened.factors
    assert torch.equal(basis_of_control(factors, "digit", 1, 3), basis_of_control(factors, "digit", 1, 3))
    bases = [basis_of_control(factors, "digit", number, seed) for number, seed in ((0, 3), (1, 3), (0, 4))]
    assert not torch.allclose(bases[0], bases[1])
    assert not torch.allclose(bases[0], bases[2])


def test_blocks_change_nothing_and_tell_progress(reading, monkeypatch):
    own = walker(reading, walks=2, steps=5)
    whole = own.measure("digit", 0, Counted())
    monkeypatch.setattr(module, "BLOCK_POINTS", 60)
    task = Counted()
    cut = own.measure("digit", 0, task)
    assert task.done == [7 * 8] * 8 + [4 * 8]
    for key, values in whole.columns.items():
        np.testing.assert_allclose(cut.columns[key], values, atol=1e-5)
    np.testing.assert_allclose(cut.samples, whole.samples, atol=1e-4)
    assert whole.samples.shape == whole.difference.shape == (60 * 8, 5)


def test_few_points_are_kept_of_many_and_every_step_is_among_them(reading, monkeypatch):
    monkeypatch.setattr(module, "MOST_SAMPLES", 60)
    found = walker(reading, steps=7).measure("digit", None, Counted())
    assert 40 <= len(found.samples) <= 60
    kept = module._kept(0, 60, (60, 6, 5), 6)
    assert set(kept % 6) == set(range(6))


def test_the_start_of_a_walk_answers_as_the_image_does(reading):
    starts = read_starts(reading)
    with torch.inference_mode():
        direct = reading.network.backbone.decode(reading.z).log_softmax(1)
    torch.testing.assert_close(starts.answer, direct, atol=1e-4, rtol=1e-4)


def test_features_that_are_never_negative(reading):
    from dataclasses import replace

    assert not read_starts(reading).never_negative.all()
    positive = replace(reading, z=reading.z.abs())
    starts = read_starts(positive)
    assert starts.never_negative.all()
    found = walker(positive, steps=4).measure("digit", None, Counted())
    assert 0 < found.columns["violation_rate"].mean() < 1
    # Few images may all be positive by chance, unless it is every feature.
    some = reading.z.clone()
    some[:, 0] = some[:, 0].abs()
    few = {"items": reading.items[:10], "z_tilde": reading.z_tilde[:10]}
    assert not read_starts(replace(reading, z=some[:10], **few)).never_negative.any()
    assert read_starts(replace(reading, z=some[:10].abs(), **few)).never_negative.all()


def test_a_walk_that_leaves_the_numbers_is_told(reading):
    with pytest.raises(DataError, match="smaller --walk-sigma"):
        walker(reading, steps=4, sigma=1e38).measure("digit", None, Counted())


def test_a_design_without_walks_or_controls_is_refused():
    for given in ({"walks": 0}, {"controls": 0}):
        with pytest.raises(UsageError, match="at least 1"):
            WalkDesign(**given)
