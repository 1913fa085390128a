"""Factors of a translator as its checkpoint describes them, read before any tensor, so that torch is not imported."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..io import checkpoint
from ..io.schema import TranslatorMetadata, checked
from ..translator.factors import Factors

__all__ = ["described_factors"]


def described_factors(translator: Path) -> Factors:
    """Return the factors of a checkpoint or run folder; CheckpointError for a file that is gone, or no translator."""
    file = checkpoint.locate(translator, "translator")
    described = checked(checkpoint.describe(file, "translator"), TranslatorMetadata, file)
    return Factors.from_json(msgspec.to_builtins(described.factors))
