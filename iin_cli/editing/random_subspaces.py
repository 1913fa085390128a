"""Random subspaces of a factor's size, beside which an edit of the factor is seen to be more than chance."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..metrics.response import random_subspace
from ..translator.factors import Factors

__all__ = ["basis_of_control"]


def basis_of_control(factors: Factors, name: str, number: int, seed: int) -> Tensor:
    """Return control `number` of factor `name`: a basis (N_k, N) that depends on nothing else but the seed."""
    where = factors.names.index(name)
    own_seed = int(np.random.SeedSequence((seed, where, number)).generate_state(1)[0])
    return random_subspace(factors.dim, factors.dims[name], own_seed)
