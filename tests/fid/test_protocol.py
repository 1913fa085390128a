"""A translator's images between floor and ceiling, all against one reference."""

import numpy as np
import pytest
import torch

from iin_cli.data import open_dataset
from iin_cli.editing.priors import BackbonePrior, TranslatorPrior, generate
from iin_cli.errors import DataError, UsageError
from iin_cli.fid.feature_networks import FeatureChoice
from iin_cli.fid.image_sets import Stored, reconstructions
from iin_cli.fid.protocol import fid_protocol
from iin_cli.interpretation.opening import open_translator
from iin_cli.metrics.fid import Statistics, frechet_distance
from iin_cli.metrics.kernel_distance import KernelSums, kernel_distance
from iin_cli.metrics.precision_recall import Manifold, density_coverage, precision_recall
from iin_cli.progress import Silent

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits")


class Watched:
    """A feature network that counts the images it is shown."""

    def __init__(self, path):
        self.inner = FeatureChoice(str(path)).open(CPU, Silent())
        self.name, self.resize, self.weights_sha256 = self.inner.name, self.inner.resize, self.inner.weights_sha256
        self.count = 0

    def __call__(self, images):
        self.count += len(images)
        return self.inner(images)


def read_set(images):
    return np.stack(list(images.read(0, images.count)))


def statistics(rows):
    return Statistics(rows.double().mean(0), torch.cov(rows.double().T), len(rows))


def test_every_figure_is_that_of_its_images(files, opened, digits):
    network, backbone = Watched(files.classifier), opened.network.backbone
    got = fid_protocol(
        opened, [TranslatorPrior(opened), BackbonePrior(backbone)], digits, network, n=40, trials=2, seed=7
    )
    test = digits.splits["test"]
    assert (got.n, got.n_reference, got.trials, got.neighbours, got.n_neighbours) == (40, len(test), 2, 3, 40)
    assert network.count == len(test) + 3 * 80
    reference = network(list(digits.images(test, 32)))
    priors = {"translator": TranslatorPrior(opened), "backbone": BackbonePrior(backbone)}
    by_name = {entry.images: entry for entry in got.sets}
    assert list(by_name) == ["translator", "backbone", "reconstructions"]
    for name, prior in priors.items():
        for trial, found in enumerate(by_name[name].trials):
            seeds = range(7 + trial * 40, 47 + trial * 40)
            rows = network(list(np.concatenate(list(generate(backbone, prior, seeds, CPU)))))
            wanted = frechet_distance(statistics(reference), statistics(rows))
            assert found.distance == pytest.approx(wanted, rel=1e-4)
            assert 0 <= found.precision <= 1
    assert by_name["backbone"].is_ceiling
    assert not by_name["translator"].is_ceiling


def test_reconstructions_are_the_floor_and_of_other_images_in_every_trial(files, opened, digits):
    items = digits.splits["test"][:70]
    redrawn = reconstructions(opened.network, Stored(digits, items))
    pixels = digits.images(items, 32)
    wanted = opened.network.draw(opened.network.encode_pixels(pixels))
    assert np.abs(read_set(redrawn).astype(int) - wanted).max() <= 1
    seen = []
    network = Watched(files.classifier)
    kept = network.inner.__call__
    network.inner = lambda images: (seen.extend(image.tobytes() for image in images), kept(images))[1]
    got = fid_protocol(opened, [], digits, network, n=90, trials=9)
    (floor,) = got.sets
    # 360 images: 90 for the neighbours, three trials of others.
    assert len(digits.splits["test"]) // 90 == 1 + len(floor.trials)
    assert len(set(seen[-90 * len(floor.trials) :])) == 90 * len(floor.trials)
    whole = fid_protocol(opened, [], digits, Watched(files.classifier), trials=9)
    assert (whole.n, len(whole.sets[0].trials)) == (len(digits.splits["test"]), 1)
    assert whole.sets[0].as_dict()["value_std"] is None


