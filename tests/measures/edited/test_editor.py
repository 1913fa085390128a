import json
import math

import numpy as np
import pytest
import torch

from iin_cli.commands.edit.edit import edit
from iin_cli.commands.edit.swap import swap
from iin_cli.commands.read.explain import explain
from iin_cli.distributed import noise
from iin_cli.editing.recipe import Along, Change, Recipe
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData
from iin_cli.measures.edited.editor import Editor
from iin_cli.measures.edited.items import start_of
from iin_cli.measures.edited.surroundings import CONTROLS, Surroundings
from iin_cli.measures.explanation.edits import EditChoice
from iin_cli.measures.explanation.library import LibraryChoice
from iin_cli.progress import Silent

DIGIT, COLOR = slice(0, 3), slice(3, 5)


def surroundings(opened, pictures):
    return Surroundings(opened, ChosenData(opened, DataChoice(str(pictures)), Silent()), Silent())


@pytest.fixture
def editor(files, pictures, cache):
    opened = open_translator(files.of_classes)
    return Editor(opened, surroundings(opened, pictures))


@pytest.fixture
def start(editor):
    return start_of(editor.opened, editor.surroundings.data, ["test:0", "test:1"])


def changed(editor, start, *changes, **attributes):
    recipe = Recipe(changes, tuple(Along(name, amount) for name, amount in attributes.items()))
    return editor.change(start.z_tilde, recipe, {"source": start.z_tilde[1]})


def test_a_whole_swap_takes_the_very_numbers_and_half_a_swap_half_the_way(editor, start):
    own, source = start.z_tilde[0], start.z_tilde[1]
    whole = changed(editor, start, Change("digit", "source"))[0]
    assert torch.equal(whole[DIGIT], source[DIGIT])
    assert torch.equal(whole[3:], own[3:])
    half = changed(editor, start, Change("digit", "source", 0.5))[0]
    torch.testing.assert_close(half[DIGIT], (own + source)[DIGIT] / 2)
    beyond = changed(editor, start, Change("digit", "source", 2.0))[0]
    torch.testing.assert_close(beyond[DIGIT], (2 * source - own)[DIGIT])
    assert torch.equal(changed(editor, start, Change("digit", "source", 0.0)), start.z_tilde)


def test_a_draw_depends_on_its_seed_alone(editor, start):
    drawn = changed(editor, start, Change("color", 5))
    assert torch.equal(drawn[:, COLOR], noise([5], 8)[0, COLOR].expand(2, -1))


def test_a_move_is_as_long_as_it_says_and_lies_in_the_factor(editor, start):
    moved = changed(editor, start, Change("digit", move=(3.0, -4.0))) - start.z_tilde
    assert moved[:, DIGIT].norm(dim=1).tolist() == pytest.approx([5.0, 5.0])
    assert not moved[:, 3:].any()
    before, after = (
        editor.edit(start, Recipe(), {}),
        editor.edit(start, Recipe((Change("digit", move=(3.0, -4.0)),)), {}),
    )
    for one, other in zip(before, after, strict=True):
        x, y = np.subtract(other.factors["digit"], one.factors["digit"])
        assert (x, y) == (pytest.approx(3.0, abs=1e-5), pytest.approx(-4.0, abs=1e-5))
        assert other.factors["color"] == one.factors["color"]


def test_an_attribute_goes_the_whole_way_between_the_means(editor, start):
    library, z_tilde = editor.surroundings.library, editor.surroundings.z_tilde
    has = library.dataset.labels["class"].values[library.items] == 1
    way = torch.from_numpy(z_tilde.double().numpy()[has].mean(0) - z_tilde.double().numpy()[~has].mean(0)).float()
    added = changed(editor, start, **{"class=b": 0.5}) - start.z_tilde
    torch.testing.assert_close(added, (way / 2).expand(2, -1), atol=1e-6, rtol=1e-5)
    with pytest.raises(DataError, match="no attribute"):
        changed(editor, start, hue=1.0)


def test_attributes_leave_a_locked_factor_where_its_own_change_has_brought_it(editor, start):
    changes, along = (Change("digit", 3), Change("color", move=(0.5, 0.0))), (Along("class=b", 0.5),)
    before, free, held = (
        editor.change(start.z_tilde, recipe, {})
        for recipe in (Recipe(changes), Recipe(changes, along), Recipe(changes, along, ("digit",)))
    )
    assert torch.equal(held[:, DIGIT], before[:, DIGIT])
    assert torch.equal(held[:, 3:], free[:, 3:])
    assert not torch.equal(free[:, DIGIT], before[:, DIGIT])
    with pytest.raises(UsageError, match="no factor 'hue'"):
        editor.change(start.z_tilde, Recipe(locked=("hue",)), {})


def test_the_axes_are_the_principal_ones(editor):
    own = editor.surroundings.z_tilde[:, DIGIT].double()
    values, vectors = np.linalg.eigh(np.cov(own.T.numpy()))
    pad = editor.surroundings.pad("digit")
    assert abs(pad.basis[:, 0].double().numpy() @ vectors[:, -1]) == pytest.approx(1, abs=1e-5)
    assert pad.shares == pytest.approx((values[::-1] / values.sum())[:2], abs=1e-6)
    assert all(float(column[column.abs().argmax()]) > 0 for column in pad.basis.T)


