"""Files of latents from any program: what is read, what is refused, and that no latent is on both sides."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from iin_cli.errors import CheckpointError, DataError, UsageError
from iin_cli.fitting import pair_files
from iin_cli.fitting.pair_files import held_out_rows, read_pairs, split_pairs
from iin_cli.latents import cache as latents
from iin_cli.progress import Silent

DIGIT, COLOR, ALL_BUT_COLOR = [1, 0, 0], [0, 1, 0], [1, 0, 1]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pairs.safetensors"


def tensors(count=60, dim=4, mask=DIGIT, seed=0):
    z = torch.randn(2, count, dim, generator=torch.Generator().manual_seed(seed))
    rows = torch.tensor(mask if isinstance(mask[0], list) else [mask] * count, dtype=torch.uint8)
    return {"z_a": z[0].contiguous(), "z_b": z[1].contiguous(), "mask": rows}


def read(path, values, concepts=("digit", "color")):
    save_file(values, path)
    return read_pairs(path, concepts)


def test_pairs(path):
    file = read(path, tensors(mask=[DIGIT, COLOR] * 30))
    assert (file.dim, file.rows, file.names) == (4, 120, ("digit", "color", "residual"))
    assert file.relations == {"digit": "share", "color": "share"}
    assert set(file.scores("variance")) == {"digit", "color"}


def test_any_number_type_is_taken_as_float32(path):
    values = tensors(mask=[DIGIT, COLOR] * 30)
    file = read(path, {**values, "z_a": values["z_a"].double(), "z_b": values["z_b"].half()})
    assert [part[:2].dtype for part in file.parts] == [np.float32, np.float32]
    np.testing.assert_array_equal(file.parts[1][:], values["z_b"].half().float())


def test_single_latents(path):
    file = read(path, {"z": torch.randn(50, 3), "label": torch.zeros(50)}, ())
    assert (file.dim, file.rows, file.names, len(file.table)) == (3, 50, ("residual",), 50)
    pairs = read(path, tensors(), ())
    assert pairs.rows == 120


def test_each_concept_is_scored_on_its_own_pairs(path):
    values = tensors(90, mask=[DIGIT, COLOR, ALL_BUT_COLOR] * 30)
    shares_digit = values["mask"][:, 0] == 1
    values["z_b"][shares_digit, 0] = values["z_a"][shares_digit, 0]
    file = read(path, values)
    of_digit = values["mask"].eq(torch.tensor(DIGIT)).all(1)
    a, b = values["z_a"][of_digit].double(), values["z_b"][of_digit].double()
    center = (a.mean(0) + b.mean(0)) / 2
    a, b = a - center, b - center
    expected = (a * b).mean(0).sum() / ((a.square() + b.square()) / 2).mean(0).sum()
    assert file.scores("variance")["digit"] == pytest.approx(expected.item(), rel=1e-5)


def test_latents_stay_in_the_file(path, monkeypatch):
    values = tensors(mask=[DIGIT, COLOR] * 30)
    save_file(values, path)
    asked = []
    plain = latents.MappedRows.__getitem__
    monkeypatch.setattr(latents.MappedRows, "__getitem__", lambda rows, at: asked.append(at) or plain(rows, at))
    # Room for 8 rows of 4 numbers.
    monkeypatch.setattr(latents, "BLOCK_NUMBERS", 32)
    monkeypatch.setattr(pair_files, "SCORE_NUMBERS", 0)
    file = read_pairs(path, ("digit", "color"))
    assert asked == [slice(start, start + 8) for start in range(0, 60, 8)] * 2
    split_pairs(file, Silent())
    assert len(asked) == 16
    values["z_b"][:, 0] = float("nan")
    values["z_b"][:20, 0] = 0.0
    with pytest.raises(DataError, match=r"z_b is not finite in row 20$"):
        read(path, values)


def test_scores_of_many_pairs_are_taken_on_some(path, monkeypatch):
    values = tensors(3000, mask=[DIGIT, COLOR, ALL_BUT_COLOR] * 1000)
    shares_digit = values["mask"][:, 0] == 1
    values["z_b"][shares_digit, :2] = values["z_a"][shares_digit, :2]
    file = read(path, values)
    exact = file.scores("variance")
    monkeypatch.setattr(pair_files, "SCORE_NUMBERS", 0)
    assert file.scores("variance") == exact  # 1,000 pairs each: no more than the least
    file = read(path, {name: torch.cat([value] * 2) for name, value in values.items()})
    on_some = file.scores("variance")
    assert on_some != exact
    assert on_some["digit"] == pytest.approx(exact["digit"], abs=0.05)


def test_pairs_that_differ_in_a_concept_alone(path):
    values = tensors(mask=[DIGIT, ALL_BUT_COLOR] * 30)
    # All but 1 of 4 dimensions stay.
    values["z_b"][1::2, :3] = values["z_a"][1::2, :3]
    file = read(path, values)
    assert file.relations == {"digit": "share", "color": "differ"}
    assert file.scores("variance")["color"] == pytest.approx(0.25, abs=0.15)


def check_split(file, fit, held):
    a, b = (set(map(bytes, part[fit])) for part in file.parts)
    c, d = (set(map(bytes, part[held])) for part in file.parts)
    assert not (a | b) & (c | d)
    assert fit.any()
    assert held.any()
    assert not (fit & held).any()


def test_separate_pairs_are_all_used(path):
    file = read(path, tensors(mask=[DIGIT, COLOR] * 30))
    fit, held = split_pairs(file, Silent())
    check_split(file, fit, held)
    assert (fit | held).all()
    assert held.sum() == 6


def test_pairs_connected_by_common_latents(path):
    z = torch.randn(30, 4)
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 30, (2, 2000))
    values = {"z_a": z[a], "z_b": z[b], "mask": torch.tensor([DIGIT, COLOR] * 1000, dtype=torch.uint8)}
    file = read(path, values)
    fit, held = split_pairs(file, Silent())
    check_split(file, fit, held)
    assert not (fit | held).all()


def test_one_latent_in_all_pairs(path):
    values = tensors()
    values["z_a"][:] = 1.0
    with pytest.raises(DataError, match="too many latents in common"):
        split_pairs(read(path, values, ("digit", "color")), Silent())


def test_equal_single_latents_are_on_one_side(path):
    file = read(path, {"z": torch.randn(20, 3).repeat(5, 1)}, ())
    held = held_out_rows(file)
    assert held.sum() == 10
    np.testing.assert_array_equal(held, np.tile(held[:20], 5))


def nan_at(row, value=float("nan")):
    values = tensors()
    values["z_b"][row, 1] = value
    return values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (nan_at(7), "z_b is not finite in row 7"),
        ({**tensors(), "z_a": torch.full((60, 4), 1e300, dtype=torch.float64)}, "z_a is not finite in row 0"),
        ({**tensors(), "z_b": torch.zeros(59, 4)}, "they must be alike"),
        ({**tensors(), "z_a": torch.zeros(60)}, r"z_a has shape \(60,\)"),
        ({**tensors(), "z_a": torch.zeros(60, 1), "z_b": torch.zeros(60, 1)}, "N of at least 2"),
        ({**tensors(), "mask": torch.ones(60, 2)}, r"needs \(60, 3\) with the columns digit, color, residual"),
        ({**tensors(), "mask": torch.full((60, 3), 2)}, "values other than 0, 1 and −1"),
        ({"z": torch.zeros(60, 4)}, "has no z_a, z_b, mask: .* it has z$"),
        ({"other": torch.zeros(60, 4)}, "it has none of z, z_a, z_b, mask"),
        (tensors(3, 8, [DIGIT, COLOR, COLOR]), "6 latents, fewer than their 8 dimensions"),
        ({**tensors(), "z_a": torch.zeros(60, 4, dtype=torch.complex64)}, "is complex"),
    ],
)
def test_unfit_tensors(path, values, message):
    with pytest.raises(DataError, match=message):
        read(path, values)


def test_a_concept_without_pairs(path):
    file = read(path, tensors())
    with pytest.raises(DataError, match="0 pairs that share color: needs at least 2"):
        file.scores("variance")
    with pytest.raises(DataError, match="share color"):
        _ = file.relations


def test_unfit_files_and_names(path):
    with pytest.raises(DataError, match="no such file of latents"):
        read_pairs(path, ())
    path.write_bytes(b"0123456789")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        read_pairs(path, ())
    for concepts in (("digit", "digit"), ("residual",)):
        with pytest.raises(UsageError, match="names must differ"):
            read(path, tensors(), concepts)


def test_latents_in_other_units_are_held_out_alike(tmp_path):
    held_out = []
    for scale in (1.0, 2.0**-20, 3000.0):
        z = scale * torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
        # Latents that are equal stay on one side.
        tensors = {"z_a": z, "z_b": z[torch.arange(300) // 2 * 2], "mask": torch.ones(300, 2, dtype=torch.uint8)}
        save_file(tensors, str(tmp_path / f"{scale}.safetensors"))
        held_out.append(split_pairs(read_pairs(tmp_path / f"{scale}.safetensors", ["a"]), Silent())[1])
    assert held_out[0].any()
    assert all((held_out[0] == other).all() for other in held_out)
