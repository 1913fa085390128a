import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.metrics import precision_recall as module
from iin_cli.metrics.precision_recall import Manifold, density_coverage, precision_recall


def draw(rows, dim, seed, shift=0.0):
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)) + shift


def measure(real, generated, k=3):
    return precision_recall(Manifold(real, k), Manifold(generated, k))


def test_identical_sets_cover_each_other():
    real = draw(200, 16, 0)
    assert measure(real, real.clone()) == (1.0, 1.0)
    assert measure(real + 1000, (real + 1000).flip(0)) == (1.0, 1.0)
    # Of equal images all balls are points, and yet the set is inside itself.
    constant = draw(1, 16, 1).expand(50, 16) * 1000
    assert measure(constant, constant.clone()) == (1.0, 1.0)


def test_disjoint_sets_cover_nothing_of_each_other():
    assert measure(draw(100, 8, 0), draw(120, 8, 1, shift=50.0)) == (0.0, 0.0)


def test_a_subset_is_precise_and_forgets_the_rest():
    near, far = draw(100, 8, 0), draw(300, 8, 1, shift=50.0)
    assert measure(torch.cat((near, far)), near) == (1.0, 0.25)
    assert measure(near, torch.cat((near, far))) == (0.25, 1.0)


def test_balls_reach_to_the_kth_nearest_other():
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert Manifold(line, k=1).radii.tolist() == [1, 1, 2, 4]
    assert Manifold(line, k=2).radii.tolist() == [3, 2, 3, 6]
    # Inside: −1, 5 and 10.9.
    points = torch.tensor([[-1.0], [-1.01], [5.0], [10.9], [11.1]])
    assert measure(line, points, k=1)[0] == 0.6


def test_it_is_the_definition_whatever_the_blocks(monkeypatch):
    real, generated = draw(90, 5, 2), draw(70, 5, 3)
    reach = [torch.cdist(rows.double(), rows.double()).sort(1).values[:, 3] for rows in (real, generated)]
    across = torch.cdist(generated.double(), real.double())
    precision = (across <= reach[0]).any(1).double().mean()
    recall = (across <= reach[1][:, None]).any(0).double().mean()
    assert 0 < precision < 1
    assert 0 < recall < 1
    for block in (1, 2, 16, 89, 1024):
        monkeypatch.setattr(module, "BLOCK_ROWS", block)
        assert measure(real, generated) == pytest.approx((float(precision), float(recall)), rel=1e-12)
        assert torch.allclose(Manifold(real).radii, reach[0], rtol=1e-9)


def test_close_features_far_from_the_origin_keep_their_distances():
    real = draw(60, 4, 4).double()
    assert torch.allclose(Manifold(real + 1e6).radii, Manifold(real).radii, rtol=1e-6)


def test_progress_counts_every_row():
    told = []
    balls, others = Manifold(draw(50, 3, 5), advance=told.append), Manifold(draw(20, 3, 6))
    assert sum(told) == 50
    precision_recall(balls, others, told.append)
    assert sum(told) == 70


def test_too_few_features_are_refused():
    with pytest.raises(DataError, match="more than 3 images, there are 3"):
        Manifold(draw(3, 4, 0))


# ------------------------------------------------------------------------------------------------ density and coverage
def test_density_and_coverage_equal_prdc(monkeypatch):
    reference = pytest.importorskip("prdc")
    monkeypatch.setattr(module, "BLOCK_ROWS", 33)
    generator = torch.Generator().manual_seed(0)
    real, drawn = torch.randn(120, 8, generator=generator), torch.randn(90, 8, generator=generator) * 1.2
    theirs = reference.compute_prdc(real.numpy(), drawn.numpy(), nearest_k=5)
    ours = density_coverage(Manifold(real, 5), drawn)
    assert (ours.density, ours.coverage) == pytest.approx((theirs["density"], theirs["coverage"]), abs=1e-6)
    assert 0 < ours.coverage < 1


def test_a_set_covers_itself_at_density_one():
    real = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    # Every ball holds its own centre and the four neighbours before the fifth, which is on its edge.
    found = density_coverage(Manifold(real, 5), real)
    assert (found.density, found.coverage) == (1.0, 1.0)


def test_density_counts_balls_and_coverage_those_that_are_hit():
    real = torch.tensor([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])[:, None]
    found = density_coverage(Manifold(real, 1), torch.tensor([[0.5], [0.5], [50.0]]))
    # 0.5 is in the balls around 0 and around 1.
    assert found.dense.tolist() == [2.0, 2.0, 0.0]
    assert found.covered.tolist() == [True, True, False, False, False, False]
