"""Pairs of latents in memory: of which rows they are, what is held out together, and what is refused."""

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError, UsageError
from iin_cli.fitting.pairs import Pairs
from iin_cli.latents.pairs import step_generator

COUNT, DIM = 400, 4
Z = np.random.default_rng(0).standard_normal((COUNT, DIM)).astype(np.float32)
DIGIT = np.arange(COUNT) % 5


def drawn(sampler):
    a, b = sampler.draw(3000, step_generator(0, 0, 0))
    return np.concatenate((a, b)), a, b


def test_items_of_equal_labels_make_pairs():
    material = Pairs(Z).share("digit", DIGIT).material()
    assert (len(material.table), material.dim, material.relations) == (COUNT, DIM, {"digit": "share"})
    assert material.held_out.sum() == COUNT / 10
    (pairs,) = material.pairs
    both = [drawn(sampler) for sampler in (pairs.fit, pairs.held_out)]
    for rows, a, b in both:
        assert (DIGIT[a] == DIGIT[b]).all()
        assert (a != b).all()
        assert len(np.unique(DIGIT[rows])) == 5
    assert set(both[0][0]) == set(np.flatnonzero(~material.held_out))
    assert set(both[1][0]) == set(np.flatnonzero(material.held_out))


@pytest.mark.parametrize(
    "labels", [DIGIT.tolist(), [f"d{d}" for d in DIGIT], torch.tensor(DIGIT), DIGIT.astype(np.float64), DIGIT - 2]
)
def test_labels_of_any_kind_make_the_same_pairs(labels):
    expected, found = (Pairs(Z).share("digit", given).material().pairs[0].fit for given in (DIGIT, labels))
    for name in ("order", "starts", "sizes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_negative_groups_make_no_pair():
    groups = np.where(np.arange(COUNT) < 100, DIGIT, -1)
    (pairs,) = Pairs(Z).share("digit", groups=groups).material().pairs
    assert drawn(pairs.fit)[0].max() < 100


def test_an_item_and_its_renderings_make_pairs():
    material = Pairs(Z).share("digit", DIGIT).differ("hue", [Z + 10, torch.from_numpy(Z) + 20]).material()
    assert (len(material.table), material.relations) == (3 * COUNT, {"digit": "share", "hue": "differ"})
    pairs = material.pairs[1]
    rows, a, b = drawn(pairs.fit)
    assert (a % COUNT == b % COUNT).all()
    assert set(rows // COUNT) == {0, 1, 2}
    # All renderings of an item are held out with it.
    np.testing.assert_array_equal(material.held_out, np.tile(material.held_out[:COUNT], 3))
    np.testing.assert_array_equal(pairs.sources, np.tile(np.arange(COUNT), 3))
    np.testing.assert_array_equal(material.table.mean(np.array([COUNT + 7, 2 * COUNT + 7])), [Z[7] + 10, Z[7] + 20])
    assert material.table.called(2 * COUNT + 7) == "row 7 of a rendering of hue"
    assert material.table.called(7) == "row 7 of z"
    # Labels are those of the items alone.
    assert drawn(material.pairs[0].fit)[0].max() < COUNT


def test_renderings_within_z_are_held_out_together():
    groups = np.arange(COUNT) // 2
    # Items 0 and 2 are joined by the other concept, and so are the pairs they belong to.
    others = np.where(np.isin(np.arange(COUNT), (0, 2)), 0, -1)
    material = Pairs(Z).differ("light", groups=groups).differ("pose", groups=others).material()
    _, a, b = drawn(material.pairs[0].fit)
    assert (a // 2 == b // 2).all()
    np.testing.assert_array_equal(material.held_out[0::2], material.held_out[1::2])
    sources = material.pairs[0].sources
    assert len(np.unique(sources)) == COUNT / 2 - 1
    assert len(set(sources[:4])) == 1
    assert material.pairs[0].held_out is not None


def test_sources_that_are_given_are_kept():
    sources = np.arange(COUNT) // 4
    material = Pairs(Z, sources=sources).share("digit", DIGIT).material()
    held_out = material.held_out.reshape(-1, 4)
    assert (held_out.all(1) == held_out.any(1)).all()
    assert material.held_out.sum() == COUNT / 10


def test_pairs_do_not_change():
    start = Pairs(Z)
    one = start.share("digit", DIGIT)
    two = one.differ("hue", Z)
    assert [len(pairs.material().pairs) for pairs in (start, one, two)] == [0, 1, 2]
    assert repr(two) == "Pairs(400 latents, N = 4; share digit, differ hue)"
    assert repr(start) == "Pairs(400 latents, N = 4; no concept)"


def test_a_stochastic_encoder_is_sampled():
    variance = np.full_like(Z, np.log(4))
    table = Pairs(Z, log_variance=variance).differ("hue", Z + 1, log_variance=variance).material().table
    assert table.stochastic
    np.testing.assert_allclose(table.sample(np.array([3]), np.ones((1, DIM), np.float32))[0], Z[3] + 2, rtol=1e-6)


def test_warnings(heard):
    Pairs(Z[:30]).share("digit", np.arange(30) // 2).material(heard)
    assert heard.warnings == [
        "too few items to hold pairs out: the fit is judged by the pairs that it is fitted to",
        "z gives 30 latents, fewer than 10·N = 40: expect the held-out NLL to turn early; more data helps most",
    ]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Pairs(Z[0]), DataError, r"z has shape \(4,\)"),
        (lambda: Pairs(DIGIT[:, None]), DataError, "z has 1 numbers per row"),
        (lambda: Pairs(Z, log_variance=Z[:9]), DataError, "the log_variance of z has 9 rows, z has 400"),
        (lambda: Pairs(Z, sources=DIGIT[:9]), DataError, r"sources have shape \(9,\), z has 400 rows"),
        (lambda: Pairs(Z).share("digit", DIGIT[:9]), DataError, r"labels have shape \(9,\), z has 400 rows"),
        (lambda: Pairs(Z).share("color", Z), DataError, r"write np\.unique\(labels, axis=0"),
        (lambda: Pairs(Z).share("size", Z[:, 0]), DataError, r"measurements, .* write np\.digitize"),
        (lambda: Pairs(Z).share("size", np.where(DIGIT == 3, np.nan, 1)), DataError, "not finite in row 3"),
        (lambda: Pairs(Z).share("digit", [None, *"ab" * 199, "a"]), DataError, "labels are of several kinds"),
        (lambda: Pairs(Z).share("digit", [[1], [2, 3]]), DataError, "labels are no array"),
        (lambda: Pairs(Z).share("digit", np.ones(COUNT, int)), DataError, "all labels are equal"),
        (lambda: Pairs(Z).share("digit"), UsageError, "give either labels or groups="),
        (lambda: Pairs(Z).share("digit", DIGIT, groups=DIGIT), UsageError, "give either labels or groups="),
        (lambda: Pairs(Z).share("digit", groups=Z[:, 0]), DataError, "groups hold float32"),
        (lambda: Pairs(Z).share("residual", DIGIT), UsageError, "residual is taken"),
        (lambda: Pairs(Z).share("", DIGIT), UsageError, "a concept's name is a word"),
        (lambda: Pairs(Z).share("a", DIGIT).differ("a", Z), UsageError, "the concept a is given twice"),
        (lambda: Pairs(Z).differ("hue"), UsageError, "give either renderings or groups="),
        (lambda: Pairs(Z).differ("hue", []), DataError, r"the rendering of hue has shape \(0,\)"),
        (lambda: Pairs(Z).differ("hue", Z[:9]), DataError, "the rendering of hue has 9 rows, z has 400"),
        (lambda: Pairs(Z).differ("hue", Z[:, :2]), DataError, "the rendering of hue has 2 numbers per row, needs 4"),
        (lambda: Pairs(Z).differ("hue", np.full_like(Z, np.inf)), DataError, "rendering of hue is not finite in row 0"),
        (lambda: Pairs(Z, log_variance=Z).differ("hue", Z), DataError, "either z and its renderings have a log_var"),
        (lambda: Pairs(Z, log_variance=Z).differ("hue", [Z, Z], log_variance=[Z]), DataError, "give one each"),
        (lambda: Pairs(Z[:3]).material(), DataError, "z has 3 rows, fewer than the 4 that a translator of N = 4 needs"),
        (lambda: Pairs(Z).share("id", np.arange(COUNT)).material(), DataError, "concept id makes no pair"),
    ],
)
def test_what_cannot_be_paired(make, error, message):
    with pytest.raises(error, match=message):
        make()
