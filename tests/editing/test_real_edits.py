"""Real edits of networks whose answer is known: what they do, and the share that one factor carries."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from iin_cli.data import open_dataset
from iin_cli.editing.real_edits import find_edits, reality_of
from iin_cli.errors import DataError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.memory import MemoryDataset
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData, Reading
from iin_cli.progress import Silent
from iin_cli.registry import find
from iin_cli.translator.factors import Factors

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(scope="module")
def opened(files):
    return open_translator(files.of_classes)


def read(opened, data="colordigits", n=40):
    return ChosenData(opened, DataChoice(data, n=n, seed=1), Silent()).read(n)


def answering(monkeypatch, reading, factor):
    """Let the network answer by one factor alone: a real edit flips what exchanging this factor flips."""
    translator, where = reading.opened.translator, reading.opened.factors.slice(factor)
    mean = reading.z_tilde[:, where].mean(0)

    def decode(z):
        read = translator(z)[0][:, where] - mean
        return torch.cat((read, -read), 1) * 3

    monkeypatch.setattr(reading.network.backbone, "decode", decode)


def test_the_factor_that_is_answered_by_reproduces_all_and_another_nothing(opened, monkeypatch):
    reading = read(opened)
    answering(monkeypatch, reading, "color")
    found = reality_of(reading, "color", Silent())
    assert (found.how, found.images) == ("drawing another color", 40)
    assert list(found.effect.variants) == ["redrawn 1", "redrawn 2"]
    assert found.effect.moving >= 6
    assert (found.effect.share.value, found.effect.share.low) == (1, 1)
    assert found.effect.edited.value == found.effect.exchanged.value
    assert found.effect.by_chance.value < 1
    answering(monkeypatch, reading, "digit")
    other = reality_of(reading, "color", Silent()).effect
    assert (other.share.value, other.exchanged.value) == (0, 0)
    assert other.edited.value > 0


def test_of_drawn_images_the_change_is_shared(files):
    reading = read(open_translator(files.of_images))
    found = reality_of(reading, "color", Silent()).effect
    assert 0 < found.edited.value < 1
    assert found.share.value < 1
    # Of a factor of nearly all dimensions, the exchange is nearly the edited image.
    whole = replace(reading, opened=replace(reading.opened, factors=Factors.of({"color": 7, "residual": 1})))
    assert reality_of(whole, "color", Silent()).effect.share.value > max(0.5, found.share.value)


def test_what_cannot_be_drawn_is_matched_with_images_that_share_the_rest(opened):
    reading = read(opened)
    edits = find_edits(reading, "digit", Silent())
    assert edits.how == "another image, of other digit and the same color,"
    assert len(edits.z) == len(edits.rows) > 20
    assert not edits.is_exact


def test_a_given_concept_draws_its_variants(opened):
    reading = read(opened, "digits", n=60)
    turned = find("concepts", "rotation:45").make()
    edits = find_edits(reading, "digit", Silent(), turned)
    assert sorted(set(edits.variant.tolist())) == sorted(["-45°", "-22.5°", "+22.5°", "+45°"])
    assert np.array_equal(np.bincount(edits.rows), np.full(60, 4))


def test_why_nothing_can_be_measured_is_told(opened):
    reading = read(opened, "digits", n=12)
    for factor, why in (("residual", "no concept"), ("color", "nor has it labels"), ("digit", "nothing else")):
        found = reality_of(reading, factor, Silent())
        assert found.effect is None
        assert why in found.as_dict()["why_not"]
    # Without the other factor's labels nothing is known to be held fixed.
    pixels = np.zeros((10, 32, 32, 3), np.uint8)
    z = torch.zeros(10, 8)
    data = MemoryDataset(pixels, {"digit": [0, 1] * 5})
    memory = Reading(opened, opened.network, data, np.arange(10), z, opened.transform(z))
    with pytest.raises(DataError, match="nothing else"):
        find_edits(memory, "digit", Silent())


def test_digits_are_drawn_in_other_colours_of_the_same_shape():
    data = open_dataset("colordigits")
    items = np.array([0, 17, 100])
    plain, drawn, other = data.images(items, 32), data.redraw(items, 32, "color", 1), data.redraw(items, 32, "color", 2)
    assert np.array_equal(drawn, data.redraw(items[[0, 1, 2]], 32, "color", 1))
    assert np.array_equal(drawn[1:2], data.redraw(items[1:2], 32, "color", 1))
    assert not np.array_equal(plain, drawn)
    assert not np.array_equal(other, drawn)
    # In a colour c a pixel is c · x: whatever the item, red is a fixed multiple of green.
    signal = drawn[0].reshape(-1, 3).astype(float) - 127.5
    strong = signal[np.abs(signal).max(1) > 60]
    assert np.linalg.svd(strong, compute_uv=False)[1:].max() < 0.02 * np.linalg.norm(strong)
    with pytest.raises(DataError, match="another color"):
        data.redraw(items, 32, "digit", 1)
