"""The pair spectrum against cases whose answer is known, and the closed form it gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from iin_cli.errors import DataError
from iin_cli.translator import pair_moments
from iin_cli.translator.pair_moments import PairedRows, moments, spectral_edges
from iin_cli.translator.spectrum import PairSpectrum, pair_spectrum

DIM = 24


def mixed(parts: list[np.ndarray], seed: int, dim: int = DIM, noise: float = 0.3) -> Tensor:
    """Hide independent parts (M, d) and noise behind one random matrix."""
    generator = np.random.default_rng(seed)
    hidden = np.concatenate(parts, axis=1)
    filled = np.concatenate((hidden, generator.normal(size=(len(hidden), dim - hidden.shape[1]))), axis=1)
    filled[:, : hidden.shape[1]] += noise * generator.normal(size=hidden.shape)
    rotation = np.linalg.qr(generator.normal(size=(dim, dim)))[0]
    return torch.from_numpy(
        filled @ rotation * generator.uniform(0.3, 3, size=dim) + generator.normal(size=dim)
    ).float()


def classes_and_colours(seed: int = 0, count: int = 6000) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Ten classes, and colours of three numbers that ten items each have in common."""
    generator = np.random.default_rng(seed)
    classes, colours = np.arange(count) % 10, generator.permutation(count) // 10
    one_hot = 3 * np.eye(10)[classes]
    rgb = generator.uniform(-1.7, 1.7, size=(count // 10, 3))[colours]
    return mixed([one_hot, rgb], seed), classes, colours


def found_in(z: Tensor, *pairs: PairedRows, **options: object) -> PairSpectrum:
    return pair_spectrum(z, list(pairs), **options)  # pyright: ignore[reportArgumentType]


def test_ten_classes_take_nine_dimensions_and_colours_three() -> None:
    z, classes, colours = classes_and_colours()
    found = found_in(z, PairedRows("class", "share", z, classes), PairedRows("colour", "share", z, colours))
    assert found.sizes == {"class": 9, "colour": 3, "residual": DIM - 12}
    assert found.absent == ()
    digit, colour = found.concepts
    assert digit.values[8] > 5 * digit.edge > 0.001 > abs(digit.values[9]) - 0.01
    assert min(colour.values[:3]) > 0.8
    assert max(colour.values[3:]) < colour.edge


def test_the_closed_form_is_white_invertible_and_its_log_det_exact() -> None:
    z, classes, _ = classes_and_colours()
    layer = found_in(z, PairedRows("class", "share", z, classes)).whitening()
    z_tilde, log_det = layer(z)
    assert torch.allclose(torch.cov(z_tilde.T), torch.eye(DIM), atol=0.02)
    assert z_tilde.mean(0).abs().max() < 1e-3
    assert torch.allclose(layer.inverse(z_tilde), z, atol=1e-4)
    jacobian = torch.autograd.functional.jacobian(lambda row: layer(row[None])[0][0], z[0])
    assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(log_det[0].item(), abs=1e-3)


def test_a_class_lies_in_its_own_dimensions_alone() -> None:
    z, classes, _ = classes_and_colours()
    found = found_in(z, PairedRows("class", "share", z, classes))
    z_tilde = found.whitening()(z)[0]
    means = torch.stack([z_tilde[torch.from_numpy(classes == label)].mean(0) for label in range(10)])
    assert means[:, :9].square().sum() > 5
    # Fewer rows per class than in all: the means of the rest are those of noise.
    assert means[:, 9:].abs().max() < 0.15


@pytest.mark.parametrize("scale", [1e-8, 1e-6, 1e-3, 1e3, 1e6, 1e8])
def test_the_unit_of_z_changes_nothing_but_the_log_det(scale: float) -> None:
    z, classes, _ = classes_and_colours(count=2000)
    plain, scaled = (found_in(x, PairedRows("class", "share", x, classes)) for x in (z, z * scale))
    assert scaled.sizes == plain.sizes
    assert scaled.concepts[0].values == pytest.approx(plain.concepts[0].values, abs=2e-3)
    (z_tilde, log_det), (other, moved) = plain.whitening()(z), scaled.whitening()(z * scale)
    assert torch.allclose(z_tilde.square().sum(1), other.square().sum(1), rtol=1e-2)
    assert moved[0].item() == pytest.approx(log_det[0].item() - DIM * np.log(scale), abs=0.05)


@pytest.mark.parametrize("seed", range(20))
def test_a_concept_of_random_labels_is_absent_and_harms_no_other(seed: int) -> None:
    z, classes, _ = classes_and_colours(seed, count=1000)
    labels = np.random.default_rng(100 + seed).integers(0, 5, len(z))
    real = PairedRows("class", "share", z, classes)
    alone, both = found_in(z, real), found_in(z, real, PairedRows("noise", "share", z, labels), seed=seed)
    assert both.absent == ("noise",)
    assert both.sizes["noise"] == 1
    assert both.sizes["class"] == alone.sizes["class"] == 9
    assert both.sigmas["noise"] < 0.1
    assert both.concepts[0].values == alone.concepts[0].values


def test_a_differ_concept_takes_the_directions_in_which_renderings_differ() -> None:
    generator = np.random.default_rng(1)
    things = generator.normal(size=(3000, 12))
    change = np.zeros((3000, 12))
    change[:, 0] = 4
    z = mixed([np.concatenate((things, things + change))], 1, dim=12, noise=0.05)
    found = found_in(z, PairedRows("grey", "differ", z, np.tile(np.arange(3000), 2)))
    assert found.sizes == {"grey": 1, "residual": 11}
    # A shift by 4 explains 4 of the direction's variance of 5.
    assert found.concepts[0].values[0] == pytest.approx(0.8, abs=0.02)
    assert found.sigmas["residual"] > 0.9


def test_a_concept_and_its_copy_are_reported_as_overlap() -> None:
    z, classes, _ = classes_and_colours()
    names = [PairedRows(name, "share", z, classes) for name in ("class", "copy")]
    found = found_in(z, *names)
    assert found.overlaps[0].part == pytest.approx(1.0, abs=0.01)
    assert sorted(found.sizes[name] for name in ("class", "copy"))[0] >= 1
    assert sum(found.sizes[name] for name in ("class", "copy")) <= 10


def test_independent_concepts_do_not_overlap() -> None:
    z, classes, colours = classes_and_colours()
    found = found_in(z, PairedRows("class", "share", z, classes), PairedRows("colour", "share", z, colours))
    assert found.overlaps[0].part < 0.05


def test_few_rows_are_shrunk_and_correlations_measured_on_held_out_pairs() -> None:
    z, classes, _ = classes_and_colours(count=400)
    wide = torch.cat((z, torch.randn(400, 300, generator=torch.Generator().manual_seed(0))), dim=1)
    fit = PairedRows("class", "share", wide[:300], classes[:300])
    found = pair_spectrum(wide[:300], [fit], held_out=[PairedRows("class", "share", wide[300:], classes[300:])])
    assert found.concepts[0].shrinkage > 0.1
    assert found.noise > 0.3
    assert len(found.concepts[0].held_out) == found.sizes["class"]
    assert found.concepts[0].values[0] > found.concepts[0].held_out[0]
    z_tilde = found.whitening()(wide)[0]
    assert torch.isfinite(z_tilde).all()
    assert torch.allclose(found.whitening().inverse(z_tilde), wide, atol=1e-3)


def test_given_sizes_are_kept() -> None:
    z, classes, colours = classes_and_colours(count=1000)
    pairs = PairedRows("class", "share", z, classes), PairedRows("colour", "share", z, colours)
    assert found_in(z, *pairs, sizes={"class": 4, "colour": 12}).sizes == {"class": 4, "colour": 12, "residual": 8}


def test_given_sizes_may_be_larger_than_the_rows_that_are_held_out() -> None:
    z, classes, held, held_classes = few_rows_of_weak_classes()
    fit = [PairedRows("class", "share", z, classes)]
    few = [PairedRows("class", "share", held[:60], held_classes[:60])]
    found = pair_spectrum(z, fit, held_out=few, sizes={"class": 150})
    assert found.sizes == {"class": 150, "residual": 250}
    layer = found.whitening()
    assert torch.allclose(layer.inverse(layer(held)[0]), held, atol=1e-3)


def test_without_concepts_the_closed_form_whitens() -> None:
    z, _, _ = classes_and_colours(count=1000)
    found = found_in(z)
    assert found.sizes == {"residual": DIM}
    assert torch.allclose(torch.cov(found.whitening()(z)[0].T), torch.eye(DIM), atol=0.05)


def test_latents_that_do_not_vary_are_refused() -> None:
    z = torch.ones(50, 4)
    with pytest.raises(DataError, match="do not vary"):
        pair_spectrum(z, [PairedRows("side", "share", z, np.arange(50) % 2)])


def test_dead_and_dependent_features_are_no_obstacle() -> None:
    z, classes, _ = classes_and_colours(count=1000)
    broken = torch.cat((z, z[:, :3], torch.full((1000, 2), 7.0)), dim=1)
    found = found_in(broken, PairedRows("class", "share", broken, classes))
    z_tilde, log_det = found.whitening()(broken)
    assert found.sizes["class"] == 9
    assert torch.isfinite(z_tilde).all()
    assert torch.isfinite(log_det).all()


def test_pair_covariance_is_the_mean_over_all_pairs() -> None:
    generator = np.random.default_rng(3)
    z, groups = torch.from_numpy(generator.normal(size=(12, 3))).float(), np.array([0] * 5 + [1] * 3 + [2] * 3 + [9])
    known = moments(z, [PairedRows("side", "share", z, groups)], [], z)
    x = known.standardised(z[:11]).double()
    x = x - x.mean(0)
    expected = torch.zeros(3, 3, dtype=torch.float64)
    for i in range(11):
        others = [j for j in range(11) if j != i and groups[j] == groups[i]]
        expected += sum(torch.outer(x[i], x[j]) for j in others) / len(others) / 11  # pyright: ignore[reportOperatorIssue]
    assert torch.allclose(known.fit[0].pairs, expected, atol=1e-5)


def test_the_edge_is_what_shuffled_labels_show() -> None:
    z, classes, _ = classes_and_colours(count=1000)
    rows = PairedRows("class", "share", z, classes)
    known = moments(z, [rows], [], z)
    values, vectors = torch.linalg.eigh(known.shrunk(known.shrinkage))
    whiten = vectors * values.rsqrt()
    edges, tops = spectral_edges(rows, known, whiten, 3, 0), []
    for seed in range(20):
        shuffled = PairedRows("class", "share", z, np.random.default_rng(seed).permutation(classes))
        matrix = whiten.T @ moments(z, [shuffled], [], z).fit[0].pairs @ whiten
        tops.append(torch.linalg.eigvalsh(matrix)[-1].item())
    assert max(tops) < edges[0] < 3 * float(np.mean(tops))
    assert edges[0] > edges[1] > edges[2] > 0


def few_rows_of_weak_classes(seed: int = 0) -> tuple[Tensor, np.ndarray, Tensor, np.ndarray]:
    """Return twelve classes in 400 features, of which some are hardly told apart: 600 rows to fit, 300 held out."""
    generator = np.random.default_rng(seed)
    classes = np.arange(900) % 12
    means = np.diag(np.linspace(6, 2.2, 12))
    z = generator.normal(size=(900, 400))
    z[:, :12] += means[classes]
    z = torch.from_numpy(z @ np.linalg.qr(generator.normal(size=(400, 400)))[0]).float()
    return z[:600], classes[:600], z[600:], classes[600:]


def test_weak_directions_count_where_few_groups_leave_few() -> None:
    z, classes, held, held_classes = few_rows_of_weak_classes()
    found = pair_spectrum(
        z,
        [PairedRows("class", "share", z, classes)],
        held_out=[PairedRows("class", "share", held, held_classes)],
    )
    (concept,) = found.concepts
    assert found.sizes["class"] == 11
    # Weaker than chance at its best, but not than chance in the last of its directions.
    assert concept.values[10] < concept.edge
    assert abs(concept.values[11]) < 0.05


def test_no_class_mean_is_left_in_the_residual_of_few_rows() -> None:
    z, classes, held, held_classes = few_rows_of_weak_classes()
    found = pair_spectrum(
        z,
        [PairedRows("class", "share", z, classes)],
        held_out=[PairedRows("class", "share", held, held_classes)],
    )
    assert found.concepts[0].shrinkage > 0.1
    z_tilde = found.whitening()(z)[0]
    means = torch.stack([z_tilde[torch.from_numpy(classes == label)].mean(0) for label in range(12)])
    assert means[:, :11].abs().max() > 1
    assert means[:, 11:].abs().max() < 0.01


def test_each_concept_has_a_shrinkage_of_its_own() -> None:
    generator = np.random.default_rng(0)
    classes, scales = np.arange(900) % 8, np.geomspace(5, 0.1, 300)
    rotation = np.linalg.qr(generator.normal(size=(300, 300)))[0]
    # Classes lie in the wide directions, where they differ a little; the rendering moves one narrow one.
    hidden = generator.normal(size=(900, 300))
    hidden[:, :20] += 0.4 * generator.normal(size=(8, 20))[classes]
    change = np.zeros(300)
    change[250] = 3.0
    plain, grey = (torch.from_numpy(x * scales @ rotation).float() for x in (hidden, hidden + change))

    def rendered(rows: slice) -> PairedRows:
        count = rows.stop - rows.start
        return PairedRows("grey", "differ", torch.cat((plain[rows], grey[rows])), np.tile(np.arange(count), 2))

    def labelled(rows: slice) -> PairedRows:
        return PairedRows("class", "share", plain[rows], classes[rows])

    fit, held = slice(0, 600), slice(600, 900)
    z = torch.cat((plain[fit], grey[fit]))
    found = pair_spectrum(
        z, [labelled(fit), rendered(fit)], held_out=[labelled(held), rendered(held)], independent=plain[fit]
    )
    of_class, of_grey = found.concepts
    assert of_class.shrinkage > of_grey.shrinkage
    assert found.sizes == {"class": 7, "grey": 1, "residual": 292}
    assert torch.allclose(found.whitening().inverse(found.whitening()(z)[0]), z, atol=1e-3)


def test_the_matrix_of_chance_is_its_product_with_vectors(monkeypatch):
    generator = np.random.default_rng(0)
    z, groups = torch.from_numpy(generator.normal(size=(300, 7))).float(), generator.integers(0, 40, 300)
    rows = PairedRows("x", "share", z, groups)
    known = moments(z, [rows], [], z)
    whiten = torch.linalg.inv(torch.linalg.cholesky(known.covariance)).T
    multiplied = spectral_edges(rows, known, whiten, 2, 0)
    monkeypatch.setattr(pair_moments, "DENSE_DIM", 0)
    np.testing.assert_allclose(spectral_edges(rows, known, whiten, 2, 0), multiplied, rtol=0.03)
