import math
import warnings

import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance

from iin_cli.errors import CheckpointError, DataError
from iin_cli.io import checkpoint
from iin_cli.metrics.fid import (
    Moments,
    Statistics,
    check_comparable,
    frechet_distance,
    read_statistics,
    write_statistics,
)


def draw(n, dim, seed, scale=1.0, shift=0.0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale + shift


def statistics(rows, batch=100, **facts):
    moments = Moments()
    for part in rows.split(batch):
        moments.add(part)
    return Statistics(moments.mean, moments.covariance(), moments.n, **facts)


def low_rank_distance(a, b):
    """Closed form from the data: tr (S_a S_b)^½ is the nuclear norm of AᵀB, A and B centred and scaled."""
    centred = [(rows - rows.mean(0)) / math.sqrt(len(rows) - 1) for rows in (a, b)]
    nuclear = torch.linalg.svdvals(centred[0] @ centred[1].T).sum()
    return float(
        (a.mean(0) - b.mean(0)).square().sum() + centred[0].square().sum() + centred[1].square().sum() - 2 * nuclear
    )


# ------------------------------------------------------------------------------------------------------------ moments
@pytest.mark.parametrize("batch", [1, 7, 64, 500])
def test_moments_equal_those_of_all_rows_at_once(batch):
    rows = draw(200, 9, 0, scale=3.0, shift=50.0)
    got = statistics(rows, batch)
    assert torch.allclose(got.mean, rows.mean(0), rtol=1e-13)
    assert torch.allclose(got.covariance, torch.cov(rows.T), rtol=1e-11, atol=1e-12)
    assert torch.equal(got.covariance, got.covariance.T)


def test_moments_keep_their_digits_far_from_the_origin():
    rows = draw(300, 4, 1) + 1e7
    assert torch.allclose(statistics(rows, 3).covariance, torch.cov(rows.T), rtol=1e-6, atol=1e-7)


def test_float32_features_are_summed_in_float64():
    rows = draw(1000, 5, 2).float()
    assert torch.allclose(statistics(rows, 8).mean, rows.double().mean(0), rtol=0, atol=1e-14)


def test_moments_on_the_cpu_are_the_same():
    moments = Moments()
    moments.add(draw(20, 3, 19))
    moved = moments.cpu()
    assert (moved.n, moved.mean.device.type, moved.scatter.device.type) == (20, "cpu", "cpu")
    assert torch.allclose(moved.covariance(), torch.cov(draw(20, 3, 19).T), rtol=1e-12)


def test_merged_moments_equal_one_pass_in_any_order():
    rows = draw(120, 6, 3, shift=2.0)
    parts = []
    for part in rows.split(50):
        parts.append(Moments())
        parts[-1].add(part)
    for order in ([0, 1, 2], [2, 0, 1]):
        total = Moments()
        for index in order:
            total.merge(parts[index])
        total.merge(Moments())
        assert total.n == 120
        assert torch.allclose(total.mean, rows.mean(0), rtol=1e-13)
        assert torch.allclose(total.covariance(), torch.cov(rows.T), rtol=1e-11, atol=1e-13)
    assert parts[0].n == 50


def test_moments_refuse_what_is_unfit():
    moments = Moments()
    with pytest.raises(DataError, match="at least 2 images, there are 0"):
        moments.covariance()
    moments.add(torch.zeros(0, 3))
    moments.add(torch.ones(1, 3))
    with pytest.raises(DataError, match="there are 1"):
        moments.covariance()
    with pytest.raises(DataError, match="size 4 cannot join features of size 3"):
        moments.add(torch.ones(2, 4))
    with pytest.raises(DataError, match="not finite"):
        moments.add(torch.tensor([[1.0, 2.0, float("nan")]]))
    assert moments.n == 1


# ----------------------------------------------------------------------------------------------------------- distance
def test_equal_covariance_leaves_the_squared_norm_of_the_mean_difference():
    a = statistics(draw(500, 20, 4))
    shift = torch.arange(20, dtype=torch.float64)
    b = Statistics(a.mean + shift, a.covariance)
    assert frechet_distance(a, b) == pytest.approx(float(shift.square().sum()), rel=1e-12)


def test_diagonal_covariances_give_the_sum_over_axes():
    var_a = torch.linspace(0, 4, 30, dtype=torch.float64)
    var_b = torch.linspace(5, 1, 30, dtype=torch.float64)
    zero = torch.zeros(30, dtype=torch.float64)
    wanted = float((var_a.sqrt() - var_b.sqrt()).square().sum())
    got = frechet_distance(Statistics(zero, var_a.diag()), Statistics(zero, var_b.diag()))
    assert got == pytest.approx(wanted, rel=1e-12)


def test_full_rank_agrees_with_scipy_sqrtm():
    linalg = pytest.importorskip("scipy.linalg")
    mix = draw(12, 12, 5)
    a, b = statistics(draw(80, 12, 6) @ mix), statistics(draw(60, 12, 7, scale=1.3, shift=0.2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = linalg.sqrtm((a.covariance @ b.covariance).numpy())
    wanted = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * np.trace(root).real
    assert frechet_distance(a, b) == pytest.approx(float(wanted), rel=1e-9)


def test_full_rank_agrees_with_pytorch_fid():
    mix = draw(64, 64, 16)
    a, b = statistics(draw(400, 64, 17) @ mix), statistics(draw(300, 64, 18, scale=0.8, shift=0.3) @ mix)
    with warnings.catch_warnings():
        # It calls scipy with an argument of old.
        warnings.simplefilter("ignore")
        wanted = calculate_frechet_distance(a.mean.numpy(), a.covariance.numpy(), b.mean.numpy(), b.covariance.numpy())
    assert frechet_distance(a, b) == pytest.approx(float(wanted), rel=1e-6)


@pytest.mark.parametrize(("n_a", "n_b"), [(10, 10), (40, 7), (7, 300), (2, 2)])
def test_fewer_images_than_features_agree_with_the_low_rank_form(n_a, n_b):
    a, b = draw(n_a, 150, 8, scale=2.0), draw(n_b, 150, 9, shift=0.1)
    got = frechet_distance(statistics(a), statistics(b))
    assert got == pytest.approx(low_rank_distance(a, b), rel=1e-7)


def test_decaying_spectra_agree_with_the_low_rank_form():
    decay = torch.logspace(0, -6, 200, dtype=torch.float64)
    a, b = draw(150, 200, 10) * decay, draw(400, 200, 11) * decay.flip(0).clamp_min(1e-3)
    got = frechet_distance(statistics(a), statistics(b))
    assert got == pytest.approx(low_rank_distance(a, b), rel=1e-6)


def test_distance_is_symmetric_and_never_negative():
    a, b = statistics(draw(30, 40, 12)), statistics(draw(90, 40, 13, scale=0.4, shift=1.0))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)
    constant = Statistics(torch.ones(40), torch.zeros(40, 40))
    assert frechet_distance(constant, constant) == 0
    assert frechet_distance(a, constant) == pytest.approx(
        float((a.mean - 1).square().sum() + a.covariance.trace()), rel=1e-12
    )
    for seed in range(5):
        same = statistics(draw(25, 60, seed))
        assert 0 <= frechet_distance(same, same) < 1e-9


def test_identical_sets_are_at_distance_zero_in_2048_dimensions():
    # As Inception's: non-negative features, a spectrum over six decades, fewer images than dimensions.
    decay = torch.logspace(0, -3, 2048, dtype=torch.float64)
    rows = (draw(600, 2048, 14) * decay).relu() * 3
    same = statistics(rows)
    assert frechet_distance(same, Statistics(same.mean.clone(), same.covariance.clone())) <= 1e-5


def test_incomparable_statistics_are_refused_by_name():
    a = Statistics(torch.zeros(3), torch.eye(3), source="a.npz", weights_sha256="1" * 64, resize="bilinear-299")
    with pytest.raises(CheckpointError, match=r"a\.npz has features of size 3 and b of size 2"):
        frechet_distance(a, Statistics(torch.zeros(2), torch.eye(2), source="b"))
    with pytest.raises(CheckpointError, match="with weights 111111111111 and b with 222222222222"):
        frechet_distance(a, Statistics(torch.zeros(3), torch.eye(3), source="b", weights_sha256="2" * 64))
    with pytest.raises(CheckpointError, match="with resizing bilinear-299 and b with bicubic"):
        frechet_distance(a, Statistics(torch.zeros(3), torch.eye(3), source="b", resize="bicubic"))
    check_comparable(a, Statistics(torch.zeros(3), torch.eye(3), source="says nothing"))
    with pytest.raises(CheckpointError, match="b hold values that are not finite"):
        frechet_distance(a, Statistics(torch.full((3,), math.inf), torch.eye(3), source="b"))


# -------------------------------------------------------------------------------------------------------------- files
def test_statistics_file_keeps_values_and_origin(tmp_path):
    path = tmp_path / "a.safetensors"
    wanted = statistics(draw(9, 4, 15), weights_sha256="ab" * 32, resize="bilinear-299", image_size=64, source="faces")
    write_statistics(path, wanted)
    got = read_statistics(path)
    assert torch.equal(got.mean, wanted.mean)
    assert torch.equal(got.covariance, wanted.covariance)
    assert (got.n, got.weights_sha256, got.resize, got.source) == (9, "ab" * 32, "bilinear-299", str(path))
    assert got.image_size == 64
    assert checkpoint.describe(path)["source"] == "faces"
    assert set(checkpoint.load(path).tensors) == {"mu", "sigma"}
    write_statistics(path, wanted, draw(2, 4, 21))
    assert torch.equal(checkpoint.load(path).tensors["features"], draw(2, 4, 21))
    assert torch.equal(read_statistics(path).mean, wanted.mean)


def test_npz_of_pytorch_fid_is_read(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", mu=np.arange(3.0), sigma=np.eye(3))
    got = read_statistics(tmp_path / "a.npz")
    assert got.mean.tolist() == [0, 1, 2]
    assert (got.n, got.weights_sha256) == (None, None)


def test_unfit_statistics_files_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "shape.npz", mu=np.zeros(3), sigma=np.eye(2))
    np.savez(tmp_path / "empty.npz", other=np.zeros(3))
    np.savez(tmp_path / "nan.npz", mu=np.full(2, np.nan), sigma=np.eye(2))
    np.savez(tmp_path / "pickle.npz", mu=np.array([{}], dtype=object), sigma=np.eye(1))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "shape.npz").read_bytes()[:200])
    checkpoint.save(tmp_path / "other.safetensors", {"z": torch.zeros(1)}, {"kind": "latents"})
    for name in ("shape.npz", "empty.npz", "nan.npz", "pickle.npz", "cut.npz", "gone.npz", "other.safetensors"):
        with pytest.raises(CheckpointError, match=name.replace(".", r"\.")) as caught:
            read_statistics(tmp_path / name)
        assert "\n" not in str(caught.value)
