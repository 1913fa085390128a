"""The concepts: groups of x, x_a, x_b; strokes drawn, or a stylizer given, found in the cache, or trained; errors."""

import numpy as np
import pytest
from iin_cli.data import open_dataset
from iin_cli.errors import CheckpointError, DataError, UsageError
from iin_cli.plugin_api import Circumstances
from iin_cli.registry import find
from PIL import Image

from iin_sketch import stylizer_cache as module
from iin_sketch.concept import roundness_concept, sketch_concept
from iin_sketch.stylizer_files import save_stylizer


@pytest.fixture
def dataset(pictures):
    return open_dataset(str(pictures))


@pytest.fixture
def prepare(dataset, say):
    def run(concept, **changes):
        circumstances = {"device": "cpu", "image_size": 32, "interpolation": "bicubic", "seed": 7, "report": say}
        concept.prepare(dataset, dataset.splits["train"], Circumstances(**{**circumstances, **changes}))
        return concept

    return run


@pytest.fixture
def trained(tmp_path, stylizer):
    path = tmp_path / "given" / "stylizer.safetensors"
    save_stylizer(path, stylizer, {"encoder": {"source": "random"}})
    return path


def test_both_names_are_registered(drawings):
    assert find("concepts", "roundness").factory is roundness_concept
    found = find("concepts", f"sketch:{drawings[0]},{drawings[1]}")
    concept = found.factory(found.argument)
    assert (concept.concept, concept.relation) == ("sketch", "differ")
    assert (roundness_concept().concept, roundness_concept().relation) == ("roundness", "differ")


def test_an_image_and_its_drawings_are_one_group(dataset):
    groups = roundness_concept().groups(dataset, np.array([5, 2]), 0)
    assert groups.indices.tolist() == groups.group_ids.tolist() == [5, 5, 5, 2, 2, 2]
    assert groups.variants.tolist() == [0, 1, 2, 0, 1, 2]
    assert {a.dtype for a in (groups.indices, groups.variants, groups.group_ids)} == {np.dtype("int64")}
    assert [roundness_concept().variant_name(number) for number in range(3)] == ["image", "round", "angular"]
    with pytest.raises(DataError, match="needs images, and none"):
        roundness_concept().groups(dataset, np.array([]), 0)


@pytest.mark.parametrize("argument", [None, "", "a.png", "a.png,", "a.png,b.png,c,d"])
def test_a_sketch_concept_needs_two_paths(argument):
    with pytest.raises(UsageError, match=r"needs two sketches, and was given .* write sketch:A\.png,B\.png"):
        sketch_concept(argument)


def test_unfit_sketches_are_refused_before_anything_is_trained(tmp_path, drawings):
    Image.new("L", (40, 40), 7).save(tmp_path / "blank.png")
    for second, match in (("blank.png", "is blank"), ("nowhere.png", "no such sketch"), ("a.png", "are the same")):
        with pytest.raises(DataError, match=match):
            sketch_concept(f"{drawings[0]},{tmp_path / second}")


def test_rendering(prepare, trained, dataset):
    images = dataset.images(np.arange(4), 40)
    concept = roundness_concept(str(trained))
    with pytest.raises(UsageError, match="before it is prepared"):
        concept.render(images, 1)
    prepare(concept, image_size=40)
    assert np.array_equal(concept.render(images, 0), images)
    x_a, x_b = concept.render(images, 1), concept.render(images, 2)
    assert x_a.shape == x_b.shape == images.shape
    assert np.abs(x_a.astype(int) - x_b).mean() > 1
    with pytest.raises(UsageError, match="has no variant 3"):
        concept.render(images, 3)


def test_the_fingerprint_follows_whatever_draws(prepare, trained, drawings, stylizer, tmp_path):
    def fingerprint(concept, **changes):
        return prepare(concept, **changes).fingerprint

    base = fingerprint(roundness_concept(str(trained)))
    assert fingerprint(roundness_concept(str(trained.parent))) == base
    assert fingerprint(roundness_concept(str(trained)), seed=8) == base
    other_sketches = sketch_concept(f"{drawings[0]},{drawings[1]},{trained}")
    reversed_sketches = sketch_concept(f"{drawings[1]},{drawings[0]},{trained}")
    stylizer.decoder.head.weight.mul_(2)
    save_stylizer(tmp_path / "other.safetensors", stylizer, {"encoder": {"source": "random"}})
    other_weights = roundness_concept(str(tmp_path / "other.safetensors"))
    prints = {base, *map(fingerprint, (other_sketches, reversed_sketches, other_weights))}
    assert len(prints) == 4


