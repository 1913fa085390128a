"""A folder of samples: the same bytes however often it was interrupted and however many processes filled it."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from iin_cli.commands.edit import sample as recipe
from iin_cli.editing.priors import BackbonePrior, TranslatorPrior, generate
from iin_cli.editing.sample import Sampling
from iin_cli.errors import CheckpointError, ResourceError, UsageError
from iin_cli.io import checkpoint, images

CPU = torch.device("cpu")


def sample(translator, seeds, out, batch=64, **sampling):
    return recipe.sample(translator, seeds, out, Sampling(**sampling), batch=batch, device="cpu")


def draw(opened, seeds, prior=None):
    return np.concatenate(list(generate(opened.network.backbone, prior or TranslatorPrior(opened), seeds, CPU)))


@pytest.fixture(scope="module")
def undisturbed(files, tmp_path_factory):
    """The bytes of seeds 0-599 as npz and png, drawn in one go."""
    folder = tmp_path_factory.mktemp("undisturbed")
    for kind in ("npz", "png"):
        sample(files.of_images, range(600), folder / kind, format=kind)
    return {kind: contents(folder / kind) for kind in ("npz", "png")}


def contents(folder):
    """Every file but the one that tells how long it took."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != "sample.json"}


def test_files_are_named_by_seed(files, tmp_path, opened):
    result = sample(files.of_images, [3, 1234567, 8], tmp_path / "out")
    names = {"000003.png": 3, "1234567.png": 1234567, "000008.png": 8}
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(
        [*names, "manifest", "manifest.json", "sample.json"]
    )
    assert (result.count, result.skipped, result.out) == (3, 0, str(tmp_path / "out"))
    assert result.images_per_second == pytest.approx(3 / result.seconds, rel=0.2)
    assert 0 < result.decode_share <= 1
    assert json.loads((tmp_path / "out" / "sample.json").read_text()) == {**result.as_dict(), "varied": []}
    for name, seed in names.items():
        assert (np.asarray(Image.open(tmp_path / "out" / name)) == draw(opened, [seed])[0]).all()


def test_webp_is_lossless(files, tmp_path, opened):
    seeds = range(20)
    sample(files.of_images, seeds, tmp_path, format="webp", subdirs=True)
    found = sorted((tmp_path / "000000").iterdir())
    assert [file.name for file in found] == [f"{seed:06d}.webp" for seed in seeds]
    assert (np.stack([np.asarray(Image.open(file)) for file in found]) == draw(opened, seeds)).all()
    assert sample(files.of_images, seeds, tmp_path, format="webp", subdirs=True).skipped == 20


def test_subfolders_hold_a_thousand_seeds_each(files, tmp_path):
    sample(files.of_images, [999, 1000, 1999999], tmp_path, subdirs=True)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))
    assert found == ["000000/000999.png", "001000/001000.png", "1999000/1999999.png"]
    assert sample(files.of_images, [999, 1000, 1999999], tmp_path, subdirs=True).skipped == 3


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_a_file_of_arrays_holds_a_shard(files, tmp_path, opened, kind):
    seeds = [9, *range(1000, 1300)]
    sample(files.of_images, seeds, tmp_path / "out", format=kind, batch=7)
    read = np.load if kind == "npz" else load_file
    parts = [read(tmp_path / "out" / f"images-{number:05d}.{kind}") for number in range(2)]
    assert [len(part["seeds"]) for part in parts] == [256, 45]
    assert np.concatenate([part["seeds"] for part in parts]).tolist() == seeds
    assert (np.concatenate([part["images"] for part in parts]) == draw(opened, seeds)).all()
    assert not (tmp_path / "out" / f"images-00002.{kind}").exists()


@pytest.mark.parametrize("kind", ["npz", "png"])
def test_a_rerun_draws_what_is_missing_or_damaged_and_nothing_else(files, tmp_path, undisturbed, kind):
    out = tmp_path / "out"
    sample(files.of_images, range(600), out, format=kind, batch=7)
    assert contents(out) == undisturbed[kind]
    damaged = out / ("000300.png" if kind == "png" else "images-00001.npz")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (out / "manifest" / "00002.json").unlink()
    (out / "000310.part").write_bytes(b"half")
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    result = sample(files.of_images, range(600), out, format=kind)
    assert (result.count, result.skipped) == (600, 256)
    assert contents(out) == undisturbed[kind]
    kept = out / ("000000.png" if kind == "png" else "images-00000.npz")
    assert kept.stat().st_mtime_ns == times[kept]
    assert damaged.stat().st_mtime_ns > times[damaged]


def test_a_finished_folder_is_only_looked_at(files, tmp_path, monkeypatch):
    first = sample(files.of_images, range(300), tmp_path, format="npz")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr("iin_cli.editing.sample.generate", None)
    result = sample(files.of_images, range(300), tmp_path, format="npz")
    assert (first.skipped, result.count, result.skipped, result.images_per_second) == (0, 300, 300, 0)
    assert result.decode_share is None
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("kind", ["npz", "png"])
def test_more_seeds_are_added(files, tmp_path, undisturbed, kind):
    sample(files.of_images, range(300), tmp_path, format=kind)
    assert sample(files.of_images, range(600), tmp_path, format=kind).skipped == 256
    assert contents(tmp_path) == undisturbed[kind]


