"""Training in two processes: the run is that of one, and all decide alike.

Started by torchrun, this file is the program that the tests run; see `main`.
"""

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from torch import nn
from torchvision.transforms.v2 import Compose, RandomHorizontalFlip, RandomResizedCrop

from iin_cli.backbones import recipes
from iin_cli.backbones.autoencoder import Autoencoder
from iin_cli.backbones.autoencoder_recipe import AutoencoderRecipe
from iin_cli.backbones.classifier import Classifier, ClassifierRecipe
from iin_cli.commands.files.encode import encode
from iin_cli.commands.make.fit_translator import fit_translator
from iin_cli.commands.make.train_backbone import train_backbone
from iin_cli.commands.read.counterfactuals import Aim, find_ways
from iin_cli.commands.read.respond import respond
from iin_cli.data import checking, open_dataset
from iin_cli.data.known_files import VERIFY
from iin_cli.distributed import from_main, gather, rank, seeded, world_size
from iin_cli.errors import DataError, DivergedError, UsageError
from iin_cli.fitting import inference
from iin_cli.fitting.backbone_training import BackboneChoice, BackboneTraining
from iin_cli.fitting.streams import FreshPairs, SingleRows
from iin_cli.fitting.translator_fit import TranslatorFit
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.network_choice import NetworkChoice
from iin_cli.latents import cache as latents
from iin_cli.latents.cache import Latents
from iin_cli.latents.pairs import PairSampler
from iin_cli.latents.table import ConceptPairs, LatentTable
from iin_cli.leading import leaders_first
from iin_cli.measures.explanation.library import LibraryChoice
from iin_cli.measures.responses.walks import WalkDesign
from iin_cli.plan import Wishes, plan_translator
from iin_cli.plugin_api import BatchPart, Recipe
from iin_cli.training.loop import Schedule, optimise
from iin_cli.training.parallel import batch_part
from iin_cli.training.runs import RunChoice
from iin_cli.translator.edit import OUWalk
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator

CPU = torch.device("cpu")
DIM, STEPS = 6, 6
# Odd, so that no two processes have equally many rows.
BATCH = 13
TINY = Wishes(steps=6, blocks=2, hidden=16, depth=0, batch_pairs=9)
NAMES = ("pairs", "single", "classifier", "autoencoder")


class Terminated(BaseException):
    pass


