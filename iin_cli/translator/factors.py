"""Named factors of z̃ and the dimensions of each.

Factors are named, never positional; the residual is called `residual` and comes last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..errors import UsageError, nearest

__all__ = ["RESIDUAL", "Factor", "Factors"]

RESIDUAL = "residual"


@dataclass(frozen=True)
class Factor:
    """One factor: `dim` dimensions N_k, correlation `sigma` in [0, 1) of pairs that share it, relation of its pairs."""

    name: str
    dim: int
    sigma: float = 0.9
    relation: Literal["share", "differ", "rest"] = "share"

    def as_dict(self) -> dict[str, Any]:
        """Return the factor as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Factors:
    """All factors of a translator in the order of z̃'s dimensions, the residual last.

    >>> factors = Factors.of({"digit": 3, "residual": 5})
    >>> factors.slice("residual"), factors.dim
    (slice(3, 8, None), 8)
    """

    items: tuple[Factor, ...]

    def __post_init__(self) -> None:
        names = self.names
        if not names or names[-1] != RESIDUAL or len(set(names)) != len(names):
            raise UsageError(f"factors must have different names and end with {RESIDUAL!r}, got {', '.join(names)}")
        for factor in self.items:
            if factor.dim < 1:
                raise UsageError(f"factor {factor.name} has {factor.dim} dimensions, needs at least 1")
            if not 0 <= factor.sigma < 1:
                raise UsageError(f"factor {factor.name} has sigma {factor.sigma}, needs 0 <= sigma < 1")

    @classmethod
    def of(
        cls,
        dims: Mapping[str, int],
        sigma: float | Mapping[str, float] = 0.9,
        relations: Mapping[str, Literal["share", "differ"]] | None = None,
    ) -> Factors:
        """Build from name -> dimensions; `sigma` for all or per name, `relations` default to share."""
        sigmas = dict(sigma) if isinstance(sigma, Mapping) else dict.fromkeys(dims, sigma)
        return cls(
            tuple(
                Factor(
                    name,
                    dim,
                    sigmas.get(name, 0.9),
                    "rest" if name == RESIDUAL else (relations or {}).get(name, "share"),
                )
                for name, dim in dims.items()
            )
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(factor.name for factor in self.items)

    @property
    def dim(self) -> int:
        """N, the sum of all dimensions."""
        return sum(factor.dim for factor in self.items)

    @property
    def dims(self) -> dict[str, int]:
        """Name -> dimensions, in order."""
        return {factor.name: factor.dim for factor in self.items}

    def __iter__(self) -> Iterator[Factor]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def slice(self, name: str) -> slice:
        """Return the dimensions of factor `name` in z̃; raises UsageError with the nearest names if there is none."""
        start = 0
        for factor in self.items:
            if factor.name == name:
                return slice(start, start + factor.dim)
            start += factor.dim
        raise UsageError(f"the translator has no factor {name!r}: {nearest(name, self.names)}")

    def mask(self, concept: str) -> tuple[int, ...]:
        """Return the mask m ∈ {0,1}^(K+1) of a pair of `concept`: 1 where the pair shares the factor.

        A share pair shares its concept only; a differ pair shares everything else, the residual included.
        """
        relation = self.relation(concept)
        return tuple(int((name == concept) == (relation == "share")) for name in self.names)

    def relation(self, concept: str) -> Literal["share", "differ"]:
        """Return how the pairs of factor `concept` relate. UsageError for the residual and for an unknown name."""
        self.slice(concept)
        for factor in self.items:
            if factor.name == concept and factor.relation != "rest":
                return factor.relation
        raise UsageError(f"{concept} is what no concept explains: it has no pairs")

    def as_json(self) -> list[dict[str, Any]]:
        """Return the factors as a checkpoint stores them."""
        return [factor.as_dict() for factor in self.items]

    @classmethod
    def from_json(cls, items: Sequence[Mapping[str, Any]]) -> Factors:
        """Rebuild what `as_json` returned."""
        return cls(tuple(Factor(**item) for item in items))