def test_precision_and_recall_are_of_the_first_features_of_both_sides(files, opened, digits):
    network = Watched(files.classifier)
    got = fid_protocol(opened, [BackbonePrior(opened.network.backbone)], digits, network, n=50, trials=1)
    order = np.random.default_rng(0).permutation(digits.splits["test"])[:50]
    real = network(list(digits.images(order, 32)))
    images = np.concatenate(
        list(generate(opened.network.backbone, BackbonePrior(opened.network.backbone), range(50), CPU))
    )
    wanted = precision_recall(Manifold(real), Manifold(network(list(images))))
    trial = got.sets[0].trials[0]
    assert (trial.precision, trial.recall) == pytest.approx(wanted, abs=0.021)
    rows = network(list(images))
    kernel, spread = kernel_distance(KernelSums(real), KernelSums(rows)), density_coverage(Manifold(real, 5), rows)
    assert trial.kernel.value == pytest.approx(kernel.value, rel=1e-4)
    assert (trial.density, trial.coverage) == pytest.approx((spread.density, spread.coverage), abs=0.021)
    scores = got.sets[0].as_dict()
    assert scores["kernel"] == trial.kernel.value
    assert scores["kernel_intervals"] == [[trial.kernel.low, trial.kernel.high]]
    assert {"kd", "density", "coverage"} <= set(got.tables()[0][1][0])


class Doubled:
    """A prior from elsewhere."""

    name, noise_dim = "doubled", 8

    def draw(self, noise):
        return 2 * noise


def test_priors_from_elsewhere_join_the_table_and_are_kept_if_they_say_what_they_are(files, opened, digits):
    known, named = Doubled(), Doubled()
    named.fingerprint = "twice"
    for prior, again in ((known, 60), (named, 0)):
        network = Watched(files.classifier)
        first = fid_protocol(opened, [prior], digits, network, n=30, trials=2)
        assert [entry.images for entry in first.sets] == ["doubled", "reconstructions"]
        network.count = 0
        assert fid_protocol(opened, [prior], digits, network, n=30, trials=2).sets == first.sets
        assert network.count == again


def test_statistics_are_found_again_by_what_decides_them(files, opened, digits):
    backbone = opened.network.backbone

    def shown(prior, **options):
        network = Watched(files.classifier)
        fid_protocol(opened, [prior], digits, network, **{"n": 30, "trials": 1, **options})
        return network.count

    assert shown(TranslatorPrior(opened)) == len(digits.splits["test"]) + 60
    assert shown(TranslatorPrior(opened)) == 0
    assert shown(TranslatorPrior(opened, 0.5)) == 30
    assert shown(BackbonePrior(backbone)) == 30
    assert shown(BackbonePrior(backbone), seed=1) == 30
    assert shown(BackbonePrior(backbone), trials=2) == 30 + 30
    assert shown(BackbonePrior(backbone), reference="all") == len(digits.sources) + 30

    class Other(TranslatorPrior):
        def draw(self, noise):
            return noise

    assert shown(Other(opened)) == shown(Other(opened)) == 30


def test_bad_input_is_refused_before_the_network_runs(files, opened, digits):
    network = Watched(files.classifier)
    with pytest.raises(UsageError, match="--trials 0: there is nothing to measure"):
        fid_protocol(opened, [], digits, network, trials=0)
    with pytest.raises(UsageError, match="is a classifier and draws no images"):
        fid_protocol(open_translator(files.of_classes), [], digits, network)
    with pytest.raises(UsageError, match="fitted to latents without a backbone"):
        fid_protocol(open_translator(files.of_latents), [], digits, network)
    with pytest.raises(UsageError, match="--reference 'valid': digits has train, test, and all"):
        fid_protocol(opened, [], digits, network, reference="valid")
    there = len(digits.splits["test"])
    with pytest.raises(DataError, match=f"digits has {there} images in test, fewer than --n {there + 1}"):
        fid_protocol(opened, [], digits, network, n=there + 1)
    assert network.count == 0