def smooth(*optimizers):
    """Let Adam not turn the rounding of a gradient that is nearly 0 into a step of full size."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["eps"] = 1.0


def new_fit(kind):
    """A fit of share and differ pairs with clipping, or of single rows without; of noisy samples of posteriors."""
    generator = np.random.default_rng(0)
    mean, log_variance = generator.standard_normal((2, 200, DIM)).astype(np.float32)
    table, rows = LatentTable([Latents(mean, log_variance - 2)]), np.arange(200)
    planned = plan_translator(DIM, 200, "cpu", Wishes(steps=STEPS, blocks=2, hidden=16, depth=1), True)
    # What clips gradients hides how large they are.
    clip_norm = 0.5 if kind == "pairs" else 0.0
    planned = replace(planned, feature_noise=0.1, clip_norm=clip_norm, learning_rate=0.05)
    if kind == "single":
        stream = SingleRows(table, rows >= 150, BATCH, 0, 50)
    else:
        factors = Factors.of(
            {"shared": 2, "differing": 1, "residual": 3}, 0.9, {"shared": "share", "differing": "differ"}
        )
        fit, rest = rows[:150], rows[150:]
        samplers = [(PairSampler.of(fit, fit % 7, "x"), PairSampler.of(rest, rest % 7, "x")) for _ in range(2)]
        pairs = [
            ConceptPairs(name, relation, *sampler)
            for name, relation, sampler in zip(("shared", "differing"), ("share", "differ"), samplers, strict=True)
        ]
        stream = FreshPairs(table, pairs, factors, BATCH, 0, 20)
    work = TranslatorFit(Translator(DIM, 2, 16, 1, 0), stream, planned, 0, CPU)
    smooth(work.optimizer)
    # So that there is one after a few steps.
    work.average.every = 2
    work.initialize()
    if world_size() > 1:
        work.distribute(batch_part(len(stream.batch(0).z_a), CPU))
    return work


def new_training(kind, pictures):
    """A training of the autoencoder with its discriminator, or of the classifier on views of the images."""
    dataset = open_dataset(str(pictures))
    with seeded(0):
        if kind == "autoencoder":
            module = Autoencoder(32, 8, base_channels=4)
            recipe = AutoencoderRecipe(module, STEPS, 0, BATCH)
            recipe.gan_start = 0.4
            smooth(recipe.optimizer, recipe.discriminator_optimizer)
        else:
            module = Classifier(32, ("a", "b", "c"), 8, base_channels=4)
            views = Compose([RandomResizedCrop(32, scale=(0.5, 1.0), antialias=True), RandomHorizontalFlip()])
            recipe = ClassifierRecipe(module, STEPS, 0, BATCH, 1e-2, views)
            smooth(recipe.optimizer)
    work = BackboneTraining(module, recipe, dataset, 0, CPU)
    if world_size() > 1:
        work.distribute(batch_part(BATCH, CPU))
    return work


def new_work(name, pictures):
    return new_fit(name) if name in ("pairs", "single") else new_training(name, pictures)


def trained(name, pictures):
    """History without its clock, and the last weights of this process."""
    work = new_work(name, pictures)
    result = optimise(work, Schedule(STEPS, validate_every=2, rows_per_step=BATCH, keep="last"))
    history = [{key: value for key, value in row.items() if key != "seconds"} for row in result.history]
    return history, {key: value.clone() for key, value in work.weights().items()}


class Interrupted:
    """Passes everything on to `work`; at step `at`, process `where` alone is asked to end."""

    def __init__(self, work, at, where):
        self.work, self.at, self.where = work, at, where

    def step(self, step, fraction):
        if step == self.at and rank() == self.where:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.work.step(step, fraction)

    def __getattr__(self, name):
        return getattr(self.work, name)


def interrupted(name, pictures, state, where):
    """Whether the run ended as asked, in this process too, and left its state."""

    def terminate(*_):
        raise Terminated

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        optimise(Interrupted(new_work(name, pictures), 2, where), schedule(), state_path=state)
    except Terminated:
        return state.exists()
    finally:
        signal.signal(signal.SIGTERM, previous)
    return False


def resumed(name, pictures, state):
    work = new_work(name, pictures)
    result = optimise(work, schedule(), state_path=state, resume=True)
    return result.steps, {key: value.clone() for key, value in work.weights().items()}


def schedule():
    return Schedule(STEPS, validate_every=2, keep="last")


class Clockwork:
    """Takes no steps but time, other time in every process."""

    def __init__(self, value=1.0):
        self.value, self.fractions = value, []

    def step(self, step, fraction):
        self.fractions.append(fraction)
        time.sleep(0.01 + 0.02 * rank())
        return {"loss": self.value / world_size()}

    def validate(self):
        time.sleep(0.05)
        return {"score": 1.0}

    def weights(self):
        return {}

    def load_weights(self, weights):
        pass


def agreements(folder):
    """What all processes have to see alike, and what only one may do."""
    clock = Clockwork()
    timed = optimise(clock, Schedule(1000, max_seconds=0.5, validate_every=5))
    try:
        optimise(Clockwork(float("nan") if rank() else 1.0), Schedule(4))
        diverged = ""
    except DivergedError as error:
        diverged = str(error)
    encoded = []

    def encode(images):
        encoded.append(len(images))
        return images.flatten(1)[:, :4], None

    with leaders_first():
        table = latents.cached({"x": 1}, np.arange(5), blank, encode)
    alone = sum(encoded)
    latents.cached({"x": 2}, np.arange(40), blank, lambda images: time.sleep(0.05) or encode(images), batch=4)
    sent = from_main({"a": [torch.arange(3), ("b", None)], "c": torch.ones(2, dtype=torch.uint8)} if rank() == 0 else 0)
    return {
        "fractions": clock.fractions,
        "stopped": (timed.stopped, timed.steps, timed.history[-1]["train_loss"]),
        "diverged": diverged,
        "encoded": alone,
        "shared": sum(encoded) - alone,
        "rows": len(table.mean),
        "sent": sent,
        "gathered": gather(rank()),
    }


def blank(rows):
    return np.zeros((len(rows), 2, 2, 3), np.uint8)


def led(folder, out):
    """Commands that the main process leads, on what `commands` has made; each rank ends with the result."""
    translator, choice = folder / "fit" / "translator.safetensors", DataChoice(split="all", seed=0)
    design = WalkDesign(OUWalk(("class",), steps=6), controls=1)
    found = [
        encode(str(folder / "backbone"), choice, out / "z.safetensors", ["class", "greyscale"], device="cpu"),
        respond(translator, choice, design, out / "respond", device="cpu"),
        find_ways(translator, replace(choice, n=2), Aim(("a",)), LibraryChoice(), out=out / "ways", device="cpu"),
    ]
    return [replace(result, out="").as_dict() for result in found]


def looks(pictures, folder):
    """How many files each process looks at, and what it refuses, on one machine and as if each had its own."""
    looked, inspect = [], checking.inspect
    checking.inspect = lambda *given: looked.append(given) or inspect(*given)
    # What earlier commands remember would spare them the looking.
    os.environ[VERIFY] = "1"
    bad = folder / f"bad-{rank()}"
    bad.mkdir()
    (bad / "bad.png").write_text("no image")
    found = {}
    for machines in (1, 2):
        for failing in (None, *range(machines)):
            looked.clear()
            # Torchrun counts the processes of every machine from 0.
            os.environ["LOCAL_RANK"] = str(rank() if machines == 1 else 0)
            try:
                with leaders_first():
                    items = len(open_dataset(str(bad if rank() == failing else pictures)).sources)
            except DataError as error:
                items = str(error)
            found[machines, failing] = (len(looked), items)
    os.environ["LOCAL_RANK"], checking.inspect = str(rank()), inspect
    del os.environ[VERIFY]
    return found


def normalised(pictures):
    """Weights and running statistics after training with batch normalisation, which sees one process's rows."""
    dataset = open_dataset(str(pictures))
    with seeded(0):
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        )
    module.classes, module.image_size, module.interpolation = ("a", "b", "c"), 32, "bicubic"
    work = BackboneTraining(module, ClassifierRecipe(module, 3, 0, BATCH), dataset, 0, CPU)
    work.distribute(batch_part(BATCH, CPU))
    for step in range(3):
        work.step(step, step / 3)
    return {name: value.clone() for name, value in module.state_dict().items()}