def test_the_band_is_of_steps_of_the_same_length_elsewhere(editor, start):
    recipe = Recipe((Change("digit", "source"),))
    (result, _) = editor.edit(start, recipe, {"source": start.z_tilde[1]})
    far = (start.z_tilde[1] - start.z_tilde[0])[DIGIT].norm()
    directions = editor.surroundings.control("digit")
    assert directions.norm(dim=1).tolist() == pytest.approx([1.0] * CONTROLS)
    z = editor.opened.inverse_transform(start.z_tilde[0] + far * directions)
    said = editor.opened.network.answers(z).exp()
    for each in result.answers:
        column = said[:, "abcde".index(each.name)]
        assert (each.low, each.high) == (pytest.approx(column.min().item()), pytest.approx(column.max().item()))
    assert sum(each.after for each in result.answers) == pytest.approx(1, abs=1e-5)
    # No step, no band.
    for each in editor.edit(start, Recipe(), {})[0].answers:
        assert each.low == pytest.approx(each.before, abs=1e-6) == each.high


def test_how_likely_an_edit_is_counts_real_images(editor, start):
    (same, _), (far, _) = (
        editor.edit(start, Recipe(changes), {}) for changes in ((), (Change("residual", move=(60.0, 0.0)),))
    )
    nats = editor.surroundings.nats
    assert same.likely.percent == pytest.approx(100 * float((nats >= same.likely.nll).float().mean()), abs=6)
    assert far.likely.nll > same.likely.nll + 1000
    assert far.likely.percent == 0.0
    z_tilde, log_det = editor.opened.transform_with_log_det(start.z[:1])
    expected = 0.5 * float(z_tilde.square().sum()) + 4 * math.log(2 * math.pi) - float(log_det)
    assert same.likely.nll == pytest.approx(expected, abs=1e-3)


def test_small_pieces_are_taken_only_where_they_give_the_same(editor, start):
    recipe, sources = Recipe((Change("digit", 3), Change("color", move=(0.3, 0.0)))), {}
    whole = editor.edit(start, recipe, sources)
    names = [f"train:{number}" for number in range(16)]
    editor.try_heights(start_of(editor.opened, editor.surroundings.data, names))
    for one, other in zip(whole, editor.edit(start, recipe, sources), strict=True):
        assert torch.equal(one.z, other.z)
        assert (one.answers, one.nearest, one.likely) == (other.answers, other.nearest, other.likely)


def test_a_whole_swap_has_the_bytes_of_iin_swap(files, pictures, cache, tmp_path):
    a, b = pictures / "03.png", pictures / "17.png"
    swap(files.of_images, ["digit"], [a], [b], tmp_path / "swap.png", choice=DataChoice(str(pictures)))
    recipe = Recipe((Change("digit", str(b)),))
    result = edit(files.of_images, str(a), recipe, tmp_path / "edit.png", choice=DataChoice(str(pictures)))
    assert (tmp_path / "edit.png").read_bytes() == (tmp_path / "swap.png").read_bytes()
    assert result.plot()._repr_html_
    assert (result.answers, result.nearest, result.tables()) == (None, None, [])


def test_a_classifiers_figures_are_those_of_swap_and_explain(files, pictures, cache, tmp_path):
    a, b = pictures / "03.png", pictures / "17.png"
    choice = DataChoice(str(pictures), seed=3, n=1)
    swapped = swap(files.of_classes, ["digit"], [a], [b], tmp_path / "swap", choice=choice).as_dict()["edits"][0]
    edits, library = EditChoice(factors=("digit",), source=(b,)), LibraryChoice(5, most=40)
    found = explain(files.of_classes, choice, edits, library, [a], tmp_path / "x").as_dict()["images"][0]
    recipe = Recipe((Change("digit", str(b)),))
    result = edit(files.of_classes, str(a), recipe, tmp_path / "edit", choice=choice, search=40)
    told = json.loads((tmp_path / "edit" / "edit.json").read_text())
    assert {each["name"]: each["after"] for each in told["answers"]} == swapped["after"]
    assert {each["name"]: each["before"] for each in told["answers"]} == swapped["before"]
    assert told["predicted"] == {"before": swapped["predicted_before"], "after": swapped["predicted_after"]}
    (explained,) = found["factors"]["digit"]["edits"]
    assert told["nearest"] == json.loads(json.dumps(explained["nearest"]))
    assert explained["predicted"] == told["predicted"]["after"]
    assert [title for title, _ in result.tables()] == ["probabilities", "nearest real images"]


def test_names_of_images_lead_to_items_files_and_draws(editor, pictures):
    data = editor.surroundings.data
    items = data.dataset.splits["test"]
    path = data.dataset.path(int(items[2]))
    found = start_of(editor.opened, data, ["test:2", path, "sample:7", "test:2"])
    assert torch.equal(found.z[0], found.z[1])
    assert torch.equal(found.z[0], found.z[3])
    torch.testing.assert_close(found.z_tilde[2], noise([7], 8)[0], atol=1e-4, rtol=1e-4)
    for name, words in (("test:99999", "images in test"), ("none.png", "no such image")):
        with pytest.raises(DataError, match=words):
            start_of(editor.opened, data, [name])
    for name, words in (("valid:0", "--split"), (str(pictures), "is a folder")):
        with pytest.raises(UsageError, match=words):
            start_of(editor.opened, data, [name])


def test_without_a_network_factors_move_and_nothing_answers(files):
    opened = open_translator(files.of_latents)
    editor = Editor(opened, Surroundings(opened, None, Silent()))
    start = start_of(opened, None, ["sample:1"])
    (result,) = editor.edit(start, Recipe((Change("color", 4, move=(1.0, 0.0)),)), {})
    assert (result.picture, result.answers, result.nearest, result.likely.percent) == (None, None, None, None)
    assert result.factors["color"][0] == pytest.approx(float(noise([4], 8)[0, 3]) + 1, abs=1e-5)
    assert "without a network" in editor.surroundings.missing
    with pytest.raises(UsageError, match="without a backbone"):
        start_of(opened, None, ["a.png"])
