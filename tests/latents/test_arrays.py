"""Latents in memory become float32 on the CPU, or one error says what was given and what to write."""

import numpy as np
import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.latents.arrays import as_latents

ROWS = [[1.5, -2.0, 0.25], [0.5, 3.0, 1.0]]


@pytest.mark.parametrize(
    "values",
    [
        ROWS,
        np.array(ROWS),
        np.array(ROWS, np.float16),
        np.asfortranarray(ROWS),
        np.array(ROWS)[:, ::-1][:, ::-1],
        np.array(ROWS, ">f8"),
        torch.tensor(ROWS),
        torch.tensor(ROWS, dtype=torch.float64, requires_grad=True),
        torch.tensor(ROWS, dtype=torch.bfloat16),
        torch.tensor(ROWS).T.contiguous().T,
    ],
    ids=lambda values: type(values).__name__,
)
def test_any_floats_are_taken(values):
    found = as_latents(values, "z", 3)
    assert (found.dtype, found.device.type, found.requires_grad) == (torch.float32, "cpu", False)
    assert found.is_contiguous()
    assert found.tolist() == ROWS


@pytest.mark.parametrize("kind", ["int8", "uint8", "int64", "bool"])
def test_whole_numbers_are_taken(kind):
    rows = [[1, 0, 1], [0, 1, 1]]
    assert as_latents(np.array(rows, kind), "z", 3).tolist() == rows


def test_read_only_arrays_are_left_alone():
    values = np.array(ROWS, np.float32)
    values.flags.writeable = False
    as_latents(values, "z").add_(1)
    assert values.tolist() == ROWS


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_s_tensors_are_moved():
    assert as_latents(torch.tensor(ROWS, device="cuda"), "z").device.type == "cpu"


BAD = torch.ones(50, 3)
BAD[41, 2] = torch.nan


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.ones(3), r"z has shape \(3,\), latents are \(M, N\), one row per item: write z\[None\]"),
        (torch.ones(2, 3, 4), r"z has shape \(2, 3, 4\), .*: flatten each item's features"),
        (torch.ones(0, 3), r"z is empty, its shape is \(0, 3\)"),
        (torch.ones(2, 4), "z has 4 numbers per row, needs 3"),
        (torch.ones(2, 3, dtype=torch.complex64), "z holds complex64, latents are real numbers: write z.real"),
        (BAD, "z is not finite in row 41"),
        (np.array([[1.0, 2.0, 3.0], [1e300, 0.0, 0.0]]), "z is not finite in row 1"),
        (torch.eye(3).to_sparse(), "z is a sparse tensor"),
        ("latents.npy", "z is str, latents are a tensor or an array"),
        (None, "z is NoneType"),
        ([[1.0, 2.0], [3.0]], "z is list"),
    ],
)
def test_what_are_no_latents(values, message):
    with pytest.raises(DataError, match=message):
        as_latents(values, "z", 3)


def test_a_translator_needs_two_dimensions():
    with pytest.raises(DataError, match="z has 1 numbers per row, a translator needs at least 2"):
        as_latents(np.ones((5, 1)), "z")