def refused():
    try:
        batch_part(1, CPU)
    except UsageError as error:
        return str(error)


def commands(pictures, folder):
    """Both commands as the user's: one folder, one result for all."""
    run = RunChoice(folder / "backbone", seed=1, device="cpu")
    backbone = train_backbone(BackboneChoice("classifier", steps=3), DataChoice(str(pictures)), run)
    return backbone.as_dict(), fitted(folder / "backbone", folder / "fit").as_dict()


def fitted(backbone, out):
    """Fit to a backbone's own data."""
    source, run = NetworkChoice(str(backbone)), RunChoice(out, seed=1, device="cpu")
    return fit_translator(source, ["class", "color"], wishes=TINY, run=run)


def without_bfloat16():
    """Rounding to 8 bits would hide what is compared here."""
    recipes.bfloat16_is_fast = inference.bfloat16_is_fast = lambda device: False


def main(folder, pictures):
    without_bfloat16()
    found = {"trained": {name: trained(name, pictures) for name in NAMES}}
    found["interrupted"] = {
        name: interrupted(name, pictures, folder / f"together-{name}", 1) for name in ("pairs", "autoencoder")
    }
    found["resumed"] = {name: resumed(name, pictures, folder / f"alone-{name}") for name in ("pairs", "autoencoder")}
    found |= {"agreements": agreements(folder), "normalised": normalised(pictures), "refused": refused()}
    found["commands"] = commands(pictures, folder)
    found["looks"] = looks(pictures, folder)
    found["led"] = led(folder, folder / "led")
    torch.save(found, folder / f"rank-{rank()}.pt")


