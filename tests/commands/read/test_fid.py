"""What the names that `iin fid` is given stand for, and a translator with what its checkpoint records."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from iin_cli.commands.read.fid import PriorChoice, fid, fid_of_translator
from iin_cli.errors import CheckpointError, DataError, UsageError
from iin_cli.fid.feature_networks import FeatureChoice
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.io import checkpoint
from iin_cli.metrics.fid import read_statistics


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run(files):
    """Compare what two names stand for in the features of the classifier, or of another network."""

    def run(a, b, features=files.classifier, n=None, seed=0, **options):
        network = FeatureChoice(str(features))
        return fid(str(a), str(b), DataChoice(n=n, seed=seed), network, device="cpu", **options)

    return run


def photos(folder, count, seed, sides=(8,), low=0):
    folder.mkdir()
    generator = np.random.default_rng(seed)
    for index in range(count):
        side = sides[index % len(sides)]
        image = generator.integers(low, 256, (side, side + index % 3, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"{index:03d}.png")
    return folder


def moved_copy(files, folder):
    """The translator of images and its backbone in a folder of their own, as a run has them."""
    folder.mkdir()
    backbone, translator = folder / "backbone.safetensors", folder / "translator.safetensors"
    backbone.write_bytes(files.autoencoder.read_bytes())
    loaded = checkpoint.load(files.of_images)
    loaded.metadata["backbone"]["source"] = str(backbone)
    checkpoint.save(translator, loaded.tensors, loaded.metadata)
    return folder


def test_a_backbone_can_take_the_place_of_inception(tmp_path, files, run):
    a, b = photos(tmp_path / "a", 9, 0, sides=(20, 40)), photos(tmp_path / "b", 12, 1, low=80)
    kept = tmp_path / "kept.safetensors"
    got = run(a, b, save_stats=kept)
    digest = checkpoint.digest(files.classifier)
    assert (got.metric, got.network, got.resize, got.weights_sha256) == ("fd", "classifier", "bicubic-32", digest)
    assert got.value > 0
    assert run(kept, b).value == got.value
    with pytest.raises(CheckpointError, match="and --features with"):
        run(kept, b, features=files.autoencoder)


def test_bad_names_are_named(tmp_path, run):
    a = photos(tmp_path / "a", 4, 0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty has no images"):
        run(tmp_path / "empty", a)
    with pytest.raises(UsageError, match="nonesuch"):
        run("nonesuch", a)
    checkpoint.save(
        tmp_path / "backbone.safetensors", {"w": torch.zeros(1)}, {"kind": "backbone", "name": "x", "config": {}}
    )
    with pytest.raises(CheckpointError, match=r"backbone\.safetensors is a backbone: give a translator"):
        run(tmp_path / "backbone.safetensors", "digits")
    with pytest.raises(CheckpointError, match=r"gone\.safetensors"):
        run(tmp_path / "gone.safetensors", "digits")


def test_a_translator_is_named_by_its_file_or_its_run_and_its_backbone_may_move(tmp_path, files, run):
    a, folder = photos(tmp_path / "a", 7, 0), moved_copy(files, tmp_path / "run")
    path = folder / "translator.safetensors"
    got = run(path, a, seed=5)
    assert (got.n_a, got.n_b, got.seed) == (7, 7, 5)
    assert run(folder, a, seed=5).value == got.value
    assert run(path, a, seed=6).value != got.value
    assert run(path, path, n=5).value <= 1e-9
    (tmp_path / "moved").mkdir()
    (folder / "backbone.safetensors").rename(tmp_path / "moved" / "backbone.safetensors")
    with pytest.raises(CheckpointError, match="--backbone"):
        run(path, path, n=6)
    assert run(path, path, n=6, backbone=tmp_path / "moved").n == 6


def test_statistics_files_need_no_network_and_are_new(tmp_path, run):
    a = photos(tmp_path / "a", 9, 0)
    kept = tmp_path / "kept.safetensors"
    run(a, a, save_stats=kept)
    assert read_statistics(kept).n == 9
    assert checkpoint.describe(kept)["source"] == str(a)
    # No network is opened: there is none.
    assert run(kept, kept, features="gone.safetensors").value <= 1e-9
    with pytest.raises(DataError, match="made from 9 images, fewer than --n 10"):
        run(kept, kept, n=10)
    with pytest.raises(UsageError, match=r"kept\.safetensors exists already"):
        run(a, a, save_stats=kept)
    with pytest.raises(UsageError, match=r"ends in \.safetensors"):
        run(a, a, save_stats=tmp_path / "kept.npz")


def test_pytorch_fid_s_files_are_read(tmp_path, run):
    a = photos(tmp_path / "a", 9, 0)
    kept = tmp_path / "kept.safetensors"
    run(a, a, save_stats=kept)
    statistics = read_statistics(kept)
    np.savez(tmp_path / "foreign.npz", mu=statistics.mean.numpy(), sigma=statistics.covariance.numpy())
    got = run(kept, tmp_path / "foreign.npz")
    assert (got.metric, got.n, got.n_b) == ("fd", 9, None)
    assert got.value <= 1e-9


# -------------------------------------------------------------------------------------------- a translator, its data
def test_from_files_with_what_they_record(files):
    network, choice = FeatureChoice(str(files.classifier)), DataChoice(n=30)

    def protocol(priors, choice=choice):
        return fid_of_translator(files.of_images, choice, network, priors, trials=2, device="cpu")

    got = protocol(PriorChoice(truncation=0.7))
    assert (got.metric, got.network, got.data, got.reference) == ("fd", "classifier", "digits", "test")
    assert (got.weights_sha256, got.features) == (checkpoint.digest(files.classifier), 8)
    assert [entry.truncation for entry in got.sets] == [0.7, 1.0, None]
    assert json.loads(json.dumps(got.as_dict()))["sets"][0]["value"] == got.sets[0].value
    only = protocol(PriorChoice(["backbone", "backbone"]))
    assert only.sets == got.sets[1:]
    two = protocol(PriorChoice(["backbone"]), DataChoice(n=3))
    assert two.sets[0].trials[0].precision is None


def test_bad_input_is_refused_before_the_network_is_opened(files):
    gone = FeatureChoice("gone.safetensors")

    def protocol(translator, data=None, **priors):
        return fid_of_translator(translator, DataChoice(data), gone, PriorChoice(**priors), device="cpu")

    with pytest.raises(UsageError, match="--prior translatr: did you mean translator"):
        protocol(files.of_images, names=["translatr"])
    for truncation in (0.0, -1.0, 1.1, float("nan")):
        with pytest.raises(UsageError, match="--truncation"):
            protocol(files.of_images, truncation=truncation)
    with pytest.raises(UsageError, match="is a classifier and draws no images"):
        protocol(files.of_classes)
    with pytest.raises(UsageError, match="fitted to latents without a backbone"):
        protocol(files.of_latents)
    with pytest.raises(UsageError, match="nonesuch"):
        protocol(files.of_images, data="nonesuch")
