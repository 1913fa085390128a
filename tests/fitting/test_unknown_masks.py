"""Pairs of which it is not known what they share: read, fitted to, and found again."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import iin_cli as iin
from iin_cli.data import open_dataset
from iin_cli.errors import DataError, UsageError
from iin_cli.fitting.pair_files import read_pairs

CONCEPTS = {"kind": ("class",), "place": ("x", "y"), "paint": ("hue", "saturation")}


@pytest.fixture(scope="module")
def shapes():
    """Pairs of drawn shapes that share some of three concepts, one chance in two each: z_a, z_b, the true mask."""
    dataset, generator = open_dataset("shapes"), np.random.default_rng(0)
    a, b = generator.permutation(dataset.splits["train"])[:3200].reshape(2, -1)
    mask = generator.random((len(a), len(CONCEPTS))) < 0.5
    changes = {}
    for column, shared in zip(CONCEPTS.values(), mask.T, strict=True):
        for name in column:
            values = dataset.labels[name].values
            changes[name] = np.where(shared, values[a], values[b])
    pixels = np.concatenate([dataset.images(a, 32), dataset.drawn(b, 32, changes)])[:, ::2, ::2]
    flat = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    flat -= flat.mean(0)
    axes = np.linalg.svd(flat[::3], full_matrices=False)[2][:40]
    z = flat @ axes.T
    return z[: len(a)], z[len(a) :], np.concatenate((mask, np.zeros((len(a), 1), bool)), axis=1).astype(np.int8)


def hidden(mask, known=0.2):
    """The mask with all but `known` of the pairs unknown, and which these are."""
    unknown = np.random.default_rng(1).random(len(mask)) > known
    partly = mask.copy()
    partly[unknown, :-1] = -1
    return partly, unknown


def test_masks_of_shapes_are_found(shapes):
    z_a, z_b, mask = shapes
    partly, unknown = hidden(mask)
    pairs = iin.Pairs.given(z_a, z_b, partly, list(CONCEPTS))
    t = iin.fit(pairs, method="linear", seed=0)
    shared = t.shared(z_a, z_b).numpy()
    right = ((shared > 0.5) == mask)[unknown][:, :-1].mean(0)
    print("found", dict(zip(CONCEPTS, right, strict=True)), t.factors.dims)
    assert right.mean() > 0.9


def test_a_file_gives_a_flow_and_a_file_of_masks(shapes, run_cli, tmp_path):
    z_a, z_b, mask = (torch.from_numpy(part[:800]) for part in shapes)
    partly = torch.from_numpy(hidden(mask.numpy())[0]).to(torch.uint8)
    save_file({"z_a": z_a.contiguous(), "z_b": z_b.contiguous(), "mask": partly}, tmp_path / "pairs.safetensors")
    concepts = [part for name in CONCEPTS for part in ("-c", name)]
    small = ["--steps", "8", "--blocks", "2", "--hidden", "16", "--seed", "0", "--device", "cpu"]
    code, out, err = run_cli(
        "fit-translator", "--latents", "pairs.safetensors", *concepts, *small, "--out", "t", "--json"
    )
    assert code == 0, err
    assert "not all is known" in err
    assert json.loads(out)["heldout_nll"] is not None
    shared = load_file(tmp_path / "t" / "masks.safetensors")["shared"]
    known = partly[:, 0] != 255
    assert torch.equal(shared[known], partly[known].float())
    assert ((shared[~known][:, :-1] > 0) & (shared[~known][:, :-1] < 1)).all()


def test_unknown_says_nothing_of_sizes(tmp_path):
    z = torch.randn(2, 60, 4)
    mask = torch.tensor([[1, 0, 0], [0, 1, 0], [-1, -1, 0]] * 20, dtype=torch.int8)
    save_file({"z_a": z[0].contiguous(), "z_b": z[1].contiguous(), "mask": mask}, tmp_path / "p.safetensors")
    file = read_pairs(tmp_path / "p.safetensors", ("digit", "color"))
    assert file.unknown == 20
    assert file.pairs_of("digit")[1].tolist() == [True, False, False] * 20
    mask[mask[:, 0] == 1] = -1
    save_file({"z_a": z[0].contiguous(), "z_b": z[1].contiguous(), "mask": mask}, tmp_path / "q.safetensors")
    with pytest.raises(DataError, match="0 pairs that share digit as far as is known"):
        read_pairs(tmp_path / "q.safetensors", ("digit", "color")).pairs_of("digit")


def test_bad_pairs_in_memory():
    z, mask = np.random.default_rng(0).normal(size=(2, 50, 4)), np.tile([[1, 0], [0, 0]], (25, 1))
    with pytest.raises(DataError, match="other than 0, 1 and −1"):
        iin.Pairs.given(*z, mask * 2, ["digit"])
    with pytest.raises(DataError, match="must be alike"):
        iin.Pairs.given(z[0], z[1][:40], mask, ["digit"])
    with pytest.raises(DataError, match=r"mask has shape \(50, 2\), needs \(50, 3\)"):
        iin.Pairs.given(*z, mask, ["digit", "color"])
    with pytest.raises(DataError, match="whole numbers"):
        iin.Pairs.given(*z, mask / 2, ["digit"])
    with pytest.raises(UsageError, match="name each concept once"):
        iin.Pairs.given(*z, mask, ["residual"])
