"""The reference of all commands, written from the command line itself: what `--help` says is what the page says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from iin_cli.cli import COMMANDS, GROUPS, PLUGINS, add_plugin_commands, app

__all__ = ["cli_reference"]

# An option or an environment variable in a sentence, where it is not code already.
CODE = re.compile(r"(?<![\w`/.$-])(--?[a-z][\w-]*|\$[A-Z_]+)(?![\w`])")
SPECIAL = re.compile(r"([\\*_<>\[\]|~^])")


def cli_reference() -> str:
    """Return Markdown: one section per heading of `iin --help`, one per command below it, plugins' commands last."""
    add_plugin_commands()
    commands = typer.main.get_command(app).commands
    groups = [(heading, names) for heading, names in GROUPS.values()]
    groups.append((PLUGINS, tuple(sorted(set(commands) - set(COMMANDS)))))
    lines: list[str] = []
    for heading, names in groups:
        if names:
            lines += [f"## {heading}", ""]
        for name in names:
            lines += [*_command(name, commands[name]), ""]
    return "\n".join(lines)


def _command(name: str, command: Any) -> Iterator[str]:
    """Write one command: its words, its examples, its arguments and options."""
    context = typer.main.get_command(app).make_context("iin", [], resilient_parsing=True)
    text, _, examples = (command.help or "").partition("Examples:")
    # Line breaks that must stay are marked by a form feed in help texts.
    paragraphs = [" ".join(each.split()) for each in text.replace("\f", "\n").split("\n\n")]
    yield from (f"(iin-{name})=", f"### iin {name}", "")
    for paragraph in filter(None, paragraphs):
        yield from (_prose(paragraph), "")
    typed = [" ".join(each.split()) for each in examples.split("\n\n") if each.strip()]
    if typed:
        yield from ("```sh", *typed, "```", "")
    for parameter in command.params:
        record = None if getattr(parameter, "hidden", False) else parameter.get_help_record(context)
        if record is not None:
            yield from (f"`{record[0]}`", f": {_prose(' '.join(record[1].split())) or 'No description.'}", "")


def _prose(text: str) -> str:
    """Escape what Markdown would read as markup, and set options as code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    pieces = CODE.split(text)
    return "".join(f"`{piece}`" if place % 2 else SPECIAL.sub(r"\\\1", piece) for place, piece in enumerate(pieces))
