"""Sets of images that are read from anywhere, image by image."""

import numpy as np
import pytest
import torch
from PIL import Image

from iin_cli.data import open_dataset
from iin_cli.editing.priors import BackbonePrior, TranslatorPrior, generate
from iin_cli.fid.image_sets import Stored, drawn, reconstructions
from iin_cli.interpretation.opening import open_translator


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits")


def read_set(images):
    return np.stack(list(images.read(0, images.count)))


def test_a_set_of_images_can_be_read_from_anywhere(opened, digits):
    seeds = range(300)
    for images in (
        drawn(opened, TranslatorPrior(opened), seeds),
        reconstructions(opened.network, Stored(digits, digits.splits["test"][:100])),
    ):
        whole = read_set(images)
        assert images.image_size == whole.shape[1]
        for start, stop in ((0, 50), (50, 100), (33, 65), (70, 70)):
            part = list(images.read(start, stop))
            assert len(part) == stop - start
            assert all((image == whole[start + place]).all() for place, image in enumerate(part))


def test_drawn_images_are_those_that_generate_draws(opened):
    prior = BackbonePrior(opened.network.backbone)
    images = drawn(opened, prior, range(5, 75))
    assert (images.name, images.count) == ("backbone", 70)
    wanted = np.concatenate(list(generate(opened.network.backbone, prior, range(5, 75), torch.device("cpu"))))
    assert (read_set(images) == wanted).all()


def test_a_drawn_image_depends_on_its_seed_alone(opened):
    whole = read_set(drawn(opened, TranslatorPrior(opened), range(100)))
    assert (whole.shape, whole.dtype) == ((100, 32, 32, 3), np.uint8)
    part = read_set(drawn(opened, TranslatorPrior(opened), [70, 3]))
    # Another batch may round one level otherwise.
    assert np.abs(part.astype(int) - whole[[70, 3]].astype(int)).max() <= 1
    with torch.no_grad():
        z = opened.translator.inverse(torch.randn(1, 8, generator=torch.Generator().manual_seed(3)))
        wanted = (opened.network.backbone.decode(z)[0].permute(1, 2, 0).clamp(-1, 1) + 1) / 2 * 255
    assert np.abs(whole[3] - wanted.numpy()).max() <= 1.01


def test_identities_tell_apart_what_is_drawn(opened, files):
    def identity(prior, seeds=range(10)):
        return drawn(opened, prior, seeds).identity

    translator, backbone = TranslatorPrior(opened), BackbonePrior(opened.network.backbone)
    other = open_translator(files.of_images)
    some = [
        identity(translator),
        identity(TranslatorPrior(opened, 0.5)),
        identity(backbone),
        identity(BackbonePrior(opened.network.backbone, 0.5)),
        identity(translator, range(1, 11)),
        identity(translator, range(11)),
    ]
    assert all(first != second for place, first in enumerate(some) for second in some[:place])
    assert identity(TranslatorPrior(opened)) == some[0]
    # Of another translator nothing is known here, though it may be the same.
    assert identity(TranslatorPrior(other)) is None


def test_stored_images_are_read_as_asked(digits, tmp_path):
    items = np.arange(100)
    small, large = Stored(digits, items).images(16), Stored(digits, items).images(16, "bilinear")
    assert (read_set(small) == digits.images(items, 16)).all()
    assert (read_set(large) == digits.images(items, 16, "bilinear")).all()
    assert small.identity != large.identity
    assert (small.image_size, Stored(digits, items).images(None).image_size) == (16, digits.native_size)
    for index in range(70):
        Image.new("RGB", (5 + index, 9), (index, 0, 0)).save(tmp_path / f"{index:02d}.png")
    stored = Stored.of(open_dataset(str(tmp_path))).images(None)
    assert stored.image_size is None
    assert [image.shape for image in stored.read(60, 70)] == [(9, 5 + index, 3) for index in range(60, 70)]


def test_a_set_has_the_pixels_that_every_command_sees(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    layer, grey = Image.fromarray(colors), Image.fromarray(colors[..., 0].astype(np.uint16) * 257)
    over = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    layer.save(tmp_path / "a.png")
    over.save(tmp_path / "b.png")
    grey.save(tmp_path / "c.png")
    Image.fromarray(colors[..., 0]).save(tmp_path / "d.png")
    over.save(tmp_path / "e.png", exif=turned)
    whole = read_set(Stored.of(open_dataset(str(tmp_path))).images(None))
    assert (whole[0] == whole[1]).all()
    assert (whole[2] == whole[3]).all()
    assert (whole[4] == np.rot90(whole[1], -1)).all()
    assert (whole == open_dataset(str(tmp_path)).images(np.arange(5), 8)).all()
