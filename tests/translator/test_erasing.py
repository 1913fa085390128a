"""Erased latents: what is left of a factor, where it is constant, and what is refused."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from iin_cli.api.fitting import fit
from iin_cli.data import open_dataset
from iin_cli.editing.leftovers import learn_leftovers
from iin_cli.errors import UsageError
from iin_cli.fitting.pairs import Pairs
from iin_cli.metrics.informativeness import Lesson, Target
from iin_cli.metrics.telling import told
from iin_cli.translator.erasing import Eraser
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator

FACTORS = Factors.of({"digit": 2, "color": 2, "residual": 3})


@pytest.fixture
def translator():
    return Translator(7, blocks=2, hidden=8, seed=1)


def test_the_factor_is_at_its_mean_and_all_else_as_it_was(translator):
    z = torch.randn(6, 7)
    before, after = translator(z)[0], translator(Eraser(translator, FACTORS, ["color"])(z))[0]
    color = FACTORS.slice("color")
    assert after[:, color].abs().max() < 1e-5
    kept = torch.ones(7, dtype=torch.bool)
    kept[color] = False
    torch.testing.assert_close(after[:, kept], before[:, kept], atol=1e-5, rtol=1e-5)


def test_draws_take_the_place_of_several_factors(translator):
    values, z = torch.randn(3, 5), torch.randn(4, 7)
    eraser = Eraser(translator, FACTORS, ["residual", "digit"], values)
    rows = translator(eraser.draws(z).view(-1, 7))[0].view(3, 4, 7)
    for draw, value in zip(rows, values, strict=True):
        wanted = torch.cat(
            (value[:2].expand(4, 2), translator(z)[0][:, FACTORS.slice("color")], value[2:].expand(4, 3)), 1
        )
        torch.testing.assert_close(draw, wanted, atol=1e-4, rtol=1e-4)


def test_a_factor_that_is_not_there(translator):
    with pytest.raises(UsageError, match="did you mean color"):
        Eraser(translator, FACTORS, ["colr"])


def accuracies(head, z, label, color):
    """Of the worst and of all groups: a label in a colour."""
    right = head.predict(z) == label
    groups = [right[(label == side) & (color == hue)].mean() for side in (0, 1) for hue in (0, 1)]
    return min(groups), np.mean(groups)


def test_a_biased_head_on_colordigits():
    """Digits below five are red in 95 % of what a linear head learns from, the others blue; a test image has either."""
    dataset = open_dataset("colordigits")
    red, blue = dataset.colors[:, 0], dataset.colors[:, 2]
    items = np.flatnonzero(np.abs(red - blue) > 0.3)
    items = items[np.isin(items, np.concatenate([dataset.splits["train"], dataset.splits["test"]]))][::3]
    pixels = dataset.images(items, 32)[:, ::2, ::2].reshape(len(items), -1).astype(np.float32) / 255
    train = np.isin(items, dataset.splits["train"])
    axes = np.linalg.svd(pixels[train] - pixels[train].mean(0), full_matrices=False)[2][:40]
    z = (pixels - pixels[train].mean(0)) @ axes.T
    label, color = (dataset.labels["digit"].values[items] < 5).astype(int), (red > blue)[items].astype(int)
    rare = np.random.default_rng(0).random(len(items)) < 0.05
    seen = train & ((label == color) ^ rare)
    head = LogisticRegression(max_iter=200).fit(z[seen], label[seen])
    # What shows one digit in several colours differs in colour.
    pairs = Pairs(z[train]).differ("color", groups=dataset.sources[items][train])
    t = fit(pairs, method="linear", seed=0)
    latents = pairs.material().paired_latents(0)
    learned = learn_leftovers(t, ["color"], latents.fit, latents.held_out, seed=0)
    eraser = Eraser(t.translator, t.factors, ["color"], leftovers=learned.leftovers)
    both = z, eraser(torch.from_numpy(z)).numpy()
    (worst, mean), (worst_after, mean_after) = (
        accuracies(head, rows[~train], label[~train], color[~train]) for rows in both
    )
    assert worst_after > worst + 0.1
    assert mean_after > mean - 0.02
    before, after = (
        told(rows[~train], Target(color[~train]), Lesson(rows[train], Target(color[train]))) for rows in both
    )
    assert min(before.linear, before.network) > 0.9
    assert max(after.linear, after.network) < after.chance + 0.05
