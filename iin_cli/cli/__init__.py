"""The command line: one line per command; `main` turns an error into one line and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from ..errors import IinError, UsageError
from ..registry import FIRST_PARTY, find, names

__all__ = ["add_plugin_commands", "app", "main"]

COMMANDS = (
    "demo",
    "train-backbone",
    "estimate-dims",
    "fit-translator",
    "preview-concept",
    "swap",
    "sample",
    "walk",
    "fid",
    "encode",
    "translate",
    "decode",
    "info",
    "plugins",
    "import-compvis",
)

app = typer.Typer(
    name="iin",
    help="Read and edit what a neural network knows: an invertible translator from its hidden representation "
    "to named, independent factors, and back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"iin {version('iin-cli')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


for _name in COMMANDS:
    _module = _name.replace("-", "_")
    app.command(_name)(getattr(import_module(f"{__name__}.{_module}"), _module))


def _add_plugin_command(name: str) -> None:
    """Add the command `name` of a plugin; of one that is broken or missing, a command that only says so."""
    try:
        app.command(name)(find("commands", name).factory)
    except UsageError as found:
        problem = found

        def unusable(words: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
            raise problem

        unusable.__doc__ = "(of a plugin that cannot be loaded: `iin plugins` says why)"
        # Not even --help has another answer.
        settings = {"ignore_unknown_options": True, "help_option_names": []}
        app.command(name, hidden=name not in names("commands"), context_settings=settings)(unusable)


@cache
def add_plugin_commands() -> None:
    """Add the plugins' commands, once; not at import, since the plugins import this package."""
    for name in sorted({*names("commands"), *FIRST_PARTY["commands"]} - {*COMMANDS}):
        _add_plugin_command(name)


class _Stopped(BaseException):
    """Ctrl-C or SIGTERM arrived; unlike Exception it passes through every handler on its way out.

    Nor is it a KeyboardInterrupt, which Typer swallows together with what its notes say.
    """


def _stop(signum: int, frame: Any) -> NoReturn:
    raise _Stopped(signum)


def main() -> None:
    """Run the command line and exit: 0, or the code of `errors.py` after one line on stderr."""
    signal.signal(signal.SIGTERM, _stop)
    # In the background of a script Ctrl-C is ignored, and stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
    try:
        add_plugin_commands()
        code = app(prog_name="iin", standalone_mode=False)
    except BaseException as error:
        code = _report(error)
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if "IIN_DEBUG" in os.environ:
        import traceback

        traceback.print_exception(error)
    code, text = _explain(error)
    text = "; ".join([text, *getattr(error, "__notes__", [])])
    print(f"iin: {' '.join(text.split())}", file=sys.stderr)
    return code


def _explain(error: BaseException) -> tuple[int, str]:
    if isinstance(error, IinError):
        return error.exit_code, str(error)
    if isinstance(error, _Stopped):
        return (143, "terminated") if error.args[0] == signal.SIGTERM else (130, "interrupted")
    # Typer vendors Click in newer versions: its exceptions are told by what they offer, never by their class.
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return 130, "interrupted"
    if hasattr(error, "format_message"):
        return getattr(error, "exit_code", 2), f"{error.format_message()} (see `iin --help`)"
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "allocate memory" in str(error):
        return 6, f"out of memory: {error or 'choose a smaller --batch'}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return 6, f"no space left on the disk ({error.filename or error})"
    return 1, f"unexpected {type(error).__name__}: {error} (run again with --debug for the traceback)"
