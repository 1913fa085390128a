"""A command opens its translator, its network and its data once each."""

import pytest

from iin_cli.commands.read.embed import embed
from iin_cli.commands.read.explain import explain
from iin_cli.commands.read.respond import respond
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.measures.embedding.embed import MapChoice
from iin_cli.measures.explanation.edits import EditChoice
from iin_cli.measures.explanation.library import LibraryChoice
from iin_cli.measures.responses.walks import WalkDesign
from iin_cli.translator.edit import OUWalk

WALK = OUWalk(("digit",), steps=3)
VERBS = {
    "respond": lambda *given: respond(*given, WalkDesign(WALK, controls=1)),
    "explain": lambda *given: explain(*given, EditChoice("swap", ("digit",), 2), LibraryChoice(most=20)),
    "explain-walk": lambda *given: explain(*given, EditChoice("walk", (), 2, (), WALK), LibraryChoice(most=20)),
    "embed": lambda *given: embed(*given, MapChoice(("latent", "residual"), "pca"), WALK),
}


@pytest.mark.parametrize("verb", VERBS)
def test_each_is_opened_once(files, tmp_path, opens, monkeypatch, verb):
    monkeypatch.chdir(tmp_path)
    VERBS[verb](files.of_images, DataChoice(n=8))
    assert sorted(opens) == ["ae.safetensors", "digits", "t-ae.safetensors"]
