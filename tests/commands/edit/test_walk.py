import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image, ImageSequence

from iin_cli.commands.edit.walk import walk
from iin_cli.data.folder import open_folder
from iin_cli.editing.attributes import parse_attributes
from iin_cli.editing.axes import FolderAxis, LabelAxis
from iin_cli.editing.walk_paths import AttributeWalk, GridWalk, LinearWalk, Wandering
from iin_cli.errors import DataError, UsageError
from iin_cli.figures.grids import GAP
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.opening import open_translator
from iin_cli.translator.edit import OUWalk


def along(*texts, **mode):
    return AttributeWalk(axis=LabelAxis(tuple(parse_attributes(texts))), **mode)


def test_the_figure_has_the_interpretable_walk_above_the_latent_one(files, tmp_path):
    result = walk(files.of_images, LinearWalk(steps=4), tmp_path / "out", choice=DataChoice(n=2, seed=3))
    assert (result.count, result.steps, result.factors) == (2, 4, ("digit", "color", "residual"))
    assert json.loads((tmp_path / "out" / "walk.json").read_text())["seed"] == 3
    page = np.asarray(Image.open(tmp_path / "out" / "walk.png"))
    right, step = page.shape[1] - GAP, 64 + GAP
    # The source image ends both rows of its pair; before it, the walks end in one reconstruction of it.
    source = page[-GAP - 64 - step : -GAP - step, right - 64 : right]
    assert (source == page[-GAP - 64 : -GAP, right - 64 : right]).all()
    opened = open_translator(files.of_images)
    z = opened.network.encode_pixels(source[None, ::2, ::2])
    drawn = page[-GAP - 64 : -GAP, right - 64 - 64 - 6 * GAP : right - 64 - 6 * GAP]
    expected = opened.network.draw(z)[0]
    assert np.abs(drawn[::2, ::2].astype(int) - expected).max() <= 1


def test_a_seed_gives_one_figure(files, tmp_path):
    for name, seed in (("a.png", 7), ("b.png", 7), ("c.png", 8)):
        mode = Wandering(steps=3, ou=OUWalk("color"))
        result = walk(files.of_images, mode, tmp_path / name, choice=DataChoice(n=1, seed=seed))
        assert result.flip_rate is None
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c


@pytest.mark.parametrize("mode", [LinearWalk(("digit",), steps=12), Wandering(steps=12, ou=OUWalk("digit"))])
def test_a_classifier_gives_log_probabilities_and_flips(files, tmp_path, mode):
    result = walk(files.of_classes, mode, tmp_path / "out", choice=DataChoice(n=3, seed=1))
    with open(tmp_path / "out" / "walk.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["walk"] == "interpretable"]
    assert len(rows) == 3 * 12
    total = sum(np.exp(float(rows[5][f"log_probability.{name}"])) for name in "abcde")
    assert total == pytest.approx(1, abs=1e-4)
    first = {row["start"]: row["predicted"] for row in rows if row["step"] == "0"}
    flips = [row["predicted"] != first[row["start"]] for row in rows if row["step"] != "0"]
    assert result.flip_rate == pytest.approx(np.mean(flips))
    assert (result.latent_flip_rate is None) == (mode.name == "ou")
    assert (tmp_path / "out" / "walk.png").is_file()


def read_frames(path):
    with Image.open(path) as film:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]


def test_a_grid_is_a_page_of_images_and_a_film_round_its_edge(files, tmp_path):
    result = walk(files.of_images, GridWalk(steps=3), tmp_path / "out", choice=DataChoice(seed=3))
    assert (result.count, result.steps, len(result.starts), result.ends) == (1, 3, 4, None)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["walk.gif", "walk.json", "walk.png"]
    page = np.asarray(Image.open(tmp_path / "out" / "walk.png"))
    assert page.shape == (3 * 64 + 4 * GAP, 3 * 64 + 4 * GAP, 3)
    film = read_frames(tmp_path / "out" / "walk.gif")
    assert len(film) == 4 * 24
    # The film begins in the top left corner and comes by top right, bottom right and bottom left.
    corners = [page[y : y + 64 : 2, x : x + 64 : 2] for y, x in ((GAP, GAP), (GAP, -GAP - 64), (-GAP - 64, -GAP - 64))]
    # Of noise 256 colours are few, so the film is not exact; it shows each corner in its turn all the same.
    shown = [frame[GAP:-GAP:8, GAP:-GAP:8].astype(int) for frame in film[:49:24]]
    apart = np.array([[np.abs(image - corner).mean() for corner in corners] for image in shown])
    assert apart.argmin(1).tolist() == [0, 1, 2]
    assert apart.diagonal().max() < 12


