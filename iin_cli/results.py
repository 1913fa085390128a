"""Base of what every verb returns: a frozen dataclass with JSON values, tables, and a notebook display.

Files that a command left out of its data are noted here, so that every result it prints or writes says so: the data are
opened deep below the command and its result made far from them, and what lies between has no use for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Result",
    "Table",
    "as_html",
    "json_values",
    "note_left_out",
    "noting_left_out",
    "single_values",
    "with_left_out",
]

# Path of the file -> why it cannot be read; None outside a command.
_noted: ContextVar[dict[str, str] | None] = ContextVar("left_out", default=None)
# A title, and rows that map column to value.
Table = tuple[str, Sequence[Mapping[str, Any]]]


class Result:
    """Base of the frozen dataclasses that verbs return."""

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values; fields that do not count in a comparison are left out."""
        # A mixin of dataclasses: the type checker cannot know that self is one.
        own = fields(self)  # pyright: ignore[reportArgumentType]
        return {field.name: json_values(getattr(self, field.name)) for field in own if field.compare}

    def tables(self) -> list[Table]:
        """Return the result as titled tables for a reader."""
        return []

    def facts(self) -> dict[str, Any]:
        """Return the single values for a reader, by their names in words; those that are not there are left out."""
        return single_values(self.as_dict())

    def plot(self) -> Figure:
        """Draw the result as a matplotlib figure; raises UsageError for a result without a picture."""
        from .errors import UsageError

        raise UsageError(f"{type(self).__name__} has no picture: read its tables()")

    def _repr_html_(self) -> str:
        """Show the tables, then all single values, in a notebook."""
        single = self.facts()
        shown = [*self.tables(), *([(type(self).__name__, [single])] if single else [])]
        return as_html(shown)


def single_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `values` that are single, by their names in words.

    >>> single_values({"best_step": 3, "dominance": None, "factors": {"digit": 4}})
    {'best step': 3}
    """
    return {
        key.replace("_", " "): value
        for key, value in values.items()
        if value not in (None, "") and not isinstance(value, (dict, list, tuple))
    }


def json_values(value: Any) -> Any:
    """Return what a result holds as JSON values: parts say by `as_dict` what they are, else field by field."""
    if isinstance(value, Mapping):
        return {key: json_values(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(json_values, value))
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if is_dataclass(value):
        return {each.name: json_values(getattr(value, each.name)) for each in fields(value) if each.compare}
    return value


def as_html(tables: Sequence[Table]) -> str:
    """Return tables as HTML; names are text, never markup."""
    return "".join(_html(title, rows) for title, rows in tables if rows)


def _html(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(rows[0])
    head = "".join(f"<th>{escape(column.replace('_', ' '))}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_text(row.get(column)))}</td>" for column in columns) + "</tr>" for row in rows
    )
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def noting_left_out() -> Iterator[None]:
    """Collect what is left out from here on, for `with_left_out`."""
    before = _noted.set({})
    try:
        yield
    finally:
        _noted.reset(before)


def note_left_out(files: Mapping[str, str]) -> None:
    """Note files that are left out, path -> why; nothing outside a command."""
    noted = _noted.get()
    if noted is not None:
        noted.update(files)


def with_left_out(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a result's JSON values with `left_out`, where any file was.

    >>> with noting_left_out():
    ...     note_left_out({"cat/7.png": "it is empty, 0 bytes"})
    ...     with_left_out({"images": 9})
    {'images': 9, 'left_out': {'cat/7.png': 'it is empty, 0 bytes'}}
    """
    noted = _noted.get()
    return {**value, "left_out": dict(noted)} if noted and "left_out" not in value else value
