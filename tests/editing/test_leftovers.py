"""What other factors keep of an erased one: found where it is, nothing else taken, the same by one seed."""

import numpy as np
import pytest
import torch

from iin_cli.editing.leftovers import learn_leftovers
from iin_cli.errors import DataError
from iin_cli.interpretation.open_translator import OpenTranslator
from iin_cli.translator.erasing import Eraser
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator
from iin_cli.translator.layers import Whitening
from iin_cli.translator.pair_moments import PairedRows

FACTORS = Factors.of({"color": 1, "residual": 3}, relations={"color": "differ"})
IMAGES = 800


@pytest.fixture(scope="module")
def opened():
    """T is the identity: what is in z is in z̃."""
    translator = Translator(4, blocks=0, linear_start=True)
    translator.start_from(Whitening(4), torch.zeros(2, 4))
    return OpenTranslator(None, translator.eval(), FACTORS, {}, None, torch.device("cpu"))


def drawn(kept, seed=0, bias=0.9):
    """Two renderings of each image, the first mostly in its own colour f: (f, content + kept(f, content)); content."""
    generator = np.random.default_rng(seed)
    content = torch.from_numpy(generator.standard_normal((IMAGES, 3)).astype(np.float32))
    own = content[:, :1].sign() * bias
    color = torch.cat((own, torch.from_numpy(generator.uniform(-1, 1, (IMAGES, 1)).astype(np.float32))))
    both = torch.cat((content, content))
    z = torch.cat((color, both + kept(color, both)), dim=1)
    return PairedRows("color", "differ", z, np.tile(np.arange(IMAGES), 2)), both


def squared(color, content):
    """No linear map finds it; and how much there is depends on the image."""
    return torch.cat((2 * color.square() - 0.7, color * content[:, 1:2], torch.zeros_like(color)), dim=1)


@pytest.fixture(scope="module")
def learned(opened):
    return learn_leftovers(opened, ["color"], [drawn(squared)[0]], [None], seed=3)


def test_what_depends_on_the_factor_goes_and_what_goes_with_it_stays(opened, learned):
    eraser = Eraser(opened.translator, FACTORS, ["color"], leftovers=learned.leftovers)
    rows, content = drawn(squared, seed=1)
    after = eraser(rows.z)
    kept = squared(torch.zeros(len(content), 1), content)
    before_off, off = ((z[:, 1:] - content - kept).square().mean(0) for z in (rows.z, after))
    assert (off < 0.35 * before_off + 0.03).all(), (before_off, off)
    # The content goes with the colour in this data; it was not taken for colour.
    assert np.corrcoef(after[:, 1], content[:, 0])[0, 1] > 0.9
    assert learned.distance < 0.4 * learned.distance_before


def test_twice_is_once_and_draws_are_as_told(opened, learned):
    eraser = Eraser(opened.translator, FACTORS, ["color"], torch.tensor([[0.5]]), learned.leftovers)
    z = torch.randn(5, 4)
    once = eraser(z)
    torch.testing.assert_close(eraser(once), once, atol=1e-6, rtol=0)
    assert (once[:, 0] == 0).all()
    drawn_z = eraser.draws(z)[0]
    torch.testing.assert_close(drawn_z, torch.cat((torch.full((5, 1), 0.5), z[:, 1:]), dim=1), atol=1e-6, rtol=0)


def test_one_seed_one_result(opened, learned):
    again = learn_leftovers(opened, ["color"], [drawn(squared)[0]], [None], seed=3)
    assert again.as_dict() == learned.as_dict()
    for name, tensor in learned.leftovers.state_dict().items():
        assert torch.equal(again.leftovers.state_dict()[name], tensor), name


def test_where_nothing_is_kept_nothing_is_learned(opened):
    rows, _ = drawn(lambda color, content: torch.zeros_like(content))
    assert learn_leftovers(opened, ["color"], [rows], [rows], seed=0) is None


def test_pairs_that_share_the_concept_do_not_tell(opened):
    rows, _ = drawn(squared)
    shared = PairedRows("color", "share", rows.z, rows.groups)
    with pytest.raises(DataError, match="differ in color alone"):
        learn_leftovers(opened, ["color"], [shared], [None], seed=0)
