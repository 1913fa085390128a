"""What separation measures, on latents whose separation is known."""

import numpy as np
import pytest
import torch

from iin_cli.fitting.separation import Separation, separate, worse
from iin_cli.sizing.paired_latents import PairedLatents
from iin_cli.translator.factors import Factors
from iin_cli.translator.pair_moments import PairedRows

CPU = torch.device("cpu")
FACTORS = Factors.of({"side": 2, "residual": 4})


def latents(leak: bool, squared: bool = False, count: int = 4000) -> PairedLatents:
    """Four sides; without a leak only the first two dimensions know of them."""
    generator, side = np.random.default_rng(0), np.arange(count) % 4
    z = 0.3 * generator.normal(size=(count, 6))
    z[:, 0] += side // 2
    z[:, 1] += side % 2
    if leak:
        sign = generator.choice([-1, 1], count)
        z[:, 3] += 2 * (side // 2) * (sign if squared else 1)
    tensor = torch.from_numpy(z).float()
    cut = count // 2
    fit, held = (
        PairedRows("side", "share", tensor[:cut], side[:cut]),
        PairedRows("side", "share", tensor[cut:], side[cut:]),
    )
    return PairedLatents(tensor[:cut], tensor[:cut], [fit], [held])


def measured(**options: bool) -> Separation:
    return separate(lambda z: z, FACTORS, latents(**options), CPU)["side"]


def test_a_concept_in_its_own_factor_alone() -> None:
    found = measured(leak=False)
    # Variance 0.25 of the sides beside 0.09 of noise, in two dimensions.
    assert found.own == pytest.approx(2 * 0.25 / 0.34, abs=0.05)
    assert found.elsewhere < 0.05


def test_a_leak_is_seen_even_where_it_is_not_linear() -> None:
    assert measured(leak=True).elsewhere > 0.8
    assert measured(leak=True, squared=True).elsewhere > 0.3


def test_worse_is_less_in_the_own_factor_or_more_elsewhere_beyond_what_was_gained() -> None:
    start = {"side": Separation(1.5, 0.1, 0.05)}
    assert worse({"side": Separation(1.45, 0.15, 0.05)}, start) == []
    assert worse({"side": Separation(1.3, 0.1, 0.05)}, start) == ["side"]
    assert worse({"side": Separation(1.5, 0.3, 0.05)}, start) == ["side"]
    assert worse({"side": Separation(1.6, 0.3, 0.05)}, start) == []
