"""Partial sampling: what is fixed is the image's factor, what varies is the seed's noise (Fig 15)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from iin_cli.data.folder import read_image
from iin_cli.distributed import noise
from iin_cli.editing.partial_sampling import PartialPrior
from iin_cli.editing.priors import TranslatorPrior
from iin_cli.editing.sampling import Parts, choose_parts
from iin_cli.errors import DataError, UsageError

FACTORS = {"digit": slice(0, 3), "color": slice(3, 5), "residual": slice(5, 8)}


@pytest.fixture
def images(tmp_path):
    """A larger photograph-like JPEG that is not square, and a grey PNG."""
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    Image.fromarray(pixels[:20, :20, 0]).save(tmp_path / "b.png")
    return tmp_path / "a.jpg", tmp_path / "b.png"


def z_tilde_of(opened, path):
    z = opened.network.encode_pixels(read_image(path, 32, opened.network.backbone.interpolation)[None])
    return opened.translator(z)[0][0]


def test_what_is_named_nowhere_follows_from_the_rest(opened):
    a, b = Path("a"), Path("b")
    assert choose_parts(opened.factors, [], []) is None
    assert choose_parts(opened.factors, [("residual", a)], []) == Parts(("digit", "color"), {"residual": a})
    both = [("residual", a), ("color", b)]
    assert choose_parts(opened.factors, both, []) == Parts(("digit",), {"color": b, "residual": a})
    assert choose_parts(opened.factors, both, ["digit"]) == Parts(("digit",), {"color": b, "residual": a})
    only = choose_parts(opened.factors, [("color", b)], ["residual"])
    assert only == Parts(("residual",), {"digit": b, "color": b})
    assert choose_parts(opened.factors, [("color", b)], ["residual", "digit"]).varied == ("digit", "residual")


@pytest.mark.parametrize(
    ("fix", "vary", "words"),
    [
        ([], ["digit"], r"add --fix residual=IMAGE"),
        ([], ["residual"], r"add --fix color=IMAGE"),
        (["digt"], [], r"did you mean digit"),
        (["digit"], ["colour"], r"did you mean color"),
        (["digit"], ["digit"], r"digit is both fixed and varied"),
        (["digit", "digit"], [], r"digit is named twice"),
        (["digit", "color", "residual"], [], r"every factor"),
    ],
)
def test_what_contradicts_itself_is_refused(opened, fix, vary, words):
    with pytest.raises(UsageError, match=words):
        choose_parts(opened.factors, [(name, Path("x")) for name in fix], vary)


def test_fixed_factors_are_the_images_and_varied_ones_the_seeds(opened, images, latents):
    a, b = images
    prior = PartialPrior(opened, Parts(("digit",), {"color": b, "residual": a}), truncation=0.5)
    found = opened.translator(latents(prior, range(40)))[0]
    for name, path in (("residual", a), ("color", b)):
        expected = z_tilde_of(opened, path)[FACTORS[name]]
        assert torch.allclose(found[:, FACTORS[name]], expected.expand(40, -1), atol=1e-4)
    assert not torch.allclose(z_tilde_of(opened, a), z_tilde_of(opened, b), atol=1e-2)
    assert torch.allclose(found[:, FACTORS["digit"]], 0.5 * noise(range(40), 8)[:, FACTORS["digit"]], atol=1e-4)
    assert set(prior.digests) == {"color", "residual"}
    assert len(set(prior.digests.values())) == 2


def test_with_everything_varied_it_is_eq_13(opened, latents):
    found = latents(PartialPrior(opened, Parts(("digit", "color", "residual"), {})), range(5))
    assert torch.equal(found, latents(TranslatorPrior(opened), range(5)))


def test_an_image_that_is_none_is_named(opened, tmp_path):
    with pytest.raises(UsageError, match=r"--fix digit=.* is a folder: name one image"):
        PartialPrior(opened, Parts(("color", "residual"), {"digit": tmp_path}))
    with pytest.raises(DataError, match=r"no such image: .*gone\.png"):
        PartialPrior(opened, Parts(("color", "residual"), {"digit": tmp_path / "gone.png"}))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match=r"text\.png"):
        PartialPrior(opened, Parts(("color", "residual"), {"digit": tmp_path / "text.png"}))
