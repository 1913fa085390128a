"""What an audit said of the factors, read from the file that `iin audit` wrote."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import DataError
from ..interpretation.open_translator import OpenTranslator

__all__ = ["read_verdicts"]

NAME = "audit.json"


def read_verdicts(opened: OpenTranslator, audit: Path | None = None) -> dict[str, str]:
    """Return factor -> its verdict by an audit of `opened`: that named, else one beside the checkpoint, else none.

    Raises DataError where the file named is no audit of these factors.
    """
    if audit is None:
        beside = None if opened.path is None else opened.path.parent / NAME
        if beside is None or not beside.is_file():
            return {}
        try:
            return _read(beside, opened)
        except DataError:
            return {}
    return _read(audit / NAME if audit.is_dir() else audit, opened)


def _read(file: Path, opened: OpenTranslator) -> dict[str, str]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        verdicts = {str(each["factor"]): str(each["verdict"]) for each in found["verdicts"]}
    except OSError as error:
        raise DataError(f"--audit {file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"--audit {file} is not what `iin audit` writes: it has no verdicts") from error
    if unknown := verdicts.keys() - set(opened.factors.names):
        raise DataError(f"--audit {file} is of another translator: {opened.called} has no factor {min(unknown)}")
    return verdicts
