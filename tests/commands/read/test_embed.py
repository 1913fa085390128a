"""Maps through real files; umap-learn is not needed."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from iin_cli.commands.read.embed import embed
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.reading import ChosenData
from iin_cli.io import checkpoint
from iin_cli.measures.embedding import animation as embed_animation
from iin_cli.measures.embedding import maps as embed_maps
from iin_cli.measures.embedding.embed import MapChoice
from iin_cli.translator.edit import OUWalk
from iin_cli.translator.factors import Factors


@pytest.fixture(autouse=True)
def short_films(monkeypatch):
    monkeypatch.setattr(embed_animation, "FRAMES_PER_FACTOR", 3)


def made(translator, *kinds, out, data=None, split="test", n=60, seed=4, method="pca", factors=(), walk=None, **given):
    walk = OUWalk(tuple(factors), **{"steps": 6, **(walk or {})})
    return embed(translator, DataChoice(data, None, split, n, seed), MapChoice(kinds, method), walk, out, **given)


def refactored(translator, path, **dims):
    """The same translator with its dimensions shared out otherwise."""
    file = checkpoint.load(translator, "translator")
    checkpoint.save(path, file.tensors, {**file.metadata, "factors": Factors.of(dims).as_json()})
    return path


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_all_figures_of_a_classifier_and_their_coordinates(files, tmp_path):
    result = made(files.of_classes, out=tmp_path / "out", coordinates=True)
    figures = ("latent.png", "product.png", "product.gif", "residual.png")
    assert (result.figures, result.failures) == (figures, {})
    assert names(tmp_path / "out") == sorted([*figures, "embed.csv", "embed.json"])
    saved = json.loads((tmp_path / "out" / "embed.json").read_text())
    assert (saved["count"], saved["seed"], saved["data"]) == (60, 4, "digits")
    assert set(result.stays) == {"digit", "color", "residual"}
    assert all(0 <= share.low <= share.value <= share.high <= 1 for share in result.stays.values())
    assert saved["stays"]["digit"]["items"] == embed_maps.STARTS
    with open(tmp_path / "out" / "embed.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "item", "image", "label.digit", "label.class",
        "z.0", "z.1", "digit.0", "color.0", "residual.0", "residual.1",
    ]  # fmt: skip
    assert len({row["z.0"] for row in rows}) == 60
    _, (title, table) = result.tables()
    assert saved["performance"]["unknown"] == result.performance.unknown
    assert (title, [row["factor"] for row in table]) == ("walks on the map", ["digit", "color", "residual"])


@pytest.mark.slow
def test_a_seed_gives_the_same_bytes(files, tmp_path):
    for kind, ending in (("latent", "png"), ("product", "gif")):
        for name, seed in (("a", 7), ("b", 7), ("c", 8)):
            made(files.of_images, kind, out=tmp_path / f"{name}.{ending}", seed=seed, factors=["digit", "color"])
        a, b, c = ((tmp_path / f"{name}.{ending}").read_bytes() for name in "abc")
        assert a == b != c, kind


def test_a_walk_starts_where_its_image_lies(files, tmp_path, monkeypatch):
    drawn, real = [], embed_maps.plot_walks_on_map
    monkeypatch.setattr(embed_maps, "plot_walks_on_map", lambda *given: drawn.append(given) or real(*given))
    made(files.of_classes, "latent", out=tmp_path / "map.png", factors=["color"])
    ((plane, coloring, walks, _),) = drawn
    ((title, path),) = walks
    assert title.startswith("color walks")
    assert np.array_equal(path[0], plane.points[0])
    assert path.shape == (6, 2)
    assert coloring.title == "class"
    assert (np.abs(np.diff(path, axis=0)).sum(1) > 0).all()


def test_walks_of_a_factor_that_does_not_move_stay(files, tmp_path):
    result = made(files.of_classes, "latent", out=tmp_path / "map.png", walk={"sigma": 0.0, "gamma": 1e-6})
    assert all(share.value == 1 for share in result.stays.values())


def test_one_kind_is_one_file(files, tmp_path):
    assert made(files.of_images, "residual", out=tmp_path / "r.png").figures == ("r.png",)
    assert made(files.of_images, "product", out=tmp_path / "p.gif").figures == ("p.gif",)
    with Image.open(tmp_path / "p.gif") as film:
        assert film.n_frames == 6
    assert names(tmp_path) == ["p.gif", "r.png"]
    with pytest.raises(UsageError, match="several figures"):
        made(files.of_images, out=tmp_path / "all.png")
    with pytest.raises(UsageError, match=r"ends in \.png"):
        made(files.of_images, "latent", out=tmp_path / "l.gif")


def test_factors_of_one_dimension_need_no_embedding(files, tmp_path):
    translator = refactored(files.of_classes, tmp_path / "t.safetensors", digit=1, color=6, residual=1)
    result = made(translator, out=tmp_path / "out", coordinates=True)
    assert result.failures == {}
    with open(tmp_path / "out" / "embed.csv", newline="") as file:
        assert {"digit.0", "color.0", "residual.0"} <= set(next(csv.DictReader(file)))


def test_a_lone_factor_is_drawn_against_the_residual(files, tmp_path, monkeypatch):
    translator = refactored(files.of_classes, tmp_path / "t.safetensors", digit=3, residual=5)
    planes, real = [], embed_maps._against
    monkeypatch.setattr(embed_maps, "_against", lambda pair, lines: planes.append(pair) or real(pair, lines))
    made(translator, "product", out=tmp_path / "p.png")
    assert planes == [("digit", "residual")]


def test_what_cannot_be_drawn_is_named_and_the_rest_is_made(files, tmp_path, monkeypatch):
    real = embed_maps.project

    def project(rows, dims, method, seed):
        if dims == 1:
            raise DataError("no line")
        return real(rows, dims, method, seed)

    monkeypatch.setattr(embed_maps, "project", project)
    result = made(files.of_classes, out=tmp_path / "out")
    assert result.failures == {"product": "no line"}
    assert result.figures == ("latent.png", "residual.png")
    saved = json.loads((tmp_path / "out" / "embed.json").read_text())
    assert saved["failures"] == {"product": "no line"}
    assert ("not drawn", [{"kind": "product", "reason": "no line"}]) in result.tables()
    with pytest.raises(DataError, match="no line"):
        made(files.of_classes, "product", out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_too_few_images_and_no_labels(files, tmp_path, pictures):
    with pytest.raises(DataError, match="3 images are too few for a map"):
        made(files.of_images, out=tmp_path / "out", n=3)
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted(pictures.glob("*.png"))[:20]):
        (flat / f"{number}.png").write_bytes(file.read_bytes())
    result = made(files.of_images, out=tmp_path / "plain", data=str(flat), split="all")
    assert (result.stays, result.failures, result.count) == (None, {}, 20)


def test_bad_input_is_refused_before_the_work(files, tmp_path, monkeypatch):
    monkeypatch.setattr(ChosenData, "read", lambda *given, **more: pytest.fail("the work began"))
    for words, given in (
        ("did you mean latent", {"kinds": ["latnet"]}),
        ("did you mean umap", {"method": "umpa"}),
        ("no factor 'shape'", {"factors": ["shape"]}),
        ("at least 2 steps", {"walk": {"steps": 1}}),
        ("gamma", {"walk": {"gamma": 0.0}}),
    ):
        with pytest.raises(UsageError, match=words):
            made(files.of_images, *given.pop("kinds", ()), out=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()
