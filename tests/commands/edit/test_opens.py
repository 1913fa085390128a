"""A command opens its translator, its network and its data once each."""

import pytest

from iin_cli.commands.edit.sample import sample
from iin_cli.commands.edit.swap import swap
from iin_cli.commands.edit.walk import walk
from iin_cli.editing.attributes import Attribute
from iin_cli.editing.axes import LabelAxis
from iin_cli.editing.sample import Sampling
from iin_cli.editing.walk_paths import AttributeWalk, GridWalk, LinearWalk, Wandering
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.translator.edit import OUWalk

ATTRIBUTE = AttributeWalk(steps=3, axis=LabelAxis((Attribute("class=3"),), 40))
WALKS = [LinearWalk(steps=2), Wandering(steps=2, ou=OUWalk("digit")), GridWalk(steps=2), ATTRIBUTE]


@pytest.mark.parametrize("name", ["out", "out.png"])
@pytest.mark.parametrize("mode", WALKS, ids=lambda mode: mode.name)
def test_a_walk(files, tmp_path, opens, mode, name):
    walk(files.of_images, mode, tmp_path / name, choice=DataChoice(n=2))
    assert sorted(opens) == ["ae.safetensors", "digits", "t-ae.safetensors"]


@pytest.mark.parametrize("kind", ["of_images", "of_classes"])
def test_a_swap(files, tmp_path, opens, kind):
    swap(getattr(files, kind), ["digit"], out=tmp_path / "out", choice=DataChoice(n=2))
    assert len(opens) == len(set(opens)) == 3


def test_samples_need_no_data(files, tmp_path, opens):
    sample(files.of_images, range(2), tmp_path / "a")
    image = tmp_path / "a" / "000000.png"
    assert sorted(opens) == ["ae.safetensors", "t-ae.safetensors"]
    opens.clear()
    sample(files.of_images, range(2), tmp_path / "b", Sampling(fix=(("digit", image), ("color", image))))
    assert sorted(opens) == ["ae.safetensors", "t-ae.safetensors"]
