import pytest
import torch
from safetensors.torch import load_file, save_file

from iin_cli.commands.files.translate import translate
from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.opening import open_translator
from iin_cli.io import checkpoint


def latents(count=10, dim=8, dtype=torch.float32):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(0)).to(dtype)


def test_there_and_back_with_everything_else_passed_through(files, tmp_path):
    z, ages = latents(), torch.arange(10)
    save_file({"z": z, "age": ages}, tmp_path / "z.safetensors")
    result = translate(files.of_latents, tmp_path / "z.safetensors", tmp_path / "there.safetensors", batch=3)
    there = load_file(tmp_path / "there.safetensors")
    assert set(there) == {"z_tilde", "log_det", "age"} == set(result.tensors)
    z_tilde, log_det = open_translator(files.of_latents).translator(z)
    torch.testing.assert_close(there["z_tilde"], z_tilde)
    torch.testing.assert_close(there["log_det"], log_det)
    # Not a bit depends on how many rows are translated at a time.
    translate(files.of_latents, tmp_path / "z.safetensors", tmp_path / "again.safetensors")
    again = load_file(tmp_path / "again.safetensors")
    assert all(torch.equal(again[name], there[name]) for name in ("z_tilde", "log_det"))
    translate(files.of_latents, tmp_path / "there.safetensors", tmp_path / "back.safetensors", inverse=True)
    back = load_file(tmp_path / "back.safetensors")
    assert set(back) == {"z", "age"}
    torch.testing.assert_close(back["z"], z, atol=1e-4, rtol=1e-4)
    assert torch.equal(back["age"], ages)
    metadata = checkpoint.describe(tmp_path / "back.safetensors", "latents")
    assert metadata["translator"]["sha256"] == checkpoint.digest(files.of_latents)


def test_no_backbone_is_needed_but_another_is_warned_of(heard, files, tmp_path):
    (tmp_path / "t.safetensors").write_bytes(files.of_images.read_bytes())
    foreign = {"kind": "latents", "backbone": {"name": "n", "source": "elsewhere", "sha256": "0"}}
    checkpoint.save(tmp_path / "z.safetensors", {"z": latents(dtype=torch.float16)}, foreign)
    translate(tmp_path / "t.safetensors", tmp_path / "z.safetensors", tmp_path / "out.safetensors", report=heard)
    assert "elsewhere" in "".join(heard.warnings)
    assert load_file(tmp_path / "out.safetensors")["z_tilde"].dtype == torch.float32


def test_bad_input_leaves_nothing(files, tmp_path):
    file, out = tmp_path / "z.safetensors", tmp_path / "out.safetensors"
    broken = latents()
    broken[6, 2] = torch.nan
    for tensors, words in (
        ({"z": latents(dim=5)}, "has N = 5, .* translates 8"),
        ({"z": broken}, "not finite in row 6"),
        ({"z_tilde": latents()}, "no tensor 'z'; it has: z_tilde"),
        # Finite latents, but so far out that T leaves float32.
        ({"z": latents() * 5e37}, "z_tilde of .* not finite"),
    ):
        save_file(tensors, file)
        with pytest.raises(DataError, match=words):
            translate(files.of_latents, file, out)
        assert not out.exists()
    save_file({"z": latents()}, file)
    with pytest.raises(UsageError, match="exists already"):
        translate(files.of_latents, file, file)
