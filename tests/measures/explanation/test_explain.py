"""Explanations in memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from iin_cli.data import open_dataset
from iin_cli.data.arrays import ArrayDataset
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import Inputs, Reading, read_items
from iin_cli.measures.explanation.edits import Edits
from iin_cli.measures.explanation.explain import explain_images
from iin_cli.measures.explanation.intervals import bounded_mean
from iin_cli.measures.explanation.library import Library
from iin_cli.metrics.bootstrap import Resampling, mean_interval
from iin_cli.progress import Silent
from iin_cli.translator.edit import OUWalk
from iin_cli.translator.factors import Factors


def inputs(count, seed=1):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)
    z = torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))
    return Inputs(pixels, tuple(f"image {number}" for number in range(count)), z)


@pytest.mark.parametrize("kind", ["of_classes", "of_images", "of_latents"])
@pytest.mark.parametrize("mode", ["swap", "walk"])
def test_images_are_explained_without_any_file(files, kind, mode, heard):
    opened = open_translator(getattr(files, kind))
    if kind == "of_latents":
        # An encoder alone: the nearest images are all there is to see.
        opened = replace(opened, network=Network(lambda pixels: pixels.flatten(1)[:, :8]))
    z = torch.randn(12, 8, generator=torch.Generator().manual_seed(0))
    data = ArrayDataset("mine", np.zeros((12, 32, 32, 3), np.uint8), {}, {"test": np.arange(12)})
    library = Library.of(Reading(opened, opened.network, data, np.arange(12), z, opened.transform(z)), k=3)
    edits = {
        "swap": lambda: Edits.of_sources(opened, ["color"], inputs(4, 2)),
        "walk": lambda: Edits.of_walks(opened, ["color"], OUWalk(steps=3), 4, 0),
    }[mode]()
    saved = []
    result = explain_images(library, inputs(2), edits, 2, heard, saved.append)
    assert [len(each.images) for each in saved] == [1, 2]
    assert (result.mode, result.factors, result.sources, result.searched) == (mode, ("color",), 4, 12)
    assert (result.out, result.figures) == ("", ())
    for image in result.images:
        effect = image.factors["color"]
        assert [len(edit.nearest) for edit in effect.edits] == [3] * 4
        assert (effect.delta is not None) == (kind == "of_classes")
        assert effect.delta is None or len(effect.delta) == len(image.probabilities) == 2
        assert (image.agreement is not None) == (effect.agreement is not None) == (kind == "of_classes")
        # Where a factor comes from and what its edit is called are two things.
        assert all((edit.source_predicted is None) == (kind != "of_classes" or mode == "walk") for edit in effect.edits)
    assert any("rough" in note for note in heard.notes) == (kind == "of_classes")
    # How well the network does is told first, or why that is not known.
    assert heard.notes[0] == str(result.performance)
    assert len(result.plot().axes) == len(result.plot(1).axes) > 3
    assert "nearest images" in result._repr_html_()


def test_another_seed_is_another_interval(files):
    opened = open_translator(files.of_classes)
    z = torch.randn(12, 8, generator=torch.Generator().manual_seed(0))
    data = ArrayDataset("mine", np.zeros((12, 32, 32, 3), np.uint8), {}, {"test": np.arange(12)})
    library = Library.of(Reading(opened, opened.network, data, np.arange(12), z, opened.transform(z)))
    edits = Edits.of_sources(opened, ["color"], inputs(8, 2))
    first, second = (
        explain_images(replace(library, seed=seed), inputs(1), edits).images[0].factors["color"].delta.values()
        for seed in (0, 1)
    )
    for one, other in zip(first, second, strict=True):
        assert one.value == other.value
        assert (one.low, one.high) != (other.low, other.high)


def test_neighbours_share_the_networks_answer_at_least_as_often_as_in_z(files):
    opened = open_translator(files.of_classes)
    z = 3 * torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    data = ArrayDataset("mine", np.zeros((400, 32, 32, 3), np.uint8), {}, {"test": np.arange(400)})
    library = Library.of(Reading(opened, opened.network, data, np.arange(400), z, opened.transform(z)), k=5)
    edits, given = Edits.of_sources(opened, ["color"], inputs(4, 2)), inputs(6)
    images = explain_images(library, given, edits).images
    own, in_z = (np.mean([getattr(image.agreement, part) for image in images]) for part in ("share", "in_z"))
    assert own >= in_z + 0.05
    says = opened.network.answers(z).argmax(1)
    for image in images:
        assert all(near.predicted == opened.network.classes[says[near.item]] for near in image.nearest)
        same = [near.predicted == image.predicted for near in image.nearest]
        assert image.agreement.share == np.mean(same)


def test_edits_that_all_do_the_same_prove_nothing_about_every_edit():
    for value in (0.0, 1.0):
        found = bounded_mean(np.full(16, value), 0.0, 1.0, Resampling())
        assert (found.value, found.items) == (value, 16)
        assert found.low <= value <= found.high
        assert 0.1 < found.high - found.low < 0.3
    one = bounded_mean(np.array([0.5]), 0.0, 1.0, Resampling())
    assert one.low < 0.2
    assert one.high > 0.8
    values = np.random.default_rng(0).uniform(0.4, 0.6, 500)
    wide, narrow = bounded_mean(values, 0.0, 1.0, Resampling()), mean_interval(values, Resampling())
    assert wide.value == narrow.value
    assert wide.high - wide.low < 1.4 * (narrow.high - narrow.low)


def test_what_really_editing_the_images_does_stands_beside(files):
    """Greyscale is drawn on the images that are searched; an encoder alone has no answer to change."""
    opened = open_translator(files.of_classes)
    first, *rest = opened.factors
    factors = Factors((replace(first, name="greyscale", relation="differ"), *rest))
    opened = replace(opened, factors=factors)
    data = open_dataset("colordigits")
    items = data.splits["test"][:20]
    reading = read_items(opened, data, items, Silent())
    edits = Edits.of_walks(opened, ["greyscale"], OUWalk(steps=3), 2, 0)
    result = explain_images(Library.of(reading, k=3), inputs(1), edits)
    found = result.reality["greyscale"]
    assert found.images == 20
    assert result.as_dict()["reality"]["greyscale"]["edited"] == found.effect.edited.as_dict()
    title, (row,) = result.tables()[-1]
    assert "really editing" in title
    assert (row["factor"], row["images"]) == ("greyscale", 20)
    assert explain_images(Library.of(reading, k=3), inputs(1), edits, really_edited=0).reality == {}
