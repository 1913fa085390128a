import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from iin_cli.errors import UsageError
from iin_cli.figures.grids import GAP
from iin_cli.workflows import walk as module
from iin_cli.workflows.decoding import decode_pixels, encode_pixels
from iin_cli.workflows.inputs import Inputs
from iin_cli.workflows.opening import open_translator
from iin_cli.workflows.walk import walk


def inputs(seed, count=2):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return Inputs(pixels, tuple(f"{seed}/{index}" for index in range(count)))


def test_both_linear_walks_share_their_ends_and_are_straight_in_their_space(files):
    opened = open_translator(files.of_images)
    walks = module._linear(opened, inputs(0), inputs(1), ["digit"], 5).z
    interpretable, latent = walks["interpretable"], walks["latent"]
    torch.testing.assert_close(interpretable[0], latent[0])
    torch.testing.assert_close(interpretable[-1], latent[-1])
    torch.testing.assert_close(latent[2], (latent[0] + latent[-1]) / 2)
    z_tilde = torch.stack([opened.translator(z)[0] for z in interpretable])
    torch.testing.assert_close(z_tilde[2], (z_tilde[0] + z_tilde[-1]) / 2, atol=1e-4, rtol=1e-4)
    rest = slice(opened.factors.slice("digit").stop, None)
    torch.testing.assert_close(z_tilde[:, :, rest], z_tilde[:1, :, rest].expand(5, -1, -1), atol=1e-4, rtol=1e-4)
    start = encode_pixels(opened.backbone, inputs(0).pixels, opened.device)
    torch.testing.assert_close(interpretable[0], start, atol=1e-4, rtol=1e-4)


def test_an_ou_walk_of_an_image_does_not_depend_on_those_beside_it(files):
    opened = open_translator(files.of_images)
    arguments = (["digit"], 6, 11, 0.1, None, "origin")
    both = module._wandering(opened, inputs(0), *arguments).z["interpretable"]
    first = Inputs(inputs(0).pixels[:1], ("one",))
    alone = module._wandering(opened, first, *arguments).z["interpretable"]
    assert torch.equal(both[:, :1], alone)
    z_tilde = torch.stack([opened.translator(z)[0] for z in both])
    moving = opened.factors.slice("digit")
    assert (z_tilde[1:, :, moving] - z_tilde[:-1, :, moving]).abs().min() > 1e-4
    rest = slice(moving.stop, None)
    torch.testing.assert_close(z_tilde[:, :, rest], z_tilde[:1, :, rest].expand(6, -1, -1), atol=1e-4, rtol=1e-4)


def test_the_figure_has_the_interpretable_walk_above_the_latent_one(files, tmp_path):
    result = walk(files.of_images, n=2, seed=3, steps=4, out=tmp_path / "out")
    assert (result.count, result.steps, result.factors) == (2, 4, ("digit", "color", "residual"))
    assert json.loads((tmp_path / "out" / "walk.json").read_text())["seed"] == 3
    page = np.asarray(Image.open(tmp_path / "out" / "walk.png"))
    right, step = page.shape[1] - GAP, 64 + GAP
    # The source image ends both rows of its pair; before it, the walks end in one reconstruction of it.
    source = page[-GAP - 64 - step : -GAP - step, right - 64 : right]
    assert (source == page[-GAP - 64 : -GAP, right - 64 : right]).all()
    opened = open_translator(files.of_images)
    z = encode_pixels(opened.backbone, source[None, ::2, ::2], opened.device)
    drawn = page[-GAP - 64 : -GAP, right - 64 - 64 - 6 * GAP : right - 64 - 6 * GAP]
    expected = decode_pixels(opened.backbone, z, opened.device)[0]
    assert np.abs(drawn[::2, ::2].astype(int) - expected).max() <= 1


def test_a_seed_gives_one_figure(files, tmp_path):
    for name, seed in (("a.png", 7), ("b.png", 7), ("c.png", 8)):
        result = walk(files.of_images, "ou", ["color"], n=1, steps=3, seed=seed, out=tmp_path / name)
        assert result.flip_rate is None
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c


@pytest.mark.parametrize("mode", ["linear", "ou"])
def test_a_classifier_gives_log_probabilities_and_flips(files, tmp_path, mode):
    result = walk(files.of_classes, mode, ["digit"], n=3, steps=12, seed=1, out=tmp_path / "out")
    with open(tmp_path / "out" / "walk.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["walk"] == "interpretable"]
    assert len(rows) == 3 * 12
    total = sum(np.exp(float(rows[5][f"log_probability.{name}"])) for name in "abcde")
    assert total == pytest.approx(1, abs=1e-4)
    first = {row["start"]: row["predicted"] for row in rows if row["step"] == "0"}
    flips = [row["predicted"] != first[row["start"]] for row in rows if row["step"] != "0"]
    assert result.flip_rate == pytest.approx(np.mean(flips))
    assert (result.latent_flip_rate is None) == (mode == "ou")
    assert (tmp_path / "out" / "walk.png").is_file()


def test_bad_input(files, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="linear, ou"):
        walk(files.of_images, "circle", out=out)
    with pytest.raises(UsageError, match="which factor"):
        walk(files.of_images, "ou", out=out)
    with pytest.raises(UsageError, match="no factor 'shape'"):
        walk(files.of_images, "linear", ["shape"], out=out)
    with pytest.raises(UsageError, match="gamma"):
        walk(files.of_images, "ou", ["digit"], gamma=0, out=out)
    with pytest.raises(UsageError, match="at least 2 steps"):
        walk(files.of_images, "ou", ["digit"], steps=1, out=out)
    with pytest.raises(UsageError, match="no end"):
        walk(files.of_images, "ou", ["digit"], source=[tmp_path], out=out)
    assert not out.exists()
