"""The reward of correlated pairs: its value against closed forms, and its gradient in parts."""

from __future__ import annotations

import pytest
import torch

from iin_cli.translator.alignment import (
    Alignment,
    alignments,
    explained,
    pair_correlation,
    reward,
    straight,
    straightness,
)
from iin_cli.translator.factors import Factors

FACTORS = Factors.of({"digit": 2, "grey": 1, "residual": 3}, relations={"grey": "differ"})


def pairs(rho: float, count: int = 4000, dim: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, own = torch.randn(2, count, dim, generator=generator)
    return a, rho * a + (1 - rho**2) ** 0.5 * own


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_it_is_the_sum_of_correlations(rho: float) -> None:
    assert pair_correlation(*pairs(rho)).item() == pytest.approx(6 * rho, abs=0.1)


def test_no_invertible_linear_map_changes_it() -> None:
    a, b = pairs(0.5)
    matrix = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))
    moved = pair_correlation(3 + a @ matrix, 3 + b @ matrix)
    assert moved.item() == pytest.approx(pair_correlation(a, b).item(), rel=0.02)


def test_masks_say_what_is_wanted() -> None:
    assert [(each.name, each.sign) for each in alignments(FACTORS, FACTORS.mask("digit"))] == [("digit", 1)]
    assert [(each.name, each.sign) for each in alignments(FACTORS, FACTORS.mask("grey"))] == [("grey", -1)]
    # A file's pairs may share two concepts.
    assert [(each.name, each.sign) for each in alignments(FACTORS, (1, 1, 0))] == [("digit", 1), ("grey", 1)]
    assert alignments(FACTORS, FACTORS.mask("digit"), absent=("digit",)) == ()


def test_only_the_wanted_dimensions_count() -> None:
    a, b = pairs(0.9)
    b[:, 2:] = pairs(0.0)[1][:, 2:]
    assert explained(a, b, [Alignment("digit", slice(0, 2), 1)]) == pytest.approx(1.8, abs=0.05)
    assert explained(a, b, [Alignment("rest", slice(2, 6), -1)]) == pytest.approx(0.0, abs=0.1)


def test_a_bent_difference_tells_less_of_what_it_was() -> None:
    begin = pairs(0.0, dim=2)[0]
    # Cov(x, x³)² / (Var x · Var x³) of a Gaussian, in one dimension of two.
    bent = torch.stack((begin[:, 0] ** 3, begin[:, 1]), dim=1)
    assert straightness(bent, begin).item() == pytest.approx(9 / 15 + 1, abs=0.05)
    assert straightness(begin @ torch.tensor([[2.0, 1.0], [0.0, 3.0]]), begin).item() == pytest.approx(2.0, abs=0.01)
    assert straightness(pairs(0.0, dim=2)[1], begin).item() < 0.01


def test_only_factors_that_differ_are_to_be_straight() -> None:
    (a, b), wanted = pairs(0.0), [Alignment("digit", slice(0, 2), 1), Alignment("grey", slice(2, 3), -1)]
    assert straight(a, b, a - b, wanted) == pytest.approx(1.0, abs=0.01)
    assert straight(a, b, (a - b)[:, [3, 4, 5, 0, 1, 2]], wanted) < 0.01
    without = reward(a, b, wanted, len(a)).item()
    assert reward(a, b, wanted, len(a), begin=a - b).item() == pytest.approx(without + 1, abs=0.02)


def test_gradients_of_parts_sum_to_that_of_the_whole() -> None:
    (a, b), begin = pairs(0.4, count=60), pairs(0.4, count=60)[0].square()
    wanted = [Alignment("digit", slice(0, 2), 1), Alignment("grey", slice(2, 3), -1)]
    whole = a.clone().requires_grad_()
    reward(whole, b, wanted, 60, begin=begin).backward()
    moments: list[torch.Tensor] = []

    def record(own: torch.Tensor) -> torch.Tensor:
        moments.append(own.detach().clone())
        return own.detach()

    parts = [slice(0, 17), slice(17, 17), slice(17, 60)]
    for part in parts:
        reward(a[part], b[part], wanted, 60, record, begin[part])
    common = [sum(moments[i::3], torch.zeros_like(moments[i])) for i in range(3)]
    again = a.clone().requires_grad_()
    for part in parts:
        sums = iter(common)
        reward(again[part], b[part], wanted, 60, lambda own: next(sums), begin[part]).backward()  # noqa: B023
    assert whole.grad is not None
    assert again.grad is not None
    assert torch.allclose(again.grad, whole.grad, atol=1e-5)
