"""What is there is found and what is not is not, with nulls in closed form; intervals are of whole items."""

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.latents.cache import Latents
from iin_cli.latents.pairs import PairSampler, step_generator
from iin_cli.latents.table import ConceptPairs, LatentTable
from iin_cli.latents.thinning import thin
from iin_cli.metrics.bootstrap import Resampling
from iin_cli.sizing.evidence import ABSENT, FOUND, collect_evidence, weigh


def latents(count, dim, seed=0):
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


def judged(z, groups, relation="share", sources=None, seed=0, **options):
    sources = np.arange(len(z)) if sources is None else sources
    resampling = Resampling(**{"resamples": 200, "seed": seed, **options})
    return weigh(torch.from_numpy(z), groups, sources, relation, "variance", resampling)


def test_a_share_concept_that_is_there_and_one_that_is_not():
    """One of four components is the group's own: the score is 1/4, and its null −1/(M − 1)."""
    groups = np.repeat(np.arange(200), 5)
    z = latents(1000, 4)
    z[:, 0] = latents(200, 1, seed=1)[groups, 0]
    there = judged(z, groups)
    assert there.verdict == FOUND
    assert there.score.low < 0.25 < there.score.high
    assert there.null.low < -1 / 999 < there.null.high
    assert there.null.value == pytest.approx(-1 / 999, abs=0.004)
    assert there.excess == pytest.approx(there.score.value - there.null.value)
    assert there.z > 20
    absent = judged(z, np.random.default_rng(3).permutation(groups))
    assert (absent.verdict, absent.excess) == (ABSENT, 0)
    assert absent.score.low < 0 < absent.score.high


@pytest.mark.slow
def test_noise_is_found_as_rarely_as_promised():
    z, found = latents(300, 6), 0
    for seed in range(40):
        groups = np.random.default_rng(100 + seed).integers(0, 5, 300)
        found += judged(z, groups, seed=seed, resamples=2, shuffles=99).found
    assert found <= 2


def test_a_concept_in_a_direction_of_little_variance_is_found_though_it_hardly_scores():
    groups = np.repeat(np.arange(100), 8)
    z = latents(800, 5)
    z[:, 4] = latents(100, 1, seed=1)[groups, 0]
    z *= np.array([10, 10, 10, 10, 0.1], np.float32)
    faint = judged(z, groups)
    assert faint.verdict == FOUND
    assert faint.score.value < faint.null.high
    assert faint.z > 10


def test_a_differ_concept_that_is_there_and_one_that_is_not():
    """A change of variance v on top of variance 1 scores v / (1 + v) · … of two variants: |d|²/2 ÷ the variance."""
    images = latents(400, 5)
    changed = images + 0.5 * latents(400, 5, seed=1)
    groups = np.tile(np.arange(400), 2)
    there = judged(np.concatenate((images, changed)), groups, "differ", groups)
    # Half the mean square of the difference, 0.125, by the mean of the two variances, 1 and 1.25.
    assert there.score.low < 0.125 / 1.125 < there.score.high
    assert (there.verdict, there.null.value, there.score.items) == (FOUND, 0, 400)
    absent = judged(np.concatenate((images, images)), groups, "differ", groups)
    assert absent.verdict == ABSENT
    assert absent.score.value == pytest.approx(0, abs=1e-6)
    assert (absent.p_value, absent.excess) == (1, 0)
    # Rounding moves z, and is nothing.
    rounded = np.concatenate((images, images + 1e-5 * latents(400, 5, seed=2)))
    assert judged(rounded, groups, "differ", groups).verdict == ABSENT
    unrelated = judged(latents(800, 5, seed=4), groups, "differ", groups)
    assert unrelated.score.low < 1 < unrelated.score.high


def test_of_few_groups_images_are_drawn_and_of_many_the_groups():
    z = latents(400, 3)
    assert judged(z, np.arange(400) % 10).score.items == 400
    assert judged(z, np.arange(400) % 80).score.items == 80