def test_an_attribute_is_added_by_positive_strengths(files, pictures, tmp_path, cache):
    result = walk(
        files.of_images,
        along("class=a", "color=3:-0.5", strength=(-2, 2)),
        tmp_path / "out",
        choice=DataChoice(str(pictures), None, "all", 2, 3),
    )
    first, second = result.attributes
    assert (first.attribute, first.weight, second.attribute, second.weight) == ("class=a", 1, "color=3", -0.5)
    assert (result.strength, result.steps, result.factors) == ((-2, 2), 7, ("digit", "color", "residual"))
    train = open_folder(pictures).splits["train"]
    assert first.images_with + first.images_without == len(train)
    saved = json.loads((tmp_path / "out" / "walk.json").read_text())
    assert saved["attributes"][1]["images_with"] == second.images_with
    assert result.tables()[0][1][0]["attribute"] == "class=a"
    film = read_frames(tmp_path / "out" / "walk.gif")
    assert film[0].shape[1] == 2 * 128 + 3 * GAP
    assert len(film) == 48


def test_the_ending_of_out_says_what_is_written(files, tmp_path):
    mode, choice = LinearWalk(steps=2), DataChoice(n=1)
    for name in ("a.png", "a.gif", "a.webp"):
        walk(files.of_images, mode, tmp_path / name, choice=choice)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.gif", "a.png", "a.webp"]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [len(read_frames(tmp_path / name)) for name in ("a.gif", "a.webp")] == [48, 48]
    walk(files.of_images, mode, tmp_path / "folder", animate="webp", choice=choice)
    assert (tmp_path / "folder" / "walk.webp").read_bytes() == (tmp_path / "a.webp").read_bytes()
    assert (tmp_path / "folder" / "walk.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    assert not (tmp_path / "folder" / "walk.gif").exists()


def test_an_attribute_walk_of_a_classifier_is_a_plot_and_a_table_over_the_strength(files, pictures, tmp_path, cache):
    result = walk(
        files.of_classes,
        along("class=b", factors=("digit",), steps=5),
        tmp_path / "out",
        choice=DataChoice(str(pictures), None, "all", 2, 1),
    )
    with open(tmp_path / "out" / "walk.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["strength"]) for row in rows] == [-3, -1.5, 0, 1.5, 3] * 2
    # What is predicted at strength 0 is what the others are compared with.
    middle = {row["start"]: row["predicted"] for row in rows if float(row["strength"]) == 0}
    flips = [row["predicted"] != middle[row["start"]] for row in rows if float(row["strength"]) != 0]
    assert result.flip_rate == pytest.approx(np.mean(flips))
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["walk.csv", "walk.json", "walk.png"]


def test_two_folders_make_an_axis_too(files, pictures, tmp_path, cache):
    for side, numbers in (("with", range(6)), ("without", range(6, 16))):
        (tmp_path / side).mkdir()
        for number in numbers:
            shutil.copy(pictures / f"{number:02d}.png", tmp_path / side)
    target = pictures / "90.png"
    both = FolderAxis(tmp_path / "with", tmp_path / "without")
    result = walk(files.of_images, AttributeWalk(target=(target,), steps=3, axis=both), tmp_path / "w.png")
    (part,) = result.attributes
    assert (part.attribute, part.images_with, part.images_without, result.starts) == ("with", 6, 10, (str(target),))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"--with: .*empty has no images"):
        walk(files.of_images, AttributeWalk(axis=FolderAxis(tmp_path / "empty", tmp_path / "without")), tmp_path / "no")


def test_bad_input(files, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="which factor"):
        walk(files.of_images, Wandering(), out)
    with pytest.raises(UsageError, match="no factor 'shape'"):
        walk(files.of_images, LinearWalk(("shape",)), out)
    with pytest.raises(UsageError, match="gamma"):
        walk(files.of_images, Wandering(ou=OUWalk("digit", gamma=0)), out)
    with pytest.raises(UsageError, match="at least 2 steps"):
        walk(files.of_images, Wandering(steps=1, ou=OUWalk("digit")), out)
    with pytest.raises(UsageError, match=r"four corners, and --target gives 1"):
        walk(files.of_images, GridWalk(target=(image_file(tmp_path),)), out)
    with pytest.raises(DataError, match=r"no attribute 'clas': did you mean class"):
        walk(files.of_images, along("clas=3"), out)
    with pytest.raises(UsageError, match=r"\.png or \.pdf or \.svg or \.json or \.csv"):
        walk(files.of_classes, LinearWalk(), tmp_path / "w.npz")
    assert not out.exists()


def image_file(folder):
    path = folder / "one.png"
    Image.new("RGB", (32, 32)).save(path)
    return path