def test_another_run_in_the_folder_is_refused(files, tmp_path):
    out = tmp_path / "out"
    sample(files.of_images, range(3), out)
    before = contents(out)
    for difference, words in (
        ({"format": "npz"}, "format png there, npz asked"),
        ({"truncation": 0.5}, "truncation 1.0 there, 0.5 asked"),
        ({"prior": "backbone"}, "prior translator there, backbone asked"),
        ({"subdirs": True}, "subdirs false there, true asked"),
        ({"fix": (("digit", out / "000001.png"),)}, "fix none there, digit="),
    ):
        with pytest.raises(UsageError, match=words):
            sample(files.of_images, range(3), out, **difference)
    copy, trained_on = tmp_path / "copy.safetensors", tmp_path / "other.safetensors"
    copy.write_bytes(files.of_images.read_bytes())
    assert sample(copy, range(3), out).skipped == 3
    file = checkpoint.load(files.of_images)
    trained = {name: tensor * 1.01 if tensor.is_floating_point() else tensor for name, tensor in file.tensors.items()}
    checkpoint.save(trained_on, trained, file.metadata)
    with pytest.raises(UsageError, match=r"translator [0-9a-f]{12}… there, [0-9a-f]{12}… asked"):
        sample(trained_on, range(3), out)
    with pytest.raises(UsageError, match="holds the seeds 0-2"):
        sample(files.of_images, range(1, 3), out)
    assert contents(out) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="mine is not empty and holds no samples"):
        sample(files.of_images, range(3), tmp_path / "mine")


def test_what_cannot_be_sampled_leaves_no_folder(files, tmp_path):
    for translator, options, words in (
        (files.of_classes, {}, "classifier"),
        (files.of_classes, {"fix": (("digit", tmp_path / "x.png"),)}, "classifier"),
        (files.of_latents, {}, "without a backbone"),
        (files.of_images, {"format": "gif"}, "png, webp, npz, safetensors"),
        (files.of_images, {"format": "npz", "subdirs": True}, "--subdirs"),
        (files.of_images, {"prior": "vae"}, "translator, backbone"),
        (files.of_images, {"prior": "backbone", "vary": ("digit",)}, "leave out --prior backbone"),
        (files.of_images, {"truncation": 0.0}, "--truncation 0: "),
        (files.of_images, {"truncation": 1.5}, "--truncation 1.5: "),
        (files.of_images, {"truncation": float("nan")}, "--truncation nan: "),
        (files.of_images, {"vary": ("digit",)}, "add --fix residual=IMAGE"),
    ):
        with pytest.raises(UsageError, match=words):
            sample(translator, [0], tmp_path / "out", **options)
    with pytest.raises(CheckpointError):
        sample(tmp_path / "gone", [0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_backbones_prior_and_truncation(files, tmp_path, opened):
    sample(files.of_images, range(3), tmp_path, prior="backbone", truncation=0.5, format="npz")
    with np.load(tmp_path / "images-00000.npz") as found:
        assert (found["images"] == draw(opened, range(3), BackbonePrior(opened.network.backbone, 0.5))).all()


def test_partial_sampling_tells_what_came_from_where(files, tmp_path):
    image = tmp_path / "face.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 50), np.uint8)).save(image)
    options = {"fix": (("residual", image),), "vary": ("digit",)}
    result = sample(files.of_images, range(3), tmp_path / "out", **options)
    assert result.fixed == {"color": str(image), "residual": str(image)}
    assert result.varied == ("digit",)
    assert len({(tmp_path / "out" / f"00000{seed}.png").read_bytes() for seed in range(3)}) == 3
    assert sample(files.of_images, range(3), tmp_path / "out", **options).skipped == 3
    # Another image under the same name is another run.
    Image.new("RGB", (32, 32), "red").save(image)
    with pytest.raises(UsageError, match=r"fix color=.* there, color=.* asked"):
        sample(files.of_images, range(3), tmp_path / "out", **options)


@pytest.mark.parametrize(("kind", "name"), [("png", "000300.png"), ("npz", "images-00001.npz")])
def test_a_full_disk_leaves_finished_files_and_a_rerun_completes(files, tmp_path, monkeypatch, undisturbed, kind, name):
    write = Path.write_bytes

    def full(path, content):
        if "000300" in str(path) or "images-00001" in str(path):
            write(Path(path), content[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(Path(path), content)

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(images, "_write_bytes", full)
    with pytest.raises(ResourceError, match=rf"no space left on the disk while writing .*{name}"):
        sample(files.of_images, range(600), tmp_path, format=kind)
    left = contents(tmp_path)
    assert name not in left
    assert left.items() <= undisturbed[kind].items()
    assert "manifest/00000.json" in left
    assert "manifest/00001.json" not in left
    monkeypatch.undo()
    assert sample(files.of_images, range(600), tmp_path, format=kind).skipped >= 256
    assert contents(tmp_path) == undisturbed[kind]
