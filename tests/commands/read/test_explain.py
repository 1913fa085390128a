"""Explanations through real files."""

import json

import numpy as np
import pytest
from PIL import Image

from iin_cli.commands.read.explain import explain
from iin_cli.data import open_dataset
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_translator
from iin_cli.measures.explanation import results
from iin_cli.measures.explanation.edits import EditChoice
from iin_cli.measures.explanation.library import LibraryChoice
from iin_cli.translator.edit import OUWalk, swap


def explained(
    translator,
    *images,
    out,
    data=None,
    split="test",
    n=1,
    mode="swap",
    factors=(),
    sources=6,
    source=(),
    k=5,
    space="network",
    search=60,
    walk=None,
    **given,
):
    edits = EditChoice(mode, tuple(factors), sources, tuple(source), OUWalk(**{"steps": 4, **(walk or {})}))
    choice, library = DataChoice(data, None, split, n, 3), LibraryChoice(k, space, search)
    return explain(translator, choice, edits, library, images, out, **given)


def images_of(result):
    return result.as_dict()["images"]


def names(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture(scope="module")
def digit(files, tmp_path_factory):
    """A training image of the data as a file, and its number."""
    dataset = open_dataset("digits")
    item = int(dataset.splits["train"][0])
    path = tmp_path_factory.mktemp("image") / "digit.png"
    Image.fromarray(dataset.images(np.array([item]), 32)[0]).save(path)
    return path, item


def test_a_classifiers_explanation_is_what_swaps_do(files, digit, tmp_path):
    path, _ = digit
    result = explained(files.of_classes, path, out=tmp_path / "out", top=5)
    assert names(tmp_path / "out") == ["explain.json", "explain.png"]
    assert json.loads((tmp_path / "out" / "explain.json").read_text())["images"][0]["image"] == str(path)
    (image,) = images_of(result)
    assert list(image["factors"]) == ["digit", "color", "residual"]
    opened = open_translator(files.of_classes)
    dataset = open_dataset("digits")
    z = opened.network.encode_pixels(np.asarray(Image.open(path))[None])
    edits = image["factors"]["digit"]["edits"]
    items = np.array([int(entry["source"].split("[")[1][:-1]) for entry in edits])
    assert set(items) <= set(dataset.splits["test"])
    source = opened.network.encode_pixels(dataset.images(items, 32))
    z_tilde, z_tilde_source = opened.transform(z.expand(6, -1)), opened.transform(source)
    edited = opened.inverse_transform(swap(z_tilde, z_tilde_source, opened.factors, ["digit"]))
    after = opened.network.answers(edited).exp()
    before = opened.network.answers(z).exp()
    classes = opened.network.classes
    delta = image["factors"]["digit"]["delta"]
    for index, name in enumerate(classes):
        assert delta[name]["value"] == pytest.approx((after - before)[:, index].mean().item(), abs=1e-4)
        assert delta[name]["low"] <= delta[name]["value"] <= delta[name]["high"]
        assert delta[name]["items"] == 6
    assert [entry["predicted"] for entry in edits] == [classes[index] for index in after.argmax(1)]
    changed = (after.argmax(1) != before.argmax(1)).double().mean().item()
    assert image["factors"]["digit"]["changed"]["value"] == changed
    assert image["predicted"] == classes[int(before.argmax())]


def test_the_image_itself_is_never_its_own_neighbour(files, digit, tmp_path):
    path, item = digit
    result = explained(files.of_classes, path, out=tmp_path / "out.json", search=10**6, sources=2)
    assert result.searched == len(open_dataset("digits").splits["train"])
    (image,) = images_of(result)
    near = [
        *image["nearest"],
        *(one for part in image["factors"].values() for e in part["edits"] for one in e["nearest"]),
    ]
    assert item not in {one["item"] for one in near}
    distances = [one["distance"] for one in image["nearest"]]
    assert distances == sorted(distances)
    assert distances[0] > 0


def test_several_images_several_figures_and_a_table_each(files, tmp_path):
    result = explained(files.of_classes, out=tmp_path / "out", n=2, factors=["digit"], k=3)
    assert names(tmp_path / "out") == ["explain-000.png", "explain-001.png", "explain.json"]
    assert result.figures == ("explain-000.png", "explain-001.png")
    assert len(result.tables()) == 2
    title, (row,) = result.tables()[0]
    assert title.startswith("digits[")
    assert set(row) == {"factor", "class_changes", "moves_most", "nearest_images", "neighbours_agree"}
    images = {image["image"] for image in images_of(result)}
    assert not images & {edit["source"] for image in images_of(result) for edit in image["factors"]["digit"]["edits"]}
    assert all(len(edit["nearest"]) == 3 for image in images_of(result) for edit in image["factors"]["digit"]["edits"])


def test_what_is_known_is_saved_when_a_later_image_fails(files, tmp_path, monkeypatch):
    real = results.plot_explanation
    seen = []

    def plot(looks, title, probabilities):
        seen.append(title)
        if len(seen) == 2:
            raise DataError("no ink")
        return real(looks, title, probabilities)

    monkeypatch.setattr(results, "plot_explanation", plot)
    with pytest.raises(DataError, match="no ink"):
        explained(files.of_classes, out=tmp_path / "out", n=2, factors=["digit"])
    assert len(json.loads((tmp_path / "out" / "explain.json").read_text())["images"]) == 1


def test_an_autoencoder_draws_its_edits(files, tmp_path, monkeypatch):
    pages = []
    real = results.plot_explanation
    monkeypatch.setattr(results, "plot_explanation", lambda looks, *rest: pages.append(looks) or real(looks, *rest))
    result = explained(files.of_images, out=tmp_path / "page.png", sources=3)
    assert names(tmp_path) == ["page.png"]
    (image,) = images_of(result)
    assert set(image["factors"]["digit"]) == {"edits", "nearest_labels", "labelled_by"}
    assert "predicted" not in image
    (looks,) = pages
    assert [look.factor for look in looks] == ["as it is", *(name for name in result.factors for _ in range(2))]
    assert all(look.drawn.shape == (1, 32, 32, 3) for look in looks)
    assert "class_changes" not in result.tables()[0][1][0]


def test_a_walk_ends_elsewhere_for_every_edit_and_not_at_all_without_steps_of_any_size(files, tmp_path):
    still = explained(files.of_classes, out=tmp_path / "a.json", mode="walk", walk={"sigma": 0.0, "gamma": 1e-7})
    assert names(tmp_path) == ["a.json"]
    (image,) = images_of(still)
    for part in image["factors"].values():
        assert part["changed"]["value"] == 0
        assert [edit["source"] for edit in part["edits"]] == [f"walk {row}" for row in range(6)]
        assert all(
            [one["item"] for one in edit["nearest"]] == [one["item"] for one in image["nearest"]]
            for edit in part["edits"]
        )
    moved = explained(files.of_classes, out=tmp_path / "b.json", mode="walk", walk={"steps": 30})
    nearest = [
        tuple(one["distance"] for one in edit["nearest"]) for edit in images_of(moved)[0]["factors"]["digit"]["edits"]
    ]
    assert len(set(nearest)) == 6


def test_a_seed_gives_one_result(files, tmp_path):
    first, again = (explained(files.of_classes, out=tmp_path / name).as_dict() for name in ("a.json", "b.json"))
    assert {**first, "out": ""} == {**again, "out": ""}
    in_z = images_of(explained(files.of_classes, out=tmp_path / "c.json", space="z"))[0]
    assert in_z["factors"]["digit"]["delta"] == first["images"][0]["factors"]["digit"]["delta"]
    assert in_z["nearest"][0]["distance"] != first["images"][0]["nearest"][0]["distance"]


def test_few_sources_and_one(heard, files, digit, tmp_path):
    path, _ = digit
    one = explained(files.of_classes, path, out=tmp_path / "one.json", sources=1, report=heard)
    assert any("rough" in text for text in heard.notes)
    delta = images_of(one)[0]["factors"]["digit"]["delta"]
    assert all(part["low"] <= part["value"] <= part["high"] < part["low"] + 1 + 1e-9 for part in delta.values())
    # One edit says next to nothing about all edits.
    assert all(part["high"] - part["low"] > 0.5 for part in delta.values())
    many = explained(
        files.of_classes, path, out=tmp_path / "many.json", sources=10**5, search=5, factors=["color"], report=heard
    )
    assert many.sources == len(open_dataset("digits").splits["test"]) - 1
    assert any("has only" in text for text in heard.warnings)
    given = explained(files.of_classes, path, out=tmp_path / "given.json", source=[path])
    assert images_of(given)[0]["factors"]["digit"]["changed"]["value"] == 0


def test_without_labels_neighbours_have_none(files, tmp_path, pictures):
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted(pictures.glob("*.png"))[:20]):
        (flat / f"{number}.png").write_bytes(file.read_bytes())
    result = explained(files.of_classes, out=tmp_path / "out.json", data=str(flat), split="all")
    (image,) = images_of(result)
    assert image["nearest"][0]["label"] is None
    assert image["factors"]["digit"]["nearest_labels"] == {}
    assert result.tables()[0][1][0]["nearest_images"] == "-"


def test_bad_input(files, digit, tmp_path):
    path, _ = digit
    for words, given in (
        ("choose from: swap, walk", {"mode": "fly"}),
        ("choose from: network, z, z-tilde", {"space": "pixels"}),
        ("no factor 'shape'", {"factors": ["shape"]}),
        ("leave it out", {"mode": "walk", "source": [path]}),
        ("gamma", {"mode": "walk", "walk": {"gamma": 2.0}}),
    ):
        with pytest.raises(UsageError, match=words):
            explained(files.of_classes, path, out=tmp_path / "out", **given)
    with pytest.raises(DataError, match="no such image"):
        explained(files.of_classes, tmp_path / "none.png", out=tmp_path / "out")
    with pytest.raises(UsageError, match=r"ends in \.json"):
        explained(files.of_classes, out=tmp_path / "page.png", n=2)
    with pytest.raises(UsageError, match="without a backbone"):
        explained(files.of_latents, path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
