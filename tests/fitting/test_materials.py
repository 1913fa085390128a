"""What a fit works on: pairs of a file, and the warning where there are few of them."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from iin_cli.data import open_dataset
from iin_cli.fitting import materials
from iin_cli.fitting.inference import infer, size_factors
from iin_cli.fitting.materials import from_file, from_images
from iin_cli.fitting.pair_files import read_pairs
from iin_cli.fitting.streams import FixedPairs, SingleRows
from iin_cli.interpretation.grouping import find_providers
from iin_cli.interpretation.opening import open_network
from iin_cli.latents.splitting import held_out_mask
from iin_cli.plan import Wishes, plan_translator
from iin_cli.plugin_api import Labels
from iin_cli.progress import Silent

CPU = torch.device("cpu")


def material(path, pairs, report, concepts=("digit",)):
    z_a, z_b = torch.randn(2, pairs, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 0]] * pairs, dtype=torch.uint8)
    save_file({"z_a": z_a.contiguous(), "z_b": z_b.contiguous(), "mask": mask}, path)
    return from_file(read_pairs(path, concepts), report)


@pytest.mark.parametrize(("pairs", "concepts", "what"), [(39, ("digit",), "39 pairs"), (19, (), "38 latents")])
def test_few_pairs_are_warned_of_with_the_numbers(heard, tmp_path, pairs, concepts, what):
    path = tmp_path / "pairs.safetensors"
    material(path, pairs, heard, concepts)
    (warning,) = heard.warnings
    assert warning.startswith(f"{path} has {what}, fewer than 10·N = 40: ")


def test_enough_pairs_are_not_warned_of(heard, tmp_path):
    material(tmp_path / "pairs.safetensors", 40, heard)
    assert heard.warnings == []


def test_a_row_that_makes_the_variance_is_warned_of_where_sizes_are_inferred(heard, tmp_path):
    path = tmp_path / "pairs.safetensors"
    z_a, z_b = torch.randn(2, 80, 4, generator=torch.Generator().manual_seed(0))
    z_b[12] = 500
    mask = torch.tensor([[1, 0]] * 80, dtype=torch.uint8)
    save_file({"z_a": z_a.contiguous(), "z_b": z_b.contiguous(), "mask": mask}, path)
    found = from_file(read_pairs(path, ("digit",)), heard)
    assert list(infer(found, Wishes(), 0, CPU, heard).dominance.items) == ["row 12 of z_b"]
    absent, line = sorted(heard.warnings)
    # One row cannot be a concept.
    assert absent.startswith("concept digit is not in the latents")
    assert "row 12 of z_b" in line
    # Sizes that are given come from no scores.
    assert infer(found, Wishes(dims={"digit": 2}), 0, CPU, heard).dominance is None
    assert sum("row 12" in line for line in heard.warnings) == 1
    assert infer(material(path, 80, heard), Wishes(), 0, CPU, heard).dominance is None


def test_a_concept_that_cannot_be_held_out_is_named(heard, files, tmp_path, monkeypatch):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path))
    dataset = open_dataset("digits")
    train = dataset.splits["train"][:100]
    dataset.splits = {**dataset.splits, "train": train}
    persons = np.arange(len(dataset.sources)) + len(dataset.sources)
    # Two images each, but for those held out.
    persons[train[~held_out_mask(dataset.sources[train])]] //= 2
    dataset.labels = {"person": Labels(persons), "half": Labels(dataset.sources % 2)}
    providers = find_providers(["label:person", "label:half"])
    from_images(open_network(str(files.autoencoder)), dataset, None, providers, 0, heard)
    assert heard.warnings == ["concept person has no pair among the held-out images: its held-out NLL is not measured"]


def test_wide_latents_are_held_out_in_smaller_numbers(tmp_path, monkeypatch):
    found = material(tmp_path / "pairs.safetensors", 100, Silent())
    plan = plan_translator(4, len(found.table), "cpu", Wishes(), True)
    factors = size_factors(found, {"digit": 0.5}, None, plan)
    assert len(found.stream(factors, plan, 0).held_out()["digit"].z_a) == 10
    monkeypatch.setattr(materials, "WIDE", 3)
    monkeypatch.setattr(materials, "HELD_OUT_PAIRS_WIDE", 6)
    stream = found.stream(factors, plan, 0)
    assert isinstance(stream, FixedPairs)
    assert len(stream.held_out()["digit"].z_a) == 6


def test_pairs_without_a_concept_are_single_latents(tmp_path):
    found = material(tmp_path / "pairs.safetensors", 50, Silent(), ())
    plan = plan_translator(4, len(found.table), "cpu", Wishes(batch_pairs=5), True)
    stream = found.stream(size_factors(found, {}, None, plan), plan, 0)
    assert isinstance(stream, SingleRows)
    assert stream.batch(0).z_a.shape == (10, 4)
    assert len(found.table) == 100
