import pytest
import torch
from safetensors.torch import save_file

from iin_cli.errors import CheckpointError, DataError
from iin_cli.io import checkpoint
from iin_cli.latents.files import REAL, map_rows, read_iin_metadata, read_rest, read_rows, stored_tensors


def test_a_foreign_file_is_read_and_any_float_becomes_float32(tmp_path):
    rows = torch.tensor([[1.5, -2.0], [0.25, 3.0]])
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        save_file({"z": rows.to(dtype), "age": torch.tensor([1, 2])}, tmp_path / "z.safetensors")
        found = read_rows(tmp_path / "z.safetensors", "z")
        assert found.dtype == torch.float32
        assert torch.equal(found, rows)
    assert read_rest(tmp_path / "z.safetensors", ["z"])["age"].tolist() == [1, 2]
    assert read_iin_metadata(tmp_path / "z.safetensors") == {}


@pytest.mark.parametrize("dtype", REAL.values(), ids=str)
def test_what_a_fit_reads_is_read_for_a_translation(tmp_path, dtype):
    rows = torch.tensor([[1, 0], [0, 1]]).to(dtype)
    save_file({"z": rows}, tmp_path / "z.safetensors")
    found = read_rows(tmp_path / "z.safetensors", "z")
    assert found.dtype == torch.float32
    assert torch.equal(found, rows.float())
    assert torch.equal(torch.from_numpy(map_rows(stored_tensors(tmp_path / "z.safetensors")["z"])[:]), found)


def test_metadata_of_a_file_of_ours(tmp_path):
    checkpoint.save(tmp_path / "z.safetensors", {"z": torch.zeros(1, 2)}, {"kind": "latents", "split": "test"})
    assert read_iin_metadata(tmp_path / "z.safetensors")["split"] == "test"


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"y": torch.zeros(2, 2), "x": torch.zeros(1)}, r"no tensor 'z'; it has: x, y"),
        ({"z": torch.zeros(4)}, r"\(4,\)"),
        ({"z": torch.zeros(2, 2, dtype=torch.complex64)}, "complex64"),
        ({"z": torch.zeros(0, 2)}, "empty"),
        ({"z": torch.tensor([[0.0], [torch.nan], [torch.inf]])}, "not finite in row 1"),
        ({"z": torch.tensor([[0.0], [1e300]], dtype=torch.float64)}, "not finite in row 1"),
    ],
)
def test_unfit_tensors_are_named(tmp_path, tensors, words):
    save_file(tensors, tmp_path / "z.safetensors")
    with pytest.raises(DataError, match=words):
        read_rows(tmp_path / "z.safetensors", "z")


def test_missing_and_truncated_files(tmp_path):
    with pytest.raises(DataError, match=r"gone\.safetensors does not exist"):
        read_rows(tmp_path / "gone.safetensors", "z")
    save_file({"z": torch.zeros(100, 10)}, tmp_path / "z.safetensors")
    whole = (tmp_path / "z.safetensors").read_bytes()
    (tmp_path / "z.safetensors").write_bytes(whole[:-100])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        read_rows(tmp_path / "z.safetensors", "z")


def test_tensors_are_found_where_they_lie(tmp_path):
    tensors = {
        "z": torch.randn(5, 3),
        "half": torch.randn(4, 2).bfloat16(),
        "mask": torch.ones(7, 3, dtype=torch.uint8),
        "one": torch.zeros(1, dtype=torch.int64),
    }
    save_file(tensors, tmp_path / "z.safetensors", {"made": "by hand"})
    found = stored_tensors(tmp_path / "z.safetensors")
    assert found.keys() == tensors.keys()
    for name in ("z", "half", "mask"):
        assert found[name].shape == tuple(tensors[name].shape)
        assert torch.equal(torch.from_numpy(map_rows(found[name])[:]), tensors[name].float())
    with pytest.raises(DataError, match=r"one has shape \(1,\)"):
        map_rows(found["one"])
