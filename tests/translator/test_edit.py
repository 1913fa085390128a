"""What can be done to a z̃: every edit touches the factors it names and no other."""

import pytest
import torch

from iin_cli.errors import DataError, UsageError
from iin_cli.translator.edit import OUWalk, attribute_axis, attribute_walk, bilinear_grid, linear_walk, redraw, swap
from iin_cli.translator.factors import Factors

FACTORS = Factors.of({"digit": 2, "color": 1, "residual": 3})


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("edit", [swap, redraw])
def test_an_edit_takes_the_named_factors_only(edit):
    target, source = torch.zeros(2, 6), torch.ones(2, 6)
    assert edit(target, source, FACTORS, ["color"]).tolist() == [[0, 0, 1, 0, 0, 0]] * 2
    assert edit(target, source, FACTORS, ["digit", "residual"]).tolist() == [[1, 1, 0, 1, 1, 1]] * 2
    assert target.eq(0).all()
    assert edit(target, source, FACTORS, FACTORS.names).eq(1).all()


def test_an_unknown_factor_is_refused():
    with pytest.raises(UsageError, match="no factor 'hue'"):
        swap(torch.zeros(1, 6), torch.ones(1, 6), FACTORS, ["hue"])


def test_equation_14_is_without_minus_with():
    z = torch.tensor([[1.0, 0.0], [3.0, 2.0], [10.0, 10.0]])
    assert attribute_axis(z, torch.tensor([1, 1, 0])).tolist() == [8.0, 9.0]
    for has in ([1, 1, 1], [0, 0, 0]):
        with pytest.raises(DataError, match="with and without"):
            attribute_axis(z, torch.tensor(has))


def test_strength_1_adds_the_attribute_whole():
    """At strength 1 the mean of the images without it becomes the mean of those with it."""
    z, has = noise(40, 6), torch.arange(40) % 4 == 0
    walk = attribute_walk(z[~has], attribute_axis(z, has), [-1.0, 0.0, 1.0])
    without, having = z[~has].mean(0), z[has].mean(0)
    torch.testing.assert_close(walk[2].mean(0), having)
    torch.testing.assert_close(walk[0].mean(0), 2 * without - having)
    assert torch.equal(walk[1], z[~has])
    with pytest.raises(UsageError, match="at least 2"):
        attribute_walk(z, z[0], [1.0])


def test_a_grid_is_bilinear():
    corners = noise(4, 6)
    grid = bilinear_grid(corners, 5)
    assert grid.shape == (5, 5, 6)
    for corner, place in enumerate(((0, 0), (0, 4), (4, 0), (4, 4))):
        torch.testing.assert_close(grid[place], corners[corner])
    down, across = 0.25, 0.75
    weights = torch.tensor([(1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across])
    torch.testing.assert_close(grid[1, 3], weights @ corners)
    with pytest.raises(UsageError, match="four corners, and 3"):
        bilinear_grid(corners[:3], 5)


def test_a_linear_walk_is_straight_and_ends_where_it_should():
    start, end = noise(2, 6), noise(2, 6, seed=1)
    walk = linear_walk(start, end, 5)
    assert walk.shape == (5, 2, 6)
    assert torch.equal(walk[0], start)
    torch.testing.assert_close(walk[-1], end)
    torch.testing.assert_close(walk[2], (start + end) / 2)
    torch.testing.assert_close(walk.diff(dim=0), walk.diff(dim=0)[:1].expand(4, 2, 6))
    with pytest.raises(UsageError, match="at least 2"):
        linear_walk(start, end, 1)


def test_equation_17_step_by_step():
    start, kicks = noise(1, 6), noise(2, 1, 6, seed=1)
    walk = OUWalk(FACTORS.names, gamma=0.25, sigma=0.5).path(start, FACTORS, kicks)
    torch.testing.assert_close(walk[1], 0.75 * start + 0.5 * kicks[0])
    torch.testing.assert_close(walk[2], 0.75 * walk[1] + 0.5 * kicks[1])


def test_a_walk_leaves_the_other_factors_exactly_alone():
    start = noise(3, 6)
    walk = OUWalk("digit").path(start, FACTORS, noise(50, 3, 6, seed=1))
    assert walk.shape == (51, 3, 6)
    assert torch.equal(walk[:, :, 2:], start[:, 2:].expand(51, 3, 4))
    assert (walk[1:, :, :2] != start[:, :2]).all()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        *(({"gamma": gamma}, "gamma must be in") for gamma in (0.0, -0.1, 1.5, float("nan"))),
        ({"steps": 1}, "at least 2 steps, got 1"),
        ({"sigma": -0.5}, "at least 0, got -0.5"),
        ({"center": "middle"}, "choose from origin, input"),
    ],
)
def test_settings_have_a_range(given, says):
    with pytest.raises(UsageError, match=says):
        OUWalk("digit", **given)
