"""`OpenTranslator`: a translator ready to use, with its factors, its provenance and its network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..crew import shared
from ..errors import UsageError
from ..progress import Reporter, Silent
from ..translator.factors import Factors
from ..translator.feature_noise import FeatureNoise
from ..translator.flow import Translator
from ..translator.likelihood import mask_posterior
from .network import Network
from .pieces import MANY_ROWS, in_pieces, piece_rows

__all__ = ["OpenTranslator"]

# T or T⁻¹, alone or with the log-determinant of T behind.
_Way = Literal["forward", "inverse", "both", "inverse both"]


@dataclass(frozen=True)
class OpenTranslator:
    """A translator T on its device, opened once and handed on.

    Attributes:
        path: its checkpoint; None where it was fitted in memory.
        factors: names and sizes, in the order of z̃.
        metadata: what its checkpoint says of itself.
        network: the very network it was fitted to; None where it was fitted to latents alone, or is opened without.
        noise: the feature noise it was fitted with; None where its checkpoint keeps none.
    """

    path: Path | None
    translator: Translator
    factors: Factors
    metadata: dict[str, Any]
    network: Network | None
    device: torch.device
    noise: FeatureNoise | None = None

    @property
    def called(self) -> str:
        """What to call it in a message and in a result: its path."""
        return "the translator in memory" if self.path is None else str(self.path)

    def require_path(self) -> Path:
        """Return the checkpoint; UsageError where the translator is only in memory."""
        if self.path is None:
            raise UsageError("the translator is only in memory: save it first, t.save(path)")
        return self.path

    def require_network(self) -> Network:
        """Return the network; UsageError when the translator was fitted to latents alone."""
        if self.network is None:
            raise UsageError(
                f"{self.called} was fitted to latents without a backbone: "
                "use `iin translate`, or give one by --backbone"
            )
        return self.network

    @property
    def recorded_data(self) -> dict[str, Any]:
        """The data it was fitted to, of one fitted to latents alone its network's; empty if unknown."""
        if self.metadata.get("backbone") is None:
            return (self.network.data if self.network is not None else None) or {}
        return self.metadata.get("data") or {}

    def require_factors(self, names: tuple[str, ...] | list[str]) -> None:
        """Raise UsageError unless at least one factor is named, and each is the translator's."""
        if not names:
            raise UsageError(f"which factor? name it with --factor: {', '.join(self.factors.names)}")
        for name in names:
            self.factors.slice(name)

    def choose_factors(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the factors named, each once, or all where none is. UsageError for one the translator has not."""
        found = tuple(dict.fromkeys(names)) or self.factors.names
        self.require_factors(found)
        return found

    def transform(self, z: Tensor, report: Reporter | None = None) -> Tensor:
        """T of any number of latents, in pieces, on the CPU: z (…, N) -> z̃ (…, N)."""
        return self._mapped(z, "forward", report)

    def transform_with_log_det(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return T(z) (B, N) and log|det T'(z)| (B,) of z (B, N), as `transform`."""
        return self._with_log_det(z, "both", None)

    def inverse_with_log_det(self, z_tilde: Tensor, height: int | None = None) -> tuple[Tensor, Tensor]:
        """Return z = T⁻¹(z̃) (B, N) and log|det T'(z)| (B,) of z̃ (B, N), as `inverse_transform`.

        Args:
            height: rows of a piece; another than the usual has other last bits.
        """
        return self._with_log_det(z_tilde, "inverse both", height)

    def inverse_transform(self, z_tilde: Tensor, report: Reporter | None = None) -> Tensor:
        """T⁻¹ of any number of rows, in pieces, on the CPU: z̃ (…, N) -> z (…, N)."""
        return self._mapped(z_tilde, "inverse", report)

    def inverse_of_many(self, z_tilde: Tensor) -> Tensor:
        """As `inverse_transform`, in taller pieces: faster for thousands of rows, with other last bits."""
        return self._mapped(z_tilde, "inverse", None, MANY_ROWS)

    def shared(self, z_a: Tensor, z_b: Tensor, prior: Tensor | float = 0.5) -> Tensor:
        """Return how probable it is that pairs z_a, z_b (P, N) share each factor, the residual last: (P, K+1).

        Args:
            prior: how probable that is before the pair is seen, one number or one per factor (K+1,).
        """
        first, second = (torch.as_tensor(self.transform(z)) for z in (z_a, z_b))
        chance = torch.as_tensor(prior, dtype=torch.float32).expand(len(first), len(self.factors))
        return mask_posterior(first, second, self.factors, chance)

    def feature_noise(self, z: Tensor) -> FeatureNoise:
        """Return the noise it was fitted with, of a checkpoint of 0.1 that of its fraction of the latents z (M, N)."""
        if self.noise is not None:
            return self.noise
        fraction = (self.metadata.get("training") or {}).get("feature_noise", 0.0)
        return FeatureNoise.of(z, fraction) if fraction else FeatureNoise.none(self.factors.dim)

    def _mapped(self, rows: Tensor, way: _Way, report: Reporter | None, height: int | None = None) -> Tensor:
        flat, pieces = rows.reshape(-1, rows.shape[-1]), []
        with (report or Silent()).task("translating", len(flat), "images") as task:
            for piece in self._in_pieces(flat, way, height or piece_rows(self.device)):
                pieces.append(piece)
                task.advance(len(piece))
        return torch.cat(pieces).view_as(rows)

    def _in_pieces(self, rows: Tensor, way: _Way, height: int) -> Iterable[Tensor]:
        """Yield T of rows (M, N) piece by piece, on the CPU; the processes of a command share them."""
        return shared(self._own_pieces, rows, height, way, height, by=(self,))

    def _own_pieces(self, rows: Tensor, way: _Way, height: int) -> Iterator[Tensor]:
        translator = self.translator
        ways: dict[_Way, Callable[[Tensor], Tensor]] = {
            "forward": lambda rows: translator(rows)[0],
            "inverse": translator.inverse,
            "both": lambda rows: _side_by_side(translator(rows)),
            "inverse both": lambda rows: _side_by_side(translator.inverse_with_log_det(rows)),
        }
        return in_pieces(len(rows), rows.__getitem__, ways[way], self.device, height, is_concurrent=True)

    def _with_log_det(self, rows: Tensor, way: _Way, height: int | None) -> tuple[Tensor, Tensor]:
        found = torch.cat(list(self._in_pieces(rows, way, height or piece_rows(self.device))))
        return found[:, :-1].contiguous(), found[:, -1]


def _side_by_side(found: tuple[Tensor, Tensor]) -> Tensor:
    """Put the log-determinants (B,) behind rows (B, N): (B, N + 1)."""
    rows, log_det = found
    return torch.cat((rows, log_det[:, None]), dim=1)
