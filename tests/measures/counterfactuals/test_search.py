"""The smallest edit against closed forms."""

import pytest
import torch

from iin_cli.measures.counterfactuals.search import LEAD, Problems, smallest_edits


class Formula:
    """What is said where the lead of the target is a formula of z̃."""

    def __init__(self, lead):
        self.lead = lead

    def margin(self, z_tilde, target):
        return self.lead(z_tilde)

    def margin_and_slope(self, z_tilde, target):
        variable = z_tilde.detach().requires_grad_(True)
        lead = self.lead(variable)
        return lead.detach(), torch.autograd.grad(lead.sum(), variable)[0]


def problems(start, free, radius=10.0):
    count = len(start)
    return Problems(start, free.expand(count, -1), torch.zeros(count, dtype=torch.long), torch.full((count,), radius))


def no_guess(given):
    return given.start[:, None].clone()


def test_a_plane_is_reached_along_its_normal_in_the_free_dimensions():
    w, free = torch.tensor([1.0, -2.0, 5.0]), torch.tensor([True, True, False])
    given = problems(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), free)
    lead = lambda z: z @ w - 6.0  # noqa: E731
    edit, found = smallest_edits(given, Formula(lead), no_guess(given))
    normal = torch.where(free, w, 0.0)
    needed = LEAD - lead(given.start)
    assert found.all()
    torch.testing.assert_close(edit, needed[:, None] * normal / normal.square().sum(), atol=5e-3, rtol=1e-2)
    assert not edit[:, 2].any()
    assert (lead(given.start + edit) >= LEAD).all()


@pytest.mark.parametrize("bulge", [1.0, -1.0])
def test_a_sphere_is_reached_at_its_nearest_point_from_outside_and_from_inside(bulge):
    # The target is said within the sphere of radius 2 about c, or outside of it.
    c, generator = torch.tensor([3.0, 1.0, 0.0, -1.0]), torch.Generator().manual_seed(1)
    way = torch.nn.functional.normalize(torch.randn(8, 4, generator=generator), dim=1)
    given = problems(c + (5.0 if bulge > 0 else 1.2) * way, torch.ones(4, dtype=torch.bool))
    lead = lambda z: bulge * (4 - (z - c).square().sum(1))  # noqa: E731
    edit, found = smallest_edits(given, Formula(lead), given.start[:, None] - 4.5 * bulge * way[:, None].roll(1, 0))
    assert found.all()
    torch.testing.assert_close(edit.norm(dim=1), torch.full((8,), 3.0 if bulge > 0 else 0.8), atol=5e-3, rtol=0)


def test_of_two_borders_the_nearer_is_found_by_a_guess():
    # From zero the slope leads to the far border at 5; a guess knows the near one at -2.
    lead = lambda z: torch.maximum(z[:, 0] - 5, -8 * z[:, 0] - 16)  # noqa: E731
    given = problems(torch.tensor([[0.5]]), torch.tensor([True]))
    far, _ = smallest_edits(given, Formula(lead), no_guess(given))
    near, _ = smallest_edits(given, Formula(lead), torch.tensor([[[-4.0]]]))
    assert far.item() == pytest.approx(4.5, abs=0.01)
    assert near.item() == pytest.approx(-2.5, abs=0.01)


def test_where_no_edit_exists_within_the_radius_there_is_none():
    free = torch.ones(2, dtype=torch.bool)
    for lead, radius in ((lambda z: z[:, 0] - 6, 5.0), (lambda z: -1 - z.square().sum(1), 50.0)):
        given = problems(torch.zeros(1, 2), free, radius)
        edit, found = smallest_edits(given, Formula(lead), given.start[:, None] + 1)
        assert (found.item(), edit.any().item()) == (False, False)
    given = problems(torch.zeros(1, 2), free, 6.1)
    assert smallest_edits(given, Formula(lambda z: z[:, 0] - 6), no_guess(given))[1].item()


def test_problems_do_not_depend_on_those_beside_them():
    lead = lambda z: z[:, 0].sin() * 2 + z[:, 1] - 2  # noqa: E731
    start = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    given = problems(start, torch.ones(2, dtype=torch.bool))
    together, _ = smallest_edits(given, Formula(lead), no_guess(given))
    one = problems(start[2:3], torch.ones(2, dtype=torch.bool))
    torch.testing.assert_close(smallest_edits(one, Formula(lead), no_guess(one))[0], together[2:3])
