"""The command line: one line per command; `main` turns an error into one line and an exit code."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import sys
import time
import warnings
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..distributed import failure, is_main_rank, leave, lost_process, rank, report_failure, world_size
from ..errors import IinError, UsageError
from ..printable import printable
from ..registry import FIRST_PARTY, Found, find, names
from ..stopping import ENDING, Stopped, end_within, ignore, listen, raising
from .addresses import from_hub
from .home import home_expanded
from .stdout import only_results
from .streams import lasting_streams

__all__ = ["add_plugin_commands", "app", "main"]

# Folder of this package -> heading of the command list, and the commands in it.
GROUPS = {
    "start": ("Start here", ("demo",)),
    "make": ("Make", ("train-backbone", "estimate-dims", "preview-concept", "fit-translator")),
    "edit": ("Edit", ("swap", "edit", "walk", "sample", "erase")),
    "read": ("Read", ("explore", "respond", "explain", "embed", "audit", "report", "fid", "log")),
    "files": ("Files", ("encode", "translate", "decode", "import-compvis", "push")),
    "about": ("About", ("info", "plugins", "doctor", "cache")),
}
COMMANDS = tuple(name for _, names_there in GROUPS.values() for name in names_there)
# Heading of the plugins' commands in the list.
PLUGINS = "From plugins"
# Longest help of a command in the list; longer ones would be cut.
HELP_WIDTH = 60

# How long a process waits for the main one to report first, and then for torchrun to end it; a stopped one for Python.
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
        _command = getattr(import_module(f"{__name__}.{_folder}.{_module}"), _module)
        app.command(_name)(home_expanded(only_results(from_hub(_command))))


def _as_command(found: Found) -> Any:
    """Return the function of a plugin's command; PluginError for one that Typer cannot make a command of."""
    with found.blamed("is no command"):
        run = home_expanded(found.factory)
        alone = typer.Typer()
        alone.command()(run)
        # Typer looks at the parameters of all commands at once, and one would fail with all others.
        typer.main.get_command(alone)
    return run


def _add_plugin_command(name: str) -> None:
    """Add the command `name` of a plugin; if the plugin is broken or missing, add one that only reports that."""
    try:
        app.command(name)(_as_command(find("commands", name)))
    except UsageError as found:
        problem = found

        def unusable(words: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
            raise problem

        unusable.__doc__ = "(plugin cannot be loaded: `iin plugins --check` says)"
        # With --help, too, the command reports the problem.
        settings = {"ignore_unknown_options": True, "help_option_names": []}
        app.command(name, hidden=name not in names("commands"), context_settings=settings)(unusable)


@cache
def add_plugin_commands() -> None:
    """Add the plugins' commands, once; not at import, since the plugins import this package."""
    for name in sorted({*names("commands"), *FIRST_PARTY["commands"]} - {*COMMANDS}):
        _add_plugin_command(name)


def _share_cores() -> None:
    """Let idle threads spin for microseconds and not for milliseconds; torch's OpenMP reads this when it is loaded.

    Threads that spin take the cores of those that work. On 2 cores, two fits side by side took 4 to 100 times as long
    per step as one alone; with this setting 2.5 times, and a fit alone takes a tenth longer.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "1000"


def main() -> None:
    """Run the command line and exit: 0, or the code of `errors.py` after one line on stderr."""
    _share_cores()
    _escape_bytes()
    # Large photographs are meant, and Pillow would warn of each size by a line of its own source.
    warnings.filterwarnings("ignore", message=".*decompression bomb")
    listen()
    with lasting_streams():
        try:
            with raising(once=world_size() > 1):
                # Plugins' commands are loaded where they may be meant, so that none can break one of ours.
                if next((word for word in sys.argv[1:] if not word.startswith("-")), None) not in COMMANDS:
                    add_plugin_commands()
                code = app(prog_name="iin", standalone_mode=False)
                leave()
                sys.stdout.flush()
        except BaseException as error:
            code = _report(error)
            if isinstance(error, Stopped):
                end_within(END_SECONDS, code)
        code = code if isinstance(code, int) else 0
        if world_size() > 1:
            # The others wait until a failed process has ended, so its exit must not wait for them. A process that has
            # succeeded must not be aborted at Python's exit by a thread that is still inside torch.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    ignore()
    sys.exit(code)


def _escape_bytes() -> None:
    """Print the bytes of names that are not UTF-8, or letters the terminal lacks, as escapes, on both streams."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _report(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if "IIN_DEBUG" in os.environ:
        import traceback

        traceback.print_exception(error)
    code, text = _explain(error)
    text = printable(" ".join("; ".join([text, *getattr(error, "__notes__", [])]).split()))
    if world_size() == 1:
        print(f"iin: {text}", file=sys.stderr)
    else:
        _report_together(error, text)
    return code


def _report_together(error: BaseException, text: str) -> None:
    """Report why the processes end, once for all of them: the first to fail reports, the main one before others.

    Torchrun repeats that line at the end of its own report.
    """
    began, stopped = time.time(), isinstance(error, (Stopped, KeyboardInterrupt))
    for number in ENDING:
        # A process that torchrun ends now exits silently; one that the user stopped still reports it.
        signal.signal(number, signal.SIG_IGN if stopped else signal.SIG_DFL)
    if not is_main_rank():
        text = f"{text} (process {rank()} of {world_size()})"
        # The main process reports a failure common to all, and torchrun ends the others when it has exited.
        _wait(HEAD_START_SECONDS)
    told = failure() if stopped else report_failure(text)
    if told is None:
        if is_main_rank() or not stopped:
            print(f"iin: {text}", file=sys.stderr)
        if not stopped:
            _tell_torchrun(text, began)
    elif not stopped:
        # Torchrun would take a process that exits before the failed one for the cause.
        time.sleep(END_SECONDS)
        if not told.here:
            print(f"iin: ended, since a process on another machine failed: {told.why}", file=sys.stderr)


def _wait(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and failure() is None:
        time.sleep(0.05)


def _tell_torchrun(text: str, when: float) -> None:
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file is not None:
        # Torch's own `record` would show a traceback there, and takes seconds to import.
        extra = {"py_callstack": f"iin: {text}", "timestamp": str(int(when))}
        with open(file, "w", encoding="utf-8") as opened:
            json.dump({"message": {"message": f"iin: {text}", "extraInfo": extra}}, opened)


def _explain(error: BaseException) -> tuple[int, str]:
    if isinstance(error, IinError):
        return error.exit_code, str(error)
    if isinstance(error, Stopped):
        return error.code, error.word
    # Newer versions of Typer vendor Click, so its exceptions are recognised by their attributes, not by class.
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return 130, "interrupted"
    if (says := getattr(error, "format_message", None)) is not None:
        command = getattr(getattr(error, "ctx", None), "command_path", "iin")
        return getattr(error, "exit_code", 2), f"{says()} (see `{command} --help`)"
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "allocate memory" in str(error):
        return 6, f"out of memory: {error or 'choose a smaller --batch'}"
    if lost_process(error):
        return 1, "another process of this run ended without an error message: it was killed, or ran out of memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return 6, f"no space left on the disk ({error.filename or error}): free some, or choose another disk"
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return 2, f"a name of {len(str(error.filename))} letters is too long for a file: {str(error.filename)[:40]}…"
    if isinstance(error, PermissionError) and error.filename is not None:
        return 2, f"no permission to use {error.filename}: change its mode, or name another place"
    return 1, f"unexpected {type(error).__name__}: {error} (run again with --debug for the traceback)"