@pytest.fixture(scope="module")
def alone(pictures, tmp_path_factory):
    """What one process does, and the states of runs it was interrupted in."""
    folder = tmp_path_factory.mktemp("together")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
            patch.delenv(name, raising=False)
        patch.setattr(recipes, "bfloat16_is_fast", lambda device: False)
        found = {name: trained(name, pictures) for name in NAMES}
        for name in ("pairs", "autoencoder"):
            assert interrupted(name, pictures, folder / f"alone-{name}", 0)
    return folder, found


@pytest.fixture(scope="module")
def together(alone, pictures, torchrun):
    folder, _ = alone
    code, _, err, _ = torchrun(__file__, folder, pictures, folder=folder)
    assert code == 0, err
    return [torch.load(folder / f"rank-{number}.pt", weights_only=False) for number in range(2)]


def close(one, two):
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(
            one[name], two[name], rtol=1e-3, atol=1e-5, msg=lambda said, name=name: f"{name}: {said}"
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_two_processes_train_as_one(alone, together, name):
    history, weights = alone[1][name]
    for found in together:
        shared_history, shared_weights = found["trained"][name]
        assert [row.keys() for row in shared_history] == [row.keys() for row in history]
        for row, shared in zip(history, shared_history, strict=True):
            assert shared == pytest.approx(row, rel=1e-3, abs=1e-5)
        close(weights, shared_weights)
    first, second = (found["trained"][name][1] for found in together)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert together[0]["trained"][name][0] == together[1]["trained"][name][0]


def test_the_trajectories_are_no_trivial_ones(alone, pictures):
    """Half the batch, or the noise of other rows, would show."""
    for name in NAMES:
        work = new_work(name, pictures)
        before = {key: value.clone() for key, value in work.weights().items()}
        after = alone[1][name][1]
        assert max((before[key].float() - after[key].float()).abs().max() for key in before) > 1e-3
    assert "train_gan" in alone[1]["autoencoder"][0][-1]


@pytest.mark.parametrize("name", ["pairs", "autoencoder"])
def test_an_interrupted_run_goes_on_with_another_number_of_processes(alone, together, pictures, name, monkeypatch):
    monkeypatch.setattr(recipes, "bfloat16_is_fast", lambda device: False)
    folder, expected = alone
    assert all(found["interrupted"][name] for found in together)
    assert together[0]["resumed"][name][0] == STEPS
    close(expected[name][1], together[0]["resumed"][name][1])
    close(expected[name][1], resumed(name, pictures, folder / f"together-{name}")[1])


def test_all_processes_agree(together):
    one, two = (found["agreements"] for found in together)
    assert one["fractions"] == two["fractions"]
    assert one["stopped"] == two["stopped"]
    assert one["stopped"][0] == "time"
    assert one["stopped"][2] == 1.0
    assert one["diverged"] == two["diverged"]
    assert one["diverged"].startswith("training diverged at step 0: loss is nan")
    assert [found["gathered"] for found in (one, two)] == [[0, 1]] * 2


def test_one_process_encodes_and_the_other_finds(together):
    one, two = (found["agreements"] for found in together)
    assert [(found["encoded"], found["rows"]) for found in (one, two)] == [(5, 5), (0, 5)]


def test_processes_share_what_is_to_be_encoded(together):
    one, two = (found["agreements"]["shared"] for found in together)
    assert one + two == 40
    assert min(one, two) >= 12


def test_what_the_main_process_leads_gives_the_bytes_of_one(alone, together, tmp_path, cache):
    folder, _ = alone
    results = led(folder, tmp_path / "out")
    assert together[0]["led"] == together[1]["led"]
    # As JSON, in which a NaN equals another.
    assert json.dumps(together[0]["led"], default=str) == json.dumps(results, default=str)
    shared = {path.relative_to(folder / "led"): path for path in (folder / "led").rglob("*") if path.is_file()}
    assert {str(path) for path in shared} >= {"z.safetensors", "respond/respond.png", "ways/explain.json"}
    for path, file in shared.items():
        mine = tmp_path / "out" / path
        if path.suffix == ".safetensors":
            # Its metadata say where the cache was.
            assert save(load_file(mine)) == save(load_file(file))
        else:
            assert mine.read_bytes().replace(str(tmp_path / "out").encode(), b"") == file.read_bytes().replace(
                str(folder / "led").encode(), b""
            ), path


def test_one_process_of_a_machine_looks_at_the_images_for_all(together):
    one, two = (found["looks"] for found in together)
    assert (one[1, None], two[1, None]) == ((96, 96), (0, 96))
    assert (one[2, None], two[2, None]) == ((96, 96), (96, 96))


def test_all_processes_refuse_what_one_of_them_found(together):
    one, two = (found["looks"] for found in together)
    for failing in ((1, 0), (2, 0), (2, 1)):
        assert one[failing][1] == two[failing][1]
        assert f"bad-{failing[1]}/bad.png cannot be read" in one[failing][1]
    # Those who wait for the main process have looked at nothing yet.
    assert (one[1, 0][0], two[1, 0][0], two[2, 0][0]) == (1, 0, 0)


def test_tensors_travel(together):
    sent = together[1]["agreements"]["sent"]
    assert sent["a"][0].tolist() == [0, 1, 2]
    assert sent["a"][1] == ("b", None)
    assert sent["c"].dtype == torch.uint8


def test_batch_normalisation_keeps_the_weights_alike(together):
    one, two = (found["normalised"] for found in together)
    for name, value in one.items():
        if "running" not in name:
            assert torch.equal(value, two[name]), name
        assert value.float().isfinite().all()


def test_batches_are_large_enough_for_all(together):
    assert together[0]["refused"] == "2 processes cannot share batches of 1: start 1 at most"


def test_one_result_in_one_folder(alone, together):
    folder, _ = alone
    assert together[0]["commands"] == together[1]["commands"]
    backbone, fit = together[0]["commands"]
    assert sorted(path.name for path in (folder / "fit").iterdir()) == [
        "log.jsonl",
        "plan.json",
        "result.json",
        "translator.safetensors",
    ]
    kept = json.loads((folder / "fit" / "result.json").read_text())
    assert kept["heldout_nll"] == fit["heldout_nll"]
    assert (fit["steps"], backbone["steps"]) == (6, 3)
    assert fit["no_op_agreement"] == 1


def test_one_process_alone_gives_the_same_result(alone, together, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(inference, "bfloat16_is_fast", lambda device: False)
    expected = fitted(alone[0] / "backbone", tmp_path / "fit")
    fit = together[0]["commands"][1]
    assert fit.keys() == expected.as_dict().keys()
    assert fit["plan"] == expected.plan
    assert fit["factors"] == expected.factors
    assert fit["heldout_nll"] == pytest.approx(expected.heldout_nll, rel=1e-2)


def test_recipes_that_cannot_share_say_so():
    class Simple(Recipe):
        step = validate = state_dict = load_state_dict = None

    with pytest.raises(UsageError, match="Simple trains in one process only"):
        Simple().distribute(BatchPart(slice(0, 2), 4, 2, lambda module: module, lambda value: value))


def test_parts_of_a_batch_turn_means_into_means():
    parts = [BatchPart(rows, 5, 2, None, lambda value: value) for rows in (slice(0, 2), slice(2, 5))]
    values = [torch.tensor(3.0), torch.tensor(8.0)]
    assert sum(part.mean(value) for part, value in zip(parts, values, strict=True)) == (2 * 3 + 3 * 8) / 5
    assert sum(part.weight for part in parts) == 2


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
