"""The command line: one line per command; `main` turns an error into one line and an exit code."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ..distributed import failure, is_main_rank, leave, lost_process, rank, report_failure, world_size
from ..errors import IinError, UsageError
from ..registry import FIRST_PARTY, find, names

__all__ = ["add_plugin_commands", "app", "main"]

# Folder of this package -> heading of the command list, and the commands in it.
GROUPS = {
    "start": ("Start here", ("demo",)),
    "make": ("Make", ("train-backbone", "estimate-dims", "preview-concept", "fit-translator")),
    "edit": ("Edit", ("swap", "walk", "sample")),
    "read": ("Read", ("respond", "explain", "embed", "audit", "report", "fid")),
    "files": ("Files", ("encode", "translate", "decode", "import-compvis")),
    "about": ("About", ("info", "plugins")),
}
COMMANDS = tuple(name for _, names_there in GROUPS.values() for name in names_there)
# Where the commands of plugins stand in the list.
PLUGINS = "Of plugins"
# Of a command's line in the list; longer ones would be cut.
HELP_WIDTH = 60

# How long a process of several lets the main one speak first, and then waits for torchrun to end it.
HEAD_START_SECONDS, END_SECONDS = 1.0, 2.0


class _GroupedCommands(TyperGroup):
    """Lists the commands under the headings of `GROUPS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the groups, plugins' commands last."""
        return [*COMMANDS, *sorted(set(self.commands) - set(COMMANDS))]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section per group."""
        shown = {name: command for name, command in self.commands.items() if not command.hidden}
        sections = [(heading, there) for heading, there in GROUPS.values()]
        sections.append((PLUGINS, tuple(sorted(set(shown) - set(COMMANDS)))))
        width = max(map(len, shown))
        for heading, there in sections:
            rows = [
                (name.ljust(width), shown[name].get_short_help_str(limit=HELP_WIDTH)) for name in there if name in shown
            ]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


app = typer.Typer(
    name="iin",
    cls=_GroupedCommands,
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


for _folder, (_, _names) in GROUPS.items():
    for _name in _names:
        _module = _name.replace("-", "_")
        app.command(_name)(getattr(import_module(f"{__name__}.{_folder}.{_module}"), _module))


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
    if world_size() > 1:
        # Ctrl-C comes from the terminal and once more from torchrun, which has SIGKILL for what does not end.
        signal.signal(signum, signal.SIG_IGN)
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
        leave()
    except BaseException as error:
        code = _report(error)
    code = code if isinstance(code, int) else 0
    if world_size() > 1:
        # The others wait for a failed process until it is gone: nothing at exit may wait for them. And one that has
        # done its work is done: a thread that is still inside torch would abort it at Python's end.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _report(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if "IIN_DEBUG" in os.environ:
        import traceback

        traceback.print_exception(error)
    code, text = _explain(error)
    text = " ".join("; ".join([text, *getattr(error, "__notes__", [])]).split())
    if world_size() == 1:
        print(f"iin: {text}", file=sys.stderr)
    else:
        _report_together(error, text)
    return code


def _report_together(error: BaseException, text: str) -> None:
    """Say why one process of several ends, once for all of them: the first to fail speaks, the main one before others.

    Torchrun repeats that line at the end of its own report.
    """
    began, stopped = time.time(), isinstance(error, (_Stopped, KeyboardInterrupt))
    for number in (signal.SIGINT, signal.SIGTERM):
        # What torchrun ends now goes quietly; what the user ended still says so.
        signal.signal(number, signal.SIG_IGN if stopped else signal.SIG_DFL)
    if not is_main_rank():
        text = f"{text} (process {rank()} of {world_size()})"
        # What has befallen all of them is the main one's to tell, and torchrun ends the others when it is gone.
        _wait(HEAD_START_SECONDS)
    told = failure() if stopped else report_failure(text)
    if told is None:
        if is_main_rank() or not stopped:
            print(f"iin: {text}", file=sys.stderr)
        if not stopped:
            _tell_torchrun(text, began)
    elif not stopped:
        # Whoever ends now, before torchrun has seen who failed, would be taken for the cause.
        time.sleep(END_SECONDS)
        if not told.here:
            print(f"iin: ended, since a process of another machine did: {told.why}", file=sys.stderr)


def _wait(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and failure() is None:
        time.sleep(0.05)


def _tell_torchrun(text: str, when: float) -> None:
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file is not None:
        # Torch's own `record` would show a traceback there, and take seconds to be imported.
        extra = {"py_callstack": f"iin: {text}", "timestamp": str(int(when))}
        with open(file, "w", encoding="utf-8") as opened:
            json.dump({"message": {"message": f"iin: {text}", "extraInfo": extra}}, opened)


def _explain(error: BaseException) -> tuple[int, str]:
    if isinstance(error, IinError):
        return error.exit_code, str(error)
    if isinstance(error, _Stopped):
        return (143, "terminated") if error.args[0] == signal.SIGTERM else (130, "interrupted")
    # Typer vendors Click in newer versions: its exceptions are told by what they offer, never by their class.
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return 130, "interrupted"
    if (says := getattr(error, "format_message", None)) is not None:
        return getattr(error, "exit_code", 2), f"{says()} (see `iin --help`)"
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "allocate memory" in str(error):
        return 6, f"out of memory: {error or 'choose a smaller --batch'}"
    if lost_process(error):
        return 1, "another process of this run ended without a word: killed, or out of memory?"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return 6, f"no space left on the disk ({error.filename or error})"
    return 1, f"unexpected {type(error).__name__}: {error} (run again with --debug for the traceback)"
