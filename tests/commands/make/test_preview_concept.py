"""A preview shows what a fit would pair: rows are groups, captions say what they have in common or what was changed."""

import json

import numpy as np
import pytest
from PIL import Image

from iin_cli.commands.make import preview_concept as recipe
from iin_cli.commands.make.preview_concept import MOST_COLUMNS, preview_concept
from iin_cli.data import open_dataset
from iin_cli.errors import DataError, UsageError
from iin_cli.figures import grids
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.plugin_api import ConceptProvider, Groups
from iin_cli.progress import Silent
from iin_cli.registry import find


def preview(concept, data, out, seed=0, **options):
    return preview_concept(concept, DataChoice(data, seed=seed), out, **options)


@pytest.fixture
def drawn(monkeypatch):
    """What was handed to the sheet, by name: `cells`, `rows` and `columns`."""
    seen = {}

    def sheet(cells, row_labels=(), column_labels=()):
        seen.update(cells=cells, rows=list(row_labels), columns=list(column_labels))
        return grids.Sheet(cells, row_labels, column_labels)

    monkeypatch.setattr(recipe, "Sheet", sheet)
    return seen


class Learned(ConceptProvider):
    """Item i and its variant i % 2 + 1, once it has been prepared; the last item is alone in its group."""

    concept = "learned"
    relation = "differ"

    def __init__(self):
        self.told = None

    def prepare(self, dataset, indices, circumstances):
        self.told = (dataset.name, indices.tolist(), circumstances)

    def groups(self, dataset, indices, seed):
        assert self.told is not None
        both = np.repeat(indices, 2)[:-1]
        return Groups(both, np.tile([0, 1], len(indices))[:-1] * (both % 2 + 1), both)

    def render(self, images, variant):
        return images if variant == 0 else np.full_like(images, 100 * variant)


def test_of_a_differ_concept_a_row_is_an_image_and_its_variants(drawn, pictures, tmp_path):
    result = preview("greyscale", str(pictures), tmp_path / "grey.png", n=5, seed=0)
    dataset, concept = open_dataset(str(pictures)), find("concepts", "greyscale").make()
    train = len(dataset.splits["train"])
    assert (result.concept, result.relation, result.image_size, result.seed) == ("greyscale", "differ", 32, 0)
    assert (result.groups, result.items, result.shown) == (train, 2 * train, 5)
    assert drawn["columns"] == ["image", "greyscale"]
    assert drawn["cells"].shape == (5, 2, 32, 32, 3)
    for caption, (image, variant) in zip(drawn["rows"], drawn["cells"], strict=True):
        item = int(caption.removesuffix(".png"))
        assert item in dataset.splits["train"]
        np.testing.assert_array_equal(image, dataset.images(np.array([item]), 32)[0])
        np.testing.assert_array_equal(variant, concept.render(image[None], 1)[0])
    with Image.open(result.out) as page:
        assert page.size == grids.image_grid(drawn["cells"], drawn["rows"], drawn["columns"]).shape[1::-1]


def test_of_a_share_concept_a_row_is_a_few_images_of_one_value(drawn, pictures, tmp_path):
    result = preview("class", str(pictures), tmp_path / "class.png", n=9, seed=0)
    dataset = open_dataset(str(pictures))
    assert (result.relation, result.groups, result.shown, result.items) == ("share", 3, 3, len(dataset.splits["train"]))
    assert (drawn["rows"], drawn["columns"]) == (["a", "b", "c"], [])
    assert drawn["cells"].shape[:2] == (3, MOST_COLUMNS)
    known = {image.tobytes(): item for item, image in enumerate(dataset.images(np.arange(96), 32))}
    for value, row in enumerate(drawn["cells"]):
        items = [known[image.tobytes()] for image in row]
        assert len(set(items)) == MOST_COLUMNS
        assert (dataset.labels["class"].values[items] == value).all()
        assert set(items) <= set(dataset.splits["train"].tolist())


def test_of_a_measurement_rows_go_from_low_to_high(drawn, tmp_path):
    preview("attribute:Roundness", "shapes", tmp_path / "x.png", n=4, seed=0, image_size=16)
    low = [float(caption.split(" – ")[0]) for caption in drawn["rows"]]
    assert low == sorted(low)
    assert low[-1] - low[0] > 0.1
    assert drawn["cells"].shape == (4, MOST_COLUMNS, 16, 16, 3)


