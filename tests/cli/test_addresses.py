"""Addresses on the Hub among the options: every option for a checkpoint takes them, and no other does."""

from pathlib import Path
from typing import Annotated, get_type_hints

import pytest
import typer

from iin_cli.cli import COMMANDS, app
from iin_cli.cli.addresses import FROM_HUB, from_hub

# A checkpoint that is written, read beside others by another rule, or of another kind.
OTHERS = {("push", "run")}
SNAPSHOT = Path("/cache/models--me--digits/snapshots/0abc")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_for_a_checkpoint_takes_an_address(name):
    (command,) = [each.callback for each in app.registered_commands if each.name == name]
    for option, hint in get_type_hints(command, include_extras=True).items():
        facts = getattr(hint, "__metadata__", ())
        is_one = any("CKPT" in (getattr(fact, "metavar", None) or "") for fact in facts)
        if (name, option) not in OTHERS and (name, option) != ("info", "path"):
            assert (FROM_HUB in facts) == is_one, (name, option)


def test_paths_are_fetched_and_names_are_told_the_commit(monkeypatch):
    asked = []
    monkeypatch.setattr("iin_cli.hub.fetching.fetched", lambda address, report: asked.append(str(address)) or SNAPSHOT)

    @from_hub
    def command(
        translator: Annotated[Path, typer.Option(), FROM_HUB],
        backbone: Annotated[str, typer.Option(), FROM_HUB],
        oracle: Annotated[list[Path] | None, typer.Option(), FROM_HUB] = None,
        data: Annotated[str | None, typer.Option()] = None,
        quiet: bool = True,
    ):
        return translator, backbone, oracle, data

    found = command(
        translator=Path("hf:me/digits"), backbone="hf:me/digits", oracle=[Path("hf:me/o"), Path("o")], data="hf:me/data"
    )
    assert found == (SNAPSHOT, "hf:me/digits@0abc", [SNAPSHOT, Path("o")], "hf:me/data")
    assert asked == ["hf:me/digits", "hf:me/digits", "hf:me/o"]
    assert command(translator=Path("t"), backbone="resnet50") == (Path("t"), "resnet50", None, None)
