import numpy as np
import pytest
import torch

from iin_cli.data.folder import open_folder
from iin_cli.editing.attributes import Attribute
from iin_cli.editing.axes import FolderAxis, LabelAxis
from iin_cli.errors import UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.reading import ChosenData
from iin_cli.progress import Silent

pytestmark = pytest.mark.usefixtures("cache")


def z_tilde_of(opened, dataset, items):
    return opened.transform(opened.network.encode_pixels(dataset.images(items, 32)))


def axis(opened, dataset, *attributes, names=None, most=10_000):
    data = ChosenData(opened, DataChoice(dataset.name), Silent())
    return LabelAxis(attributes, most).of(data, names or opened.factors.names)


def test_equation_14_over_the_training_images(opened, pictures):
    dataset = open_folder(pictures)
    train = dataset.splits["train"]
    has = dataset.labels["class"].values[train] == 1
    z_tilde = z_tilde_of(opened, dataset, train)
    expected = z_tilde[~has].mean(0) - z_tilde[has].mean(0)
    found = axis(opened, dataset, Attribute("class=b"))
    torch.testing.assert_close(found.vector, expected, atol=1e-4, rtol=1e-4)
    (part,) = found.parts
    assert (part.images_with, part.images_without) == (has.sum(), (~has).sum())
    assert part.length == pytest.approx(expected.norm().item(), rel=1e-3)


def test_weights_add_up_and_factors_keep_to_themselves(opened, pictures):
    dataset = open_folder(pictures)
    one, other = (axis(opened, dataset, Attribute(name)).vector for name in ("class=b", "color=2"))
    both = axis(opened, dataset, Attribute("class=b", 2), Attribute("color=2", -0.5))
    torch.testing.assert_close(both.vector, 2 * one - 0.5 * other)
    only = axis(opened, dataset, Attribute("class=b"), names=["color"]).vector
    moving = opened.factors.slice("color")
    torch.testing.assert_close(only[moving], one[moving])
    assert only.count_nonzero() == moving.stop - moving.start


def test_of_many_images_half_are_drawn_from_either_side(opened, pictures):
    dataset = open_folder(pictures)
    found = axis(opened, dataset, Attribute("class=b"), Attribute("color=2"), most=20)
    assert [(part.images_with, part.images_without) for part in found.parts] == [(10, 10), (10, 10)]
    again = axis(opened, dataset, Attribute("class=b"), Attribute("color=2"), most=20)
    assert torch.equal(found.vector, again.vector)
    assert axis(opened, dataset, Attribute("color=2"), most=60).parts[0].images_with < 30
    with pytest.raises(UsageError, match="--axis-images 1"):
        axis(opened, dataset, Attribute("class=b"), most=1)


def test_folders_with_and_without(opened, pictures, tmp_path):
    dataset = open_folder(pictures)
    for side, numbers in (("with", range(5)), ("without", range(5, 12))):
        (tmp_path / side).mkdir()
        for number in numbers:
            (tmp_path / side / f"{number:02d}.png").symlink_to(pictures / f"{number:02d}.png")
    data = ChosenData(opened, DataChoice(), Silent())
    found = FolderAxis(tmp_path / "with", tmp_path / "without").of(data, opened.factors.names)
    z_tilde = z_tilde_of(opened, dataset, np.arange(12))
    torch.testing.assert_close(found.vector, z_tilde[5:].mean(0) - z_tilde[:5].mean(0), atol=1e-4, rtol=1e-4)
    assert (found.parts[0].images_with, found.parts[0].images_without) == (5, 7)
