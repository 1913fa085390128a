"""Pairs of which it is not known what they share: read, fitted to, and found again."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import iin_cli as iin
from iin_cli.data import open_dataset
from iin_cli.data.drawing import BACKGROUND
from iin_cli.errors import DataError, UsageError
from iin_cli.fitting.pair_files import read_pairs

CONCEPTS = {"place": ("x", "y"), "paint": ("hue", "saturation")}
SIDE = np.linspace(-1, 1, 24, dtype=np.float32)


def encode(pixels):
    """z of drawings: their mean colour, centre, and second moments about it, mixed by a rotation."""
    images = pixels.astype(np.float32) / 255
    weight = np.abs(images - BACKGROUND / 255).sum(3)
    weight /= weight.sum((1, 2), keepdims=True)
    color = (weight[..., None] * images).sum((1, 2))
    x, y = (weight * SIDE).sum((1, 2)), (weight * SIDE[:, None]).sum((1, 2))
    dx, dy = SIDE[None, None] - x[:, None, None], SIDE[None, :, None] - y[:, None, None]
    moments = [(weight * product).sum((1, 2)) for product in (dx * dx, dx * dy, dy * dy, dx**3, dy**3)]
    z = np.column_stack([color, x, y, *moments])
    z = (z - z.mean(0)) / z.std(0)
    return z @ np.linalg.qr(np.random.default_rng(2).normal(size=(z.shape[1],) * 2))[0].astype(np.float32)


@pytest.fixture(scope="module")
def shapes():
    """Pairs of drawn shapes that share their place, their paint, both or neither: z_a, z_b, the true mask."""
    dataset, generator = open_dataset("shapes"), np.random.default_rng(0)
    a, b = generator.integers(0, len(dataset.splits["train"]), (2, 3000))
    mask = generator.random((len(a), len(CONCEPTS))) < 0.5
    changes = {
        name: np.where(shared, dataset.labels[name].values[a], dataset.labels[name].values[b])
        for columns, shared in zip(CONCEPTS.values(), mask.T, strict=True)
        for name in columns
    }
    z = encode(np.concatenate([dataset.images(a, len(SIDE)), dataset.drawn(b, len(SIDE), changes)]))
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
    assert right.min() > 0.9, (right, t.factors)


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
    assert ((shared[~known][:, :-1] - 0.5).abs() < 0.5).float().mean() > 0.5


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
