"""The distance of two sets of images, whatever they are made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from iin_cli.data import open_dataset
from iin_cli.editing.priors import TranslatorPrior, generate
from iin_cli.errors import CheckpointError, DataError, UsageError
from iin_cli.fid.distance import distance, measure_both
from iin_cli.fid.image_sets import Stored
from iin_cli.io import checkpoint
from iin_cli.io.paths import cache_dir
from iin_cli.metrics.fid import Statistics, frechet_distance, read_statistics, write_statistics
from iin_cli.metrics.inception import OFFICIAL_SHA256
from iin_cli.metrics.kernel_distance import KernelSums, kernel_distance
from iin_cli.metrics.precision_recall import Manifold, density_coverage


class Means:
    """A stand-in network: mean colour and height of each image; counts what it is shown."""

    name = "means"
    resize = "none"

    def __init__(self, digest="ab" * 32):
        self.weights_sha256 = digest
        self.seen = []

    def __call__(self, images):
        self.seen += [image.shape for image in images]
        rows = [[*(image.reshape(-1, 3).mean(0) / 255), image.shape[0] / 100] for image in images]
        return torch.tensor(rows, dtype=torch.float32)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))


def photos(folder, count, seed, sides=(8,), low=0):
    folder.mkdir()
    generator = np.random.default_rng(seed)
    images = []
    for index in range(count):
        side = sides[index % len(sides)]
        images.append(generator.integers(low, 256, (side, side + index % 3, 3), dtype=np.uint8))
        Image.fromarray(images[-1]).save(folder / f"{index:03d}.png")
    return images


def source(named, **choice):
    """Open a folder, a dataset or statistics; whatever is open already stays as it is."""
    if isinstance(named, Path) and named.is_file():
        return read_statistics(named)
    return Stored.of(open_dataset(str(named)), **choice) if isinstance(named, (str, Path)) else named


def both(a, b, features=None, split="test", **options):
    choice = {"split": split, "n": options.get("n"), "seed": options.get("seed", 0)}
    return measure_both(source(a, **choice), source(b, **choice), features or Means(), **options)


def run(a, b, features=None, report=None, save_stats=None, **options):
    of_a, of_b = both(a, b, features, report=report, **options)
    if save_stats is not None:
        write_statistics(save_stats, of_a.statistics)
    return distance(of_a, of_b, network="means", seed=options.get("seed", 0), report=report)


def statistics_of(images):
    rows = Means()(images).double()
    return Statistics(rows.mean(0), torch.cov(rows.T), len(rows))


# ------------------------------------------------------------------------------------------------------------ folders
def test_single_features_are_compared_and_a_is_real(tmp_path):
    a, b = photos(tmp_path / "a", 20, 0), photos(tmp_path / "b", 12, 1, low=60)
    rows = [Means()(images) for images in (a, b)]
    got = run(tmp_path / "a", tmp_path / "b")
    assert got.kernel == kernel_distance(*map(KernelSums, rows))
    spread = density_coverage(Manifold(rows[0], 5), rows[1])
    assert (got.density.value, got.coverage.value) == pytest.approx((spread.density, spread.coverage))
    assert got.coverage.low <= got.coverage.value <= got.coverage.high
    assert (got.reference, got.n_compared, got.coverage.items) == (str(tmp_path / "a"), 12, 20)
    ((title, (row,)),) = got.tables()
    assert str(tmp_path / "a") in title
    # Not Inception's official weights: neither FID nor KID.
    assert list(row) == ["kd", "density", "coverage"]


def test_of_a_large_set_the_images_kept_are_of_all_its_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("iin_cli.fid.distance.MOST_COMPARED", 8)
    (tmp_path / "a").mkdir()
    for index in range(40):
        # Sorted by brightness, as a folder of classes is by class.
        Image.new("RGB", (8, 8), (6 * index, 0, 0)).save(tmp_path / "a" / f"{index:03d}.png")
    features = Means()
    of_a, _ = both(tmp_path / "a", tmp_path / "a", features)
    assert len(of_a.features) == 8
    assert of_a.features[:, 0].max() > 0.5


def test_two_folders_of_mixed_sizes_at_their_own_sizes(tmp_path):
    a, b = photos(tmp_path / "a", 9, 0, sides=(8, 13)), photos(tmp_path / "b", 6, 1, low=60)
    features = Means()
    got = run(tmp_path / "a", tmp_path / "b", features, batch=4)
    assert got.value == pytest.approx(frechet_distance(statistics_of(a), statistics_of(b)), rel=1e-6)
    assert got.value > 1e-3
    assert features.seen == [image.shape for image in a + b]
    assert (got.metric, got.network, got.n, got.n_a, got.n_b) == ("fd", "means", 6, 9, 6)
    assert got.weights_sha256 == "ab" * 32


def test_a_folder_against_itself_is_at_zero_and_seen_once(tmp_path):
    photos(tmp_path / "a", 5, 0)
    features = Means()
    assert run(tmp_path / "a", tmp_path / "a", features).value <= 1e-9
    assert len(features.seen) == 5


def test_statistics_are_cached_by_content(tmp_path):
    photos(tmp_path / "a", 5, 0)
    photos(tmp_path / "b", 5, 1)
    first = run(tmp_path / "a", tmp_path / "b")
    again = Means()
    (tmp_path / "a").rename(tmp_path / "renamed")
    assert run(tmp_path / "renamed", tmp_path / "b", again).value == first.value
    assert again.seen == []

    other_weights = Means("cd" * 32)
    run(tmp_path / "renamed", tmp_path / "b", other_weights)
    assert len(other_weights.seen) == 10

    Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).save(tmp_path / "b" / "000.png")
    changed = Means()
    assert run(tmp_path / "renamed", tmp_path / "b", changed).value != first.value
    assert len(changed.seen) == 5


def test_a_damaged_or_unwritable_cache_costs_time_only(heard, tmp_path, monkeypatch):
    photos(tmp_path / "a", 5, 0)
    photos(tmp_path / "b", 5, 1)
    first = run(tmp_path / "a", tmp_path / "b")
    for file in (cache_dir() / "statistics").iterdir():
        file.write_bytes(file.read_bytes()[:40])
    again = Means()
    assert run(tmp_path / "a", tmp_path / "b", again).value == first.value
    assert len(again.seen) == 10

    (tmp_path / "taken").write_text("a file where the cache should be")
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "taken"))
    assert run(tmp_path / "a", tmp_path / "b", report=heard).value == first.value
    assert any("not cached" in text for text in heard.warnings)


def test_bad_folders_are_named(tmp_path):
    photos(tmp_path / "a", 4, 0)
    with pytest.raises(DataError, match="has 4 images, fewer than --n 5"):
        run(tmp_path / "a", tmp_path / "a", n=5)
    photos(tmp_path / "one", 1, 0)
    with pytest.raises(DataError, match="one has 1 image"):
        run(tmp_path / "a", tmp_path / "one")
    cached = set((cache_dir() / "statistics").iterdir())
    broken = tmp_path / "a" / "002.png"
    broken.write_bytes(broken.read_bytes()[:90])
    with pytest.raises(DataError, match=r"a/002\.png cannot be read") as caught:
        run(tmp_path / "a", tmp_path / "one")
    assert "\n" not in str(caught.value)
    # What was seen before the broken image must not pass for the folder's statistics.
    assert set((cache_dir() / "statistics").iterdir()) == cached


def test_images_need_a_network(tmp_path):
    photos(tmp_path / "a", 4, 0)
    with pytest.raises(UsageError, match="in the features of a network: give one"):
        measure_both(source(tmp_path / "a"), source(tmp_path / "a"))


# ----------------------------------------------------------------------------------------------------------- datasets
def test_a_dataset_s_split_and_a_choice_of_n():
    digits = open_dataset("digits")
    items = digits.splits["test"]
    features = Means()
    got = run("digits", "digits", features, n=30, seed=3)
    assert got.n == 30
    assert got.value <= 1e-9
    assert features.seen == [(digits.native_size, digits.native_size, 3)] * 30
    whole = run("digits", "digits", n=len(items))
    assert whole.n == len(items)
    other = Means()
    run("digits", "digits", other, n=30, seed=4)
    assert len(other.seen) == 30
    assert run("digits", "digits", split="all").n == len(digits.sources)
    assert run("digits", "digits", split="train").n == len(digits.splits["train"])
    with pytest.raises(UsageError, match="--split 'valid': digits has"):
        run("digits", "digits", split="valid")


# -------------------------------------------------------------------------------------------------------- translators
def test_a_translator_gives_as_many_images_as_the_other_set_at_its_size(tmp_path, opened):
    photos(tmp_path / "a", 7, 0, sides=(8, 13))
    features = Means()
    got = run(opened, tmp_path / "a", features, seed=5)
    assert (got.n_a, got.n_b, got.seed) == (7, 7, 5)
    # As training saw them: cut square and at the translator's size, both sets.
    assert features.seen == [(32, 32, 3)] * 14
    backbone = opened.network.backbone
    drawn = [
        image for part in generate(backbone, TranslatorPrior(opened), range(5, 12), opened.device) for image in part
    ]
    read = open_dataset(str(tmp_path / "a")).images(np.arange(7), 32)
    assert got.value == pytest.approx(frechet_distance(statistics_of(drawn), statistics_of(list(read))), rel=1e-6)

    other_seed = run(opened, tmp_path / "a", seed=6)
    assert other_seed.value != got.value


def test_two_translators_are_sampled_n_times(opened):
    got = run(opened, opened, n=12)
    assert (got.n_a, got.n_b) == (12, 12)
    assert got.value <= 1e-9


# --------------------------------------------------------------------------------------------------------- statistics
def test_saved_statistics_stand_for_their_images(tmp_path):
    photos(tmp_path / "a", 9, 0)
    photos(tmp_path / "b", 6, 1)
    kept = tmp_path / "kept.safetensors"
    direct = run(tmp_path / "a", tmp_path / "b", save_stats=kept)
    assert read_statistics(kept).n == 9
    assert checkpoint.describe(kept)["source"] == str(tmp_path / "a")

    # Two statistics files need no network.
    got = distance(*measure_both(source(kept), source(kept)))
    assert got.value <= 1e-9
    again = run(kept, tmp_path / "b")
    # Statistics have no single features to compare.
    alone = replace(direct, kernel=None, density=None, coverage=None, reference=None, n_compared=None)
    assert replace(again, seconds=direct.seconds) == alone


def test_statistics_of_other_weights_are_refused_before_any_image_is_read(tmp_path):
    kept = tmp_path / "kept.safetensors"
    photos(tmp_path / "a", 4, 0)
    run(tmp_path / "a", tmp_path / "a", save_stats=kept)
    other = Means("cd" * 32)
    with pytest.raises(CheckpointError, match="with weights abababababab and --weights with cdcdcdcdcdcd"):
        run(kept, tmp_path / "a", other)
    assert other.seen == []


def test_only_known_official_weights_make_it_fid(heard, tmp_path):
    official = replace(statistics_of(photos(tmp_path / "a", 6, 0)), weights_sha256=OFFICIAL_SHA256, n=5000)
    foreign = replace(official, weights_sha256=None, n=None, source="foreign.npz")

    def measure(a, b):
        return distance(*measure_both(a, b), report=heard)

    got = measure(official, official)
    assert (got.metric, got.weights_sha256, got.n) == ("fid", OFFICIAL_SHA256, 5000)
    other = replace(official, weights_sha256="1" * 64)
    assert measure(other, other).metric == "fd"
    assert heard.notes == heard.warnings == []
    got = measure(official, foreign)
    assert (got.metric, got.weights_sha256, got.n, got.n_b) == ("fd", None, 5000, None)
    assert "does not say which weights" in heard.warnings[0]
    assert got.value <= 1e-9


def test_statistics_of_images_of_another_size_are_refused(tmp_path, opened):
    photos(tmp_path / "a", 4, 0)
    squares_of_8, squares_of_6 = tmp_path / "8", tmp_path / "6"
    for folder, side in ((squares_of_8, 8), (squares_of_6, 6)):
        folder.mkdir()
        for index, image in enumerate(np.random.default_rng(side).integers(0, 256, (5, side, side, 3), np.uint8)):
            Image.fromarray(image).save(folder / f"{index}.png")
        run(folder, folder, save_stats=tmp_path / f"{side}.safetensors")
    kept = tmp_path / "8.safetensors"
    assert read_statistics(kept).image_size == 8
    unseen = Means()
    # A translator's size is known before it draws for the network, a folder's only then.
    with pytest.raises(CheckpointError, match=r"t-ae\.safetensors is of images 32 .*/8\.safetensors of images 8 wide"):
        run(opened, kept, unseen)
    assert unseen.seen == []
    for other in (squares_of_6, tmp_path / "6.safetensors"):
        with pytest.raises(CheckpointError, match=r"8\.safetensors is of images 8 pixels wide and .*6.* of images 6"):
            run(kept, other)
    # As pytorch-fid does, folders of any sizes are compared, and so are files that do not say.
    assert run(squares_of_8, squares_of_6).value > 0
    assert run(kept, squares_of_8).value <= 1e-9
    run(tmp_path / "a", tmp_path / "a", save_stats=tmp_path / "mixed.safetensors")
    assert read_statistics(tmp_path / "mixed.safetensors").image_size is None
    assert run(tmp_path / "mixed.safetensors", squares_of_8).value > 0


def test_few_images_are_warned_of_by_the_number_of_features(heard, tmp_path):
    photos(tmp_path / "a", 3, 0)
    photos(tmp_path / "b", 4, 0)
    run(tmp_path / "b", tmp_path / "b", report=heard)
    assert heard.notes == heard.warnings == []
    run(tmp_path / "b", tmp_path / "a", report=heard)
    assert any("from 3 images is biased upwards: use at least 4" in text for text in heard.warnings)
