"""Few items that make the variance are found and named; of latents as they should be nothing is said."""

import numpy as np
import pytest
import torch

from iin_cli.concepts.image_ops import greyscale_concept, rotation_concept
from iin_cli.latents import dominance as outliers
from iin_cli.latents.cache import Latents
from iin_cli.latents.dominance import check_dominance, find_dominance, names_of_rows, variant_of
from iin_cli.latents.table import LatentTable


def found(z, rows=None, called="item {}".format):
    z = torch.as_tensor(z)
    return find_dominance(lambda numbers: z[numbers], np.arange(len(z)) if rows is None else rows, called)


def normal(count, dim, seed=0):
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)


def test_one_item_that_makes_half_of_the_variance_is_named_with_its_figures():
    """Rows are ±1, so that every squared deviation is N: that of one of 32·√N is 1,024 times as much."""
    signs = np.sign(normal(500, 16))
    signs = np.concatenate((signs, -signs))
    signs[417] *= 32
    # Away from the origin, since deviations count and norms do not.
    dominance = found(signs + 100)
    assert list(dominance.items) == ["item 417"]
    assert dominance.items["item 417"] == pytest.approx(1024, rel=0.01)
    assert dominance.share == pytest.approx(1024 / (999 + 1024), rel=0.01)
    assert dominance.among == 1000
    assert dominance.as_dict() == {"share": dominance.share, "items": dominance.items, "among": 1000}
    assert str(dominance).startswith("1 of 1,000 latents has 51% of all squared deviation from the mean: item 417 (1,0")


def test_several_items_are_named_by_size_and_more_than_three_counted():
    z = normal(1000, 8)
    for place, size in ((10, 30), (20, 60), (30, 40), (40, 50)):
        z[place] = size
    dominance = found(z)
    assert list(dominance.items) == ["item 20", "item 40", "item 30", "item 10"]
    assert "item 30 (" in str(dominance)
    assert "item 10" not in str(dominance)
    assert str(dominance).endswith(" × the median) and 1 more")


@pytest.mark.parametrize("count", [2, 3, 20, 1000])
@pytest.mark.parametrize("dim", [2, 64])
def test_ordinary_latents_are_not_suspected(count, dim):
    for seed in range(5):
        z = normal(count, dim, seed)
        assert found(z) is None
        # Nor two classes far apart.
        assert found(z + 100 * np.sign(normal(count, 1, seed + 50))) is None


def test_features_that_are_never_negative_and_often_zero_are_not_suspected():
    for seed in range(5):
        assert found(np.maximum(normal(200, 64, seed) - 1, 0)) is None


def test_what_is_far_but_makes_little_of_the_variance_is_left_alone():
    z = normal(10_000, 64)
    z[5] *= 10
    assert found(z) is None


def test_a_class_of_long_vectors_is_no_few_items():
    z = normal(2000, 64)
    z[:200] *= 20
    assert found(z) is None


def test_latents_that_do_not_vary_and_one_alone():
    assert found(np.zeros((30, 4), np.float32)) is None
    assert found(np.ones((1, 4), np.float32)) is None
    assert found(np.ones((0, 4), np.float32)) is None


def test_only_the_rows_asked_for_count_and_each_is_read_once(monkeypatch):
    monkeypatch.setattr(outliers, "CENTER_ROWS", 10)
    monkeypatch.setattr(outliers, "BLOCK_NUMBERS", 40)
    z, reads = torch.from_numpy(normal(300, 4)), []
    z[7] = 1000
    z[127] = 1000

    def read(numbers):
        reads.append(len(numbers))
        return z[numbers]

    dominance = find_dominance(read, np.arange(100, 300), str)
    assert list(dominance.items) == ["127"]
    # One to see how wide they are, ten for the center, and 200 by tens.
    assert reads == [1, 10] + 20 * [10]


def test_rows_are_called_after_image_and_variant():
    class Data:
        def path(self, index):
            return f"{index}.png"

    provider = greyscale_concept()
    called = names_of_rows(Data(), [np.array([5, 6]), np.array([6])], [variant_of(None, 0), variant_of(provider, 1)])
    assert [called(row) for row in range(3)] == [
        "5.png",
        "6.png",
        "6.png (greyscale)",
    ]
    assert variant_of(provider, 0) == ""
    rotation = rotation_concept("30")
    assert variant_of(rotation, 1) == f" (rotation {rotation.variant_name(1)})"


def test_the_warning_is_one_line(heard):
    z, rows = normal(100, 3), np.arange(100)
    assert check_dominance(LatentTable([Latents(z, None)]), rows, heard) is None
    assert heard.warnings == []
    z[3] = 100
    assert check_dominance(LatentTable([Latents(z, None)], "cat/{}.jpg".format), rows, heard) is not None
    (line,) = heard.warnings
    assert line.startswith("the scores are dominated by few items: 1 of 100 latents has ")
    assert "cat/3.jpg (" in line
    assert "\n" not in line
