"""Sketches are read as lightness; blank, equal and missing ones are refused with what was measured; crops."""

import numpy as np
import pytest
import torch
from iin_cli.errors import DataError, UsageError
from PIL import Image

from iin_sketch.networks import canonical
from iin_sketch.sketches import (
    StyleBank,
    as_style,
    check_pair,
    read_sketch,
    read_styles,
    shipped_pair,
    sketch_bank,
)


def test_the_shipped_pair_differs_and_has_as_much_ink():
    round_, angular = check_pair(*shipped_pair())
    assert abs(round_.mean() - angular.mean()) < 10


def test_colours_of_a_sketch_do_not_count(tmp_path, drawings):
    grey = np.asarray(Image.open(drawings[0]))
    Image.fromarray(np.dstack([grey, grey, grey])).save(tmp_path / "colour.png")
    assert np.array_equal(read_sketch(tmp_path / "colour.png"), read_sketch(drawings[0]))


def test_unfit_sketches(tmp_path, drawings):
    Image.new("L", (50, 50), 255).save(tmp_path / "blank.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=r"blank\.png is blank: .* 0\.00 of 255"):
        read_sketch(tmp_path / "blank.png")
    with pytest.raises(DataError, match="no such sketch"):
        read_sketch(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"text\.png cannot be read"):
        read_sketch(tmp_path / "text.png")
    with pytest.raises(DataError, match=r"are the same: they differ by 0\.00 of 255"):
        check_pair(drawings[0], drawings[0])


def test_a_pair_that_hardly_differs_is_refused(tmp_path, drawings):
    pixels = np.asarray(Image.open(drawings[0])).copy()
    pixels[0, 0] = 128
    Image.fromarray(pixels).save(tmp_path / "almost.png")
    with pytest.raises(DataError, match=r"differ by 0\.\d+ of 255"):
        check_pair(drawings[0], tmp_path / "almost.png")


def test_a_style_takes_the_ground_it_is_asked_for():
    drawing = read_sketch(shipped_pair()[0])
    both = as_style(np.stack([drawing, drawing]), torch.tensor([True, False]))
    assert both.shape == (2, 3, 256, 256)
    assert torch.equal(both[0], -both[1])
    assert canonical(both).light_ground.tolist() == [True, False]
    assert both.mean((1, 2, 3)).abs().max() < 1e-5


def test_crops_are_canonical_and_reproducible():
    bank = sketch_bank(check_pair(*shipped_pair())).at(64)
    assert bank.weights.sum() == pytest.approx(1)
    assert bank.weights[:2] == pytest.approx([1 / 3, 1 / 3])
    ground = torch.tensor([True, False] * 4)
    crops = bank.crops(ground, 32, np.random.default_rng(0))
    assert crops.shape == (8, 3, 32, 32)
    assert canonical(crops).light_ground.tolist() == ground.tolist()
    assert crops.std((1, 2, 3), correction=0) == pytest.approx(torch.ones(8), abs=1e-4)
    assert torch.equal(crops, bank.crops(ground, 32, np.random.default_rng(0)))


def test_crops_avoid_bare_ground():
    drawing = np.full((1, 64, 64), 255, np.uint8)
    drawing[0, :32, :32:4] = 0
    crops = StyleBank(drawing, np.ones(1)).crops(torch.ones(20, dtype=torch.bool), 24, np.random.default_rng(0))
    bare = (crops.std((1, 2, 3)) < 0.1).sum()
    # Of independent crops some two in five are bare; eight tries make that one in a thousand.
    assert bare <= 1


def test_styles_by_name(tmp_path, drawings):
    default, called = read_styles(None)
    assert called == "the shipped sketches"
    pair, _ = read_styles(f"{drawings[0]},{drawings[1]}")
    assert np.array_equal(pair.drawings[0], read_sketch(drawings[0]))
    assert len(pair.drawings) == len(default.drawings)
    assert pair.sha256 != default.sha256
    folder, _ = read_styles(str(tmp_path))
    assert np.array_equal(folder.drawings, pair.drawings[:2])
    assert folder.weights.tolist() == [0.5, 0.5]
    with pytest.raises(DataError, match=r"are the same: they differ by 0\.00 of 255 grey levels"):
        read_styles(f"{drawings[0]}, {drawings[0]}")
    with pytest.raises(UsageError, match="--style is empty"):
        read_styles("")
    with pytest.raises(DataError, match="no such sketch"):
        read_styles("nowhere.png,there.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no images"):
        read_styles(str(tmp_path / "empty"))
