"""Walks of factors and of their controls: who moves, how far, and that blocks change nothing."""

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.measures.responses import walks as module
from iin_cli.measures.responses.walks import WalkSettings, basis_of_control, measure_walks, read_starts
from iin_cli.progress import Silent


class Counted:
    def __init__(self):
        self.done = []

    def advance(self, amount=1, **metrics):
        self.done.append(amount)


@pytest.fixture(scope="module")
def reading(files):
    return open_reading(files.of_classes, data=None, data_root=None, n=60, seed=1, report=Silent())


def walked(reading, name, basis=None, **settings):
    return module._walk(reading, slice(0, 60), name, basis, WalkSettings(**settings))


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
    starts, settings = read_starts(reading), WalkSettings(steps=5, walks=2)
    basis = basis_of_control(reading.opened.factors, "digit", 0, 0)
    whole = measure_walks(reading, starts, "digit", basis, settings, Counted())
    monkeypatch.setattr(module, "BLOCK_POINTS", 60)
    task = Counted()
    cut = measure_walks(reading, starts, "digit", basis, settings, task)
    assert task.done == [7 * 8] * 8 + [4 * 8]
    for key, values in whole.columns.items():
        np.testing.assert_allclose(cut.columns[key], values, atol=1e-5)
    np.testing.assert_allclose(cut.samples, whole.samples, atol=1e-4)
    assert whole.samples.shape == whole.change.shape == (60 * 8, 5)


def test_few_points_are_kept_of_many_and_every_step_is_among_them(reading, monkeypatch):
    monkeypatch.setattr(module, "MOST_SAMPLES", 60)
    found = measure_walks(reading, read_starts(reading), "digit", None, WalkSettings(steps=7), Counted())
    assert 40 <= len(found.samples) <= 60
    kept = module._kept(0, 60, (60, 6, 5), 6)
    assert set(kept % 6) == set(range(6))


def test_the_start_of_a_walk_answers_as_the_image_does(reading):
    starts = read_starts(reading)
    with torch.inference_mode():
        direct = reading.opened.backbone.decode(reading.z).log_softmax(1)
    torch.testing.assert_close(starts.answer, direct, atol=1e-4, rtol=1e-4)


def test_features_that_are_never_negative(reading):
    from dataclasses import replace

    assert not read_starts(reading).never_negative.all()
    positive = replace(reading, z=reading.z.abs())
    starts = read_starts(positive)
    assert starts.never_negative.all()
    found = measure_walks(positive, starts, "digit", None, WalkSettings(steps=4), Counted())
    assert 0 < found.columns["violation_rate"].mean() < 1
    # Few images may all be positive by chance, unless it is every feature.
    some = reading.z.clone()
    some[:, 0] = some[:, 0].abs()
    few = {"items": reading.items[:10], "z_tilde": reading.z_tilde[:10]}
    assert not read_starts(replace(reading, z=some[:10], **few)).never_negative.any()
    assert read_starts(replace(reading, z=some[:10].abs(), **few)).never_negative.all()


def test_a_walk_that_leaves_the_numbers_is_told(reading):
    with pytest.raises(DataError, match="smaller --walk-sigma"):
        measure_walks(reading, read_starts(reading), "digit", None, WalkSettings(steps=4, sigma=1e38), Counted())
