"""Counterfactuals in memory."""

import numpy as np
import pytest
import torch

from iin_cli.data.arrays import ArrayDataset
from iin_cli.errors import UsageError
from iin_cli.interpretation.opening import open_network, open_translator
from iin_cli.interpretation.reading import Inputs, Reading
from iin_cli.measures.counterfactuals.counterfactuals import find_counterfactuals
from iin_cli.measures.counterfactuals.reals import Reals, nll_of
from iin_cli.measures.counterfactuals.results import FREE, Counterfactual, Way, borders_of
from iin_cli.measures.counterfactuals.saying import Saying
from iin_cli.measures.explanation.library import Library

COUNT = 120


def reading_of(opened, count=COUNT):
    z_tilde = 1.5 * torch.randn(count, 8, generator=torch.Generator().manual_seed(0))
    data = ArrayDataset("mine", np.zeros((count, 32, 32, 3), np.uint8), {}, {"test": np.arange(count)})
    z = opened.inverse_transform(z_tilde)
    return Reading(opened, opened.network, data, np.arange(count), z, opened.transform(z))


def inputs_of(reading, count):
    return Inputs(reading.images[:count], tuple(f"image {row}" for row in range(count)), reading.z[:count])


@pytest.fixture
def classifier(files):
    return open_translator(files.of_classes)


@pytest.mark.parametrize("kind", ["of_classes", "of_images"])
def test_slopes_are_those_of_finite_differences(files, kind):
    opened = open_translator(getattr(files, kind))
    saying = Saying.of(opened, open_network(files.classifier) if kind == "of_images" else None)
    z_tilde = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2, 3])
    margin, slope = saying.margin_and_slope(z_tilde, target)
    assert torch.equal(margin.gt(0), saying.of_edits(z_tilde).argmax(1).eq(target))
    step = 2e-3 * torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    change = (saying.margin(z_tilde + step, target) - saying.margin(z_tilde - step, target)) / 2
    torch.testing.assert_close((slope * step).sum(1), change, atol=2e-4, rtol=0.1)


def test_likelihoods_are_told_by_those_of_real_images(classifier):
    reading = reading_of(classifier)
    reals = Reals.of(reading, Saying.of(classifier))
    own = nll_of(classifier, reading.z)
    order = own.argsort()
    percentile = reals.percentile(reading.z)
    assert percentile[order[0]] == 0
    assert percentile[order[-1]] == pytest.approx(100 * (COUNT - 1) / COUNT)
    inside = reals.inside(reading.z)
    assert not inside[order[0]]
    assert not inside[order[-1]]
    assert inside.sum() >= 0.97 * COUNT
    assert not reals.inside(classifier.inverse_transform(torch.full((1, 8), 40.0))).any()


def test_edits_begin_with_factors_of_images_of_the_class(classifier):
    reals = Reals.of(reading_of(classifier), Saying.of(classifier))
    target = reals.says[:1]
    free = torch.zeros(1, 8, dtype=torch.bool)
    free[:, :3] = True
    start = torch.zeros(1, 8)
    guesses = reals.guesses(start, free, target)[0]
    own = reals.z_tilde[reals.says == target]
    torch.testing.assert_close(guesses[0], own.mean(0))
    assert (guesses[1, :3] - start[0, :3]).norm() == own[:, :3].norm(dim=1).min()
    nobody = torch.tensor([next(c for c in range(6) if not (reals.says == c).any())])
    assert torch.equal(reals.guesses(start, free, nobody)[0], start.expand(4, -1))