def test_by_default_strokes_are_drawn_and_nothing_is_trained(prepare, dataset, drawings, say, tmp_path):
    concept = prepare(roundness_concept(), image_size=40)
    images = dataset.images(np.arange(4), 40)
    x_a, x_b = concept.render(images, 1), concept.render(images, 2)
    assert min(np.abs(one.astype(int) - other).max() for one, other in ((x_a, images), (x_b, images), (x_a, x_b))) > 3
    assert not (tmp_path / "cache" / "stylizers").exists()
    others = prepare(roundness_concept(), image_size=32), prepare(sketch_concept(f"{drawings[0]},{drawings[1]}"))
    assert len({concept.fingerprint, *(other.fingerprint for other in others)}) == 3
    assert prepare(roundness_concept(), image_size=40, seed=8).fingerprint == concept.fingerprint


def test_the_first_run_trains_and_the_second_finds_and_names_it(prepare, small, say, monkeypatch, tmp_path, dataset):
    first = prepare(roundness_concept("learned"))
    (file,) = (tmp_path / "cache" / "stylizers").glob("*/stylizer.safetensors")
    assert any("training one for 3 steps" in note for note in say.notes)
    state = f"{file}, 3 of 3 steps, encoder random filters, data {dataset.name}"
    assert any(note.endswith(f"trained a stylizer: {state}") for note in say.notes)
    assert any("encoder of random weights" in warning for warning in say.warnings)
    assert any("of 255 grey levels" in said for said in say.notes + say.warnings)
    monkeypatch.setattr(module, "fit_stylizer", None)
    say.warnings.clear()
    second = prepare(roundness_concept("learned"), seed=8)
    assert second.fingerprint == first.fingerprint
    assert any(note.endswith(f"using the stylizer of an earlier run: {state}") for note in say.notes)
    assert any("encoder of random weights" in warning for warning in say.warnings)


def test_another_pair_or_size_is_trained_anew(prepare, small, drawings, tmp_path):
    prepare(roundness_concept("learned"))
    prepare(sketch_concept(f"{drawings[0]},{drawings[1]},learned"))
    assert len(list((tmp_path / "cache" / "stylizers").iterdir())) == 2


def test_a_stylizer_that_was_stopped_early_is_told_each_time(prepare, tmp_path, stylizer, say):
    stopped = {"steps": 105, "planned_steps": 1000, "stopped": "time"}
    facts = {"encoder": {"source": "default"}, "data": {"name": "photos", "root": None}, "training": stopped}
    save_stylizer(tmp_path / "s.safetensors", stylizer, facts)
    prepare(roundness_concept(str(tmp_path / "s.safetensors")))
    said = "105 of 1,000 steps (stopped early, by the time limit), encoder VGG-19, data photos"
    assert any("train longer" in warning and said in warning for warning in say.warnings)


def test_an_untrained_stylizer_is_told(prepare, tmp_path, say):
    from iin_sketch.networks import Stylizer

    save_stylizer(tmp_path / "s.safetensors", Stylizer(4, 4, 32), {"encoder": {"source": "default"}})
    prepare(roundness_concept(str(tmp_path / "s.safetensors")))
    assert "the two drawings of an image by 0.0, hardly at all: train longer" in say.warnings[0]


def test_unfit_stylizers(prepare, tmp_path, stylizer):
    from iin_cli.io import checkpoint

    checkpoint.save(tmp_path / "b.safetensors", stylizer.state_dict(), {"kind": "backbone"})
    with pytest.raises(CheckpointError, match="is a backbone, expected a stylizer"):
        prepare(roundness_concept(str(tmp_path / "b.safetensors")))
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        prepare(roundness_concept(str(tmp_path / "nowhere")))
    described = {"kind": "stylizer", "config": stylizer.config, "encoder": {"source": "random"}}
    checkpoint.save(tmp_path / "c.safetensors", {}, described)
    with pytest.raises(CheckpointError, match="does not hold the stylizer"):
        prepare(roundness_concept(str(tmp_path / "c.safetensors")))


def test_one_image_is_too_few(small, say, tmp_path):
    (tmp_path / "one").mkdir()
    Image.new("RGB", (40, 40), (9, 9, 200)).save(tmp_path / "one" / "a.png")
    dataset = open_dataset(str(tmp_path / "one"))
    circumstances = Circumstances("cpu", 32, "bicubic", 0, say)
    with pytest.raises(DataError, match="needs at least two different ones"):
        roundness_concept("learned").prepare(dataset, dataset.splits["train"], circumstances)
