"""The sections of a report in their order, each a function of its subject that may fail alone."""

from __future__ import annotations

from collections.abc import Callable

from .edits import edits, walks
from .measured import audited, responses
from .overview import interpreted, provenance
from .page import Block
from .sizes import sizes
from .subject import ReportSubject

__all__ = ["SECTIONS"]

SECTIONS: tuple[tuple[str, Callable[[ReportSubject], list[Block]]], ...] = (
    ("What was interpreted", interpreted),
    ("Sizes of the factors", sizes),
    ("Factors swapped", edits),
    ("Walks", walks),
    ("What the answer owes to each factor", responses),
    ("Audit", audited),
    ("Provenance", provenance),
)