def test_what_exists_says_the_target_within_the_radius(classifier):
    reading = reading_of(classifier)
    library, saved = Library.of(reading, k=3), []
    result = find_counterfactuals(library, reading, inputs_of(reading, 4), ["all"], save=saved.append)
    assert saved[-1].found == result.found
    assert (result.targets, result.factors) == (tuple("abcde"), ("digit", "color", "residual"))
    assert len(result.found) == 4 * 4
    assert not result.already
    ways = [way for each in result.found for way in each.ways]
    assert [way.factor for way in ways[:4]] == ["digit", "color", "residual", FREE]
    there = [way for way in ways if way.exists]
    assert 0 < len(there) <= len(ways)
    for way in there:
        assert 0 < way.cost <= way.radius
        assert way.probability > 1 / 5
        assert 0 <= way.likelihood_percentile <= 100
        assert len(way.nearest) == 3
    for each in result.found:
        assert each.predicted != each.target
        costs = {way.factor: way.cost for way in each.ways if way.exists}
        # What one factor does, all can do.
        assert all(costs[FREE] <= cost + 1e-4 for cost in costs.values())
        alone = {name: cost for name, cost in costs.items() if name != FREE}
        assert each.cheapest == (min(alone, key=alone.get) if alone else None)
    ((_, rows),) = result.tables()
    assert {row["from"] for row in rows} == {each.predicted for each in result.found}
    assert list(rows[0]) == ["from", *(f"to {name}" for name in sorted({each.target for each in result.found}))]
    assert "color" in str(rows) or "digit" in str(rows) or "residual" in str(rows)
    assert len(result.plot().axes) >= 4
    assert result.plot_borders().axes
    assert result.as_dict()["found"][0]["image"] == "image 0"


def test_one_image_one_factor_and_what_is_said_already(classifier):
    reading = reading_of(classifier)
    library, given = Library.of(reading), inputs_of(reading, 1)
    says = Saying.of(classifier).of_edits(reading.z_tilde[:1]).argmax(1).item()
    already = find_counterfactuals(library, reading, given, ["abcde"[says]], ["color"])
    assert (already.found, already.already) == ((), ("image 0",))
    other = "abcde"[(says + 1) % 5]
    (found,) = find_counterfactuals(library, reading, given, [other], ["color"]).found
    assert ([way.factor for way in found.ways], found.target) == (["color", FREE], other)
    assert find_counterfactuals(library, reading, given, [other], ["color"]).found == (found,)


def test_a_class_that_no_real_image_is_called_is_said_so(classifier, heard):
    reading = reading_of(classifier, 1)
    says = Saying.of(classifier).of_edits(reading.z_tilde).argmax(1).item()
    other = "abcde"[(says + 1) % 5]
    wide = reading_of(classifier)
    find_counterfactuals(Library.of(wide), reading, inputs_of(wide, 1), [other], ["color"], report=heard)
    assert heard.notes == [f"none of 1 real images is called {other}: only the image itself shows the way there"]


def test_an_oracle_looks_at_what_the_network_draws(files):
    opened = open_translator(files.of_images)
    reading, judge = reading_of(opened), open_network(files.classifier)
    library, given = Library.of(reading), inputs_of(reading, 1)
    result = find_counterfactuals(library, reading, given, ["all"], ["digit"], judge)
    for each in result.found:
        for way in each.ways:
            assert not way.exists or way.probability > 1 / 5
    assert any(way.exists for each in result.found for way in each.ways)
    exists = next(number for number, each in enumerate(result.found) if each.ways[-1].exists)
    assert "decoded edit" in [panel.get_title() for panel in result.plot(exists).axes]
    with pytest.raises(UsageError, match="--oracle a classifier"):
        Saying.of(opened)
    with pytest.raises(UsageError, match="leave --oracle out"):
        Saying.of(open_translator(files.of_classes), judge)


def test_the_cheapest_factor_of_a_border_is_that_of_most_images():
    def found(start, target, **costs):
        ways = tuple(Way(name, cost is not None, 9.0, cost) for name, cost in costs.items())
        there = {name: cost for name, cost in costs.items() if cost is not None}
        return Counterfactual("x", start, 1.0, target, min(there, key=there.get) if there else None, ways)

    borders = borders_of(
        [
            found("a", "b", color=1.0, digit=2.0),
            found("a", "b", color=3.0, digit=9.0),
            found("a", "b", color=4.0, digit=0.5),
            found("a", "b", color=None, digit=None),
            found("b", "a", color=None, digit=None),
        ]
    )
    first, second = borders
    assert (first.start, first.target, first.images, first.reached) == ("a", "b", 4, 3)
    assert (first.factor, first.share, first.cost) == ("color", pytest.approx(2 / 3), 2.0)
    assert (second.reached, second.factor, second.cost) == (0, None, None)
