"""Scores over all pairs: by hand, by drawn pairs, and under weights and dealings whose effect is known."""

import itertools

import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.translator.all_pairs import AllPairs, whitened
from iin_cli.translator.dims import score


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def grouped(seed=0, groups=6, dim=3):
    """Rows in groups of 2, 3, … rows, with a part in common."""
    ids = torch.repeat_interleave(torch.arange(groups), torch.arange(groups) + 2)
    return noise(len(ids), dim, seed=seed) + noise(groups, dim, seed=seed + 1)[ids], ids


def every_pair(z, groups, copies=None):
    """List pairs of different rows of a group, each first row as often as any; `copies` are of one row, no pair."""
    copies = torch.arange(len(z)) if copies is None else copies
    firsts, seconds, weights = [], [], []
    for a in range(len(z)):
        partners = [b for b in range(len(z)) if groups[b] == groups[a] and copies[b] != copies[a]]
        firsts += [a] * len(partners)
        seconds += partners
        weights += [1 / len(partners) if partners else 0] * len(partners)
    return torch.tensor(firsts), torch.tensor(seconds), torch.tensor(weights, dtype=torch.float64)


@pytest.mark.parametrize("relation", ["share", "differ"])
@pytest.mark.parametrize("estimator", ["variance", "correlation"])
def test_the_score_is_that_of_all_pairs(relation, estimator):
    z, groups = grouped()
    first, second, weights = every_pair(z, groups)
    # Each pair as often as its weight says: 7! is a multiple of every group's size.
    times = (weights * 5040).round().long() // 12
    a, b = z[first.repeat_interleave(times)], z[second.repeat_interleave(times)]
    expected = score(a, b, relation, estimator)
    assert AllPairs(z, groups, torch.arange(len(z)), relation, estimator)() == pytest.approx(expected, abs=1e-5)


def test_how_rows_are_put_into_units_does_not_matter():
    z, groups = grouped()
    scores = [AllPairs(z + 50, groups, units, "share")() for units in (torch.arange(len(z)), groups)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert scores[0] == pytest.approx(AllPairs(z, groups + 7, groups, "share")(), abs=1e-5)


def test_a_row_alone_in_its_group_does_not_count():
    z, groups = grouped()
    more = torch.cat([z, noise(2, 3) * 100]), torch.cat([groups, torch.tensor([90, 91])])
    assert AllPairs(*more, torch.arange(len(more[0])), "share")() == pytest.approx(
        AllPairs(z, groups, torch.arange(len(z)), "share")(), abs=1e-4
    )


def test_a_unit_drawn_again_stands_in_its_group_again_and_makes_no_pair_with_its_copy():
    z, groups = grouped(groups=3)
    drawn = torch.tensor([0, 0, 1, 2, 3, 3, 3, 4, 6, 7, 8])
    first, second, _ = every_pair(z[drawn], groups[drawn], drawn)
    rows, mean = (z - z.mean(0)).double()[drawn], 0.0
    for group in range(3):
        own = groups[drawn][first] == group
        mean += (rows[first[own]] * rows[second[own]]).sum(1).mean() * (groups[drawn] == group).double().mean()
    center = rows.mean(0).square().sum()
    expected = (mean - center) / (rows.square().sum(1).mean() - center)
    units = AllPairs(z, groups, torch.arange(len(z)), "share")
    assert units(torch.bincount(drawn, minlength=len(z))) == pytest.approx(expected.item(), abs=1e-5)


def test_whole_groups_drawn_again_are_groups_of_their_own():
    z, groups = grouped()
    drawn = [0, 0, 3, 5]
    rows = [torch.nonzero(groups == group).flatten() for group in drawn]
    numbers = torch.repeat_interleave(torch.arange(4), torch.tensor([len(part) for part in rows]))
    again = AllPairs(z[torch.cat(rows)], numbers, numbers, "share")()
    weights = torch.bincount(torch.tensor(drawn), minlength=6)
    assert AllPairs(z, groups, groups, "share")(weights) == pytest.approx(again, abs=1e-5)


def test_of_items_dealt_anew_the_score_is_nearly_nothing():
    """Over all dealings the mean is −1/(M − 1): the partner is any other item."""
    z = noise(5, 2)
    pairs = AllPairs(z, torch.tensor([0, 0, 1, 1, 1]), torch.arange(5), "share")
    dealt = [pairs(group_of=torch.tensor(order)) for order in set(itertools.permutations([0, 0, 1, 1, 1]))]
    assert sum(dealt) / len(dealt) == pytest.approx(-1 / 4, abs=1e-6)
    assert pairs.dealt(torch.Generator().manual_seed(0)) in dealt


def test_what_makes_no_pair_or_does_not_vary():
    with pytest.raises(DataError, match="no group has two rows"):
        AllPairs(noise(3, 2), torch.arange(3), torch.arange(3), "share")
    groups = torch.tensor([0, 0, 1, 1])
    assert AllPairs(torch.ones(4, 2), groups, torch.arange(4), "share")() != pytest.approx(0)
    pairs = AllPairs(noise(4, 2), groups, torch.arange(4), "share")
    assert str(pairs(torch.tensor([4, 0, 0, 0]))) == "nan"


@pytest.mark.parametrize("shape", [(2000, 5), (300, 400)])
def test_whitened_latents_have_variance_one_in_every_direction(shape):
    z = noise(*shape) * torch.logspace(0, -2, shape[1]) + 7
    white = whitened(z)
    assert white.shape == (shape[0], min(shape[1], shape[0] // 10))
    torch.testing.assert_close(white.T @ white / len(z), torch.eye(white.shape[1]), atol=1e-4, rtol=0)
    assert white.mean(0).abs().max() < 1e-4
    # The same directions, whichever matrix they come from.
    first = (z - z.mean(0)) @ torch.linalg.svd(z - z.mean(0), full_matrices=False)[2][0]
    assert torch.corrcoef(torch.stack((first, white[:, -1])))[0, 1].abs() == pytest.approx(1, abs=1e-3)


def test_dead_directions_stay_out():
    assert whitened(torch.cat([noise(500, 3), torch.zeros(500, 4)], 1)).shape == (500, 3)