def test_redrawn_shapes_keep_all_but_the_column(drawn, tmp_path):
    preview("redraw:hue", "shapes", tmp_path / "x.png", n=3, seed=0)
    assert drawn["columns"] == ["image", "redrawn 1", "redrawn 2"]
    background = drawn["cells"][:, 0, :1, :1]
    covered = (drawn["cells"] != background[:, None]).any(-1)
    # Another colour covers the same pixels, but for those that are covered by a trace.
    assert (covered[:, 1:] ^ covered[:, :1]).mean() < 0.01
    assert (drawn["cells"][:, 0] != drawn["cells"][:, 1]).any((1, 2, 3)).all()


def test_the_same_seed_draws_the_same_page(pictures, tmp_path):
    for number, seed in enumerate((3, 3, 4)):
        preview("color", str(pictures), tmp_path / f"{number}.png", n=2, seed=seed)
    first, again, other = ((tmp_path / f"{number}.png").read_bytes() for number in range(3))
    assert first == again != other


def test_a_concept_is_prepared_and_ragged_groups_leave_white(drawn, pictures, tmp_path, monkeypatch):
    provider, listener = Learned(), Silent()
    monkeypatch.setattr(recipe, "find_providers", lambda *_: [provider])
    options = {"n": 500, "image_size": 24, "seed": 7, "device": "cpu", "report": listener}
    result = preview("learned", str(pictures), tmp_path / "run", **options)
    train = open_dataset(str(pictures)).splits["train"].tolist()
    name, indices, circumstances = provider.told
    assert (name, indices) == (str(pictures), train)
    assert (circumstances.device, circumstances.image_size, circumstances.seed) == ("cpu", 24, 7)
    assert circumstances.report is listener
    # Variants 1 and 2 take turns in the second column, which therefore has no name.
    assert (result.groups, result.shown, drawn["columns"]) == (len(train) - 1, len(train) - 1, [])
    painted = drawn["cells"][:, 1].reshape(result.shown, -1)
    assert [set(row.tolist()) for row in painted] == [{100 * (item % 2 + 1)} for item in train[:-1]]


def test_a_folder_gets_the_picture_and_the_result(pictures, tmp_path):
    result = preview("class", str(pictures), tmp_path / "new", n=2, seed=0)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["preview-concept.json", "preview.png"]
    assert json.loads((tmp_path / "new" / "preview-concept.json").read_text()) == result.as_dict()
    assert result.out == str(tmp_path / "new" / "preview.png")


def test_groups_of_different_sizes_share_a_page(drawn, pictures, tmp_path, monkeypatch):
    provider = Learned()
    provider.relation = "share"
    provider.groups = lambda dataset, indices, seed: Groups(
        indices[:6], np.zeros(6, np.int64), np.array([8, 5, 5, 8, 8, 2])
    )
    monkeypatch.setattr(recipe, "find_providers", lambda *_: [provider])
    result = preview("learned", str(pictures), tmp_path / "x.png", seed=0)
    assert (result.groups, result.items, result.shown) == (2, 5, 2)
    assert drawn["cells"].shape[:2] == (2, 3)
    assert (drawn["cells"][0, 2] == 255).all()
    assert drawn["rows"] == ["", ""]


@pytest.mark.parametrize(
    ("concept", "error", "message"),
    [
        ("clas", UsageError, "did you mean class"),
        ("label:residual", UsageError, "residual is taken"),
        ("label:shape", DataError, "needs the label 'shape'"),
        ("digit", DataError, "needs the label 'digit'"),
    ],
)
def test_what_makes_no_groups_leaves_nothing_behind(pictures, tmp_path, concept, error, message):
    with pytest.raises(error, match=message):
        preview(concept, str(pictures), tmp_path / "new", seed=0)
    assert not (tmp_path / "new").exists()


def test_groups_of_one_item_each_make_no_pair(pictures, tmp_path, monkeypatch):
    provider = Learned()
    provider.groups = lambda dataset, indices, seed: Groups(indices, np.zeros_like(indices), indices)
    monkeypatch.setattr(recipe, "find_providers", lambda *_: [provider])
    with pytest.raises(DataError, match="learned makes no pair"):
        preview("learned", str(pictures), tmp_path / "x.png", seed=0)
    assert not (tmp_path / "x.png").exists()