def test_renderings_of_one_image_are_one_item():
    """Each image stands twice in its group, alike: with labels that mean nothing, that is no concept."""
    z, labels = latents(200, 4), np.random.default_rng(5).integers(0, 6, 200)
    sources = np.repeat(np.arange(200), 2)
    twice = judged(z[sources], labels[sources], sources=sources)
    assert twice.verdict == ABSENT
    assert twice.score.items == 200
    # Taken for independent they would be.
    assert judged(z[sources], labels[sources]).verdict == FOUND
    # Two variants of each of two renderings: what is drawn together is the image.
    groups = np.tile(np.arange(400), 2)
    pairs = judged(np.concatenate((z[sources], -z[sources])), groups, "differ", np.tile(sources, 2))
    assert pairs.score.items == 200


def test_intervals_hold_what_they_promise():
    """Of 40 samples of a population the interval misses its score seldom, since whole groups are drawn."""
    missed = 0
    for seed in range(40):
        groups = np.repeat(np.arange(60), 4)
        z = latents(240, 2, seed=1000 + seed) + latents(60, 2, seed=5000 + seed)[groups]
        found = judged(z, groups, seed=seed, resamples=100, shuffles=1)
        missed += not found.score.low <= 0.5 <= found.score.high
    assert missed <= 6


def test_one_group_and_a_latent_of_one_dimension_and_few_items():
    alone = judged(latents(20, 3), np.zeros(20, np.int64))
    assert (alone.verdict, alone.p_value, alone.z) == (ABSENT, 1, None)
    thin_latent = judged(np.repeat(latents(6, 1), 2, 0) + 0.01 * latents(12, 1, seed=2), np.repeat(np.arange(6), 2))
    assert thin_latent.score.value > 0.9


def test_what_does_not_vary_is_refused():
    with pytest.raises(DataError, match="do not vary"):
        judged(np.zeros((20, 3), np.float32), np.arange(20) % 4)


def test_thinning_keeps_groups_whole_where_there_are_enough():
    groups = np.repeat(np.arange(1000), 3)
    kept = thin(groups, 600, step_generator(0, 0, 0))
    assert len(kept) == 600
    assert set(np.bincount(groups[kept])) <= {0, 3}
    classes = np.arange(3000) % 10
    kept = thin(classes, 600, step_generator(0, 0, 0))
    assert set(np.bincount(classes[kept])) == {60}
    assert (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(thin(classes, 10_000, step_generator(0, 0, 0)), np.arange(3000))


def test_of_small_groups_that_are_too_many_some_are_kept_whole_and_a_rare_class_is_kept_too():
    pairs = np.arange(60) // 2
    kept = thin(pairs, 30, step_generator(0, 0, 0))
    assert len(kept) == 30
    assert set(np.bincount(pairs[kept])) == {0, 2}
    classes = np.concatenate((np.repeat(np.arange(9), 1000), [9, 9, 9, 10]))
    counts = np.bincount(classes[thin(classes, 500, step_generator(0, 0, 0))])
    assert len(counts) == 10
    assert counts[-1] == 2
    assert set(counts[:-1]) == {55}


def test_of_less_than_the_limit_all_stay_but_who_is_alone():
    groups = np.array([3, 3, 7, 5, 5, 5])
    assert thin(groups, 100, step_generator(0, 0, 0)).tolist() == [0, 1, 3, 4, 5]


def test_a_table_is_weighed_by_what_it_is_fitted_to(heard):
    groups = np.arange(300) % 6
    z = latents(300, 4)
    z[:, :2] += 2 * latents(6, 2, seed=1)[groups]
    # Rows that are held out would spoil it.
    z[250:] *= 1000
    fit = PairSampler.of(np.arange(250), groups[:250], "x")
    noise = PairSampler.of(np.arange(40), groups[:40][::-1] % 2, "y")
    pairs = [ConceptPairs("x", "share", fit, None), ConceptPairs("y", "share", noise, None, np.arange(300))]

    found = collect_evidence(LatentTable([Latents(z, None)]), pairs, "variance", Resampling(500, 99), heard)
    assert list(found) == ["x", "y"]
    assert found["x"].found
    assert found["x"].score.items == 250
    assert heard.warnings == ["concept y: the interval of its score, from 40 items, is rough"]
    assert set(found["x"].as_dict()) == {"score", "null", "z", "p_value", "verdict"}
