"""The laws of an invertible network: inverse undoes forward, log-det agrees with autograd."""

import pytest
import torch

from iin_cli.errors import DataError
from iin_cli.translator.flow import ActNorm, Coupling, ScaleShiftNet, Shuffle, Translator
from iin_cli.translator.gaussianise import Gaussianise


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(kind, dim):
    """A layer away from its initial state, in float64."""
    if kind == "actnorm":
        made = ActNorm(dim)
        made.initialize(noise(50, dim, seed=1).float() * 3 + 2)
    elif kind == "coupling":
        with torch.random.fork_rng(devices=[]):
            made = Coupling(dim, hidden=7, depth=2)
    elif kind == "shuffle":
        made = Shuffle(torch.randperm(dim, generator=torch.Generator().manual_seed(2)))
    elif kind == "gaussianise":
        made = Gaussianise(dim)
        made.fit(noise(300, dim, seed=1).float().exp())
    else:
        made = Translator(dim, blocks=4, hidden=8, depth=1, seed=3)
        made.initialize(noise(100, dim, seed=1).float())
    return made.double()


KINDS = ["actnorm", "coupling", "shuffle", "gaussianise", "translator"]


@pytest.mark.parametrize("dim", [2, 3, 7, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_inverse_undoes_forward(kind, dim):
    made, z = layer(kind, dim), noise(5, dim)
    with torch.no_grad():
        z_tilde, log_det = made(z)
        assert z_tilde.shape == z.shape
        assert log_det.shape == (5,)
        torch.testing.assert_close(made.inverse(z_tilde), z)
        torch.testing.assert_close(made.inverse_with_log_det(z_tilde), (z, log_det))
        torch.testing.assert_close(made(made.inverse(z))[0], z)


def test_the_way_back_knows_the_log_det_of_every_part():
    """Of the closed form, Gaussian dimensions, a flow in each factor, and one behind them."""
    added = {"dim": 3, "blocks": 1, "hidden": 4, "seed": 1}
    made = Translator(6, blocks=2, hidden=8, linear_start=True, within=[2, 4], gaussianise=True, added=[added])
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * noise(*parameter.shape, seed=4))
        made.whitening.scale.copy_(noise(6, seed=5).exp())
        made.whitening.first_scale.copy_(noise(6, seed=6).exp())
        made.layers[1].fit(noise(300, 6, seed=7).float().exp())
        z_tilde, log_det = made.double()(noise(5, 6))
        assert log_det.std() > 0.1
        torch.testing.assert_close(made.inverse_with_log_det(z_tilde), (noise(5, 6), log_det))


@pytest.mark.parametrize("dim", [2, 5, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_log_det_is_that_of_the_jacobian(kind, dim):
    made, z = layer(kind, dim), noise(3, dim)
    log_det = made(z)[1]
    for row in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda x: made(x[None])[0][0], z[row])
        torch.testing.assert_close(log_det[row], torch.linalg.slogdet(jacobian).logabsdet)


def test_every_dimension_of_a_translator_depends_on_every_other():
    made = layer("translator", 7)
    jacobian = torch.autograd.functional.jacobian(lambda x: made(x[None])[0][0], noise(7))
    assert (jacobian != 0).all()


def test_rows_do_not_touch_each_other():
    made, z = layer("translator", 6), noise(4, 6)
    torch.testing.assert_close(made(z)[0][2:3], made(z[2:3])[0])


def test_a_coupling_is_equations_15_and_16():
    made, z = layer("coupling", 5), noise(4, 5)
    a, b = z[:, :3], z[:, 3:]
    log_s0, t0 = made.nets[0](a)
    b = b * log_s0.exp() + t0
    log_s1, t1 = made.nets[1](b)
    a = a * log_s1.exp() + t1
    torch.testing.assert_close(made(z)[0], torch.cat([b, a], 1))
    assert log_s0.abs().max() < 1


def test_scale_and_shift_nets_are_two_plain_networks():
    """One stacked network against two of `nn.Linear`, slope 0.01."""
    stacked, x = ScaleShiftNet(3, 2, hidden=4, depth=2).double(), noise(6, 3)
    assert len(stacked.weights) == 4
    outputs = []
    for net in (0, 1):
        h = x
        for index, (weight, bias) in enumerate(zip(stacked.weights, stacked.biases, strict=True)):
            h = (torch.where(h > 0, h, 0.01 * h) if index else h) @ weight[net] + bias[net, 0]
        outputs.append(h)
    log_scale, shift = stacked(x)
    torch.testing.assert_close(log_scale, torch.tanh(outputs[0]))
    torch.testing.assert_close(shift, outputs[1])


def test_actnorm_standardises_what_it_is_set_from():
    z = noise(200, 4) * torch.tensor([1e-2, 1.0, 5.0, 100.0], dtype=torch.float64) + 7
    made = ActNorm(4).double()
    made.initialize(z)
    out, log_det = made(z)
    torch.testing.assert_close(out.mean(0), torch.zeros(4, dtype=torch.float64), atol=1e-9, rtol=0)
    # The first is below a thousandth of the largest, so its std is floored and it stays narrow.
    torch.testing.assert_close(out.std(0, correction=0)[1:], torch.ones(3, dtype=torch.float64))
    assert 0 < out[:, 0].std() < 1
    torch.testing.assert_close(
        log_det, -z.std(0, correction=0).clamp_min(0.1).log().sum().expand(200), rtol=1e-2, atol=0.1
    )


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_dead_dimensions_stay_finite(spread):
    z = torch.cat([torch.full((50, 2), 3.0), spread * noise(50, 3).float()], dim=1)
    made = Translator(5, blocks=3, hidden=8, seed=0)
    made.initialize(z)
    z_tilde, log_det = made(z)
    assert z_tilde.isfinite().all()
    assert log_det.isfinite().all()
    assert made.inverse(z_tilde).isfinite().all()


def test_an_initialised_translator_is_nearly_standard():
    z = noise(2000, 16).float() @ noise(16, 16, seed=5).float() * 3 + 1
    made = Translator(16, blocks=6, hidden=32, seed=1)
    made.initialize(z)
    z_tilde = made(z)[0]
    assert z_tilde.mean().abs() < 0.3
    assert 0.3 < z_tilde.std() < 3


def test_a_seed_says_everything_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, again, other = (Translator(6, blocks=2, hidden=8, seed=seed).state_dict() for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["layers.1.nets.0.weights.0"], other["layers.1.nets.0.weights.0"])
    orders = [first[f"layers.{index}.order"].tolist() for index in (2, 5)]
    assert orders[0] != orders[1]


def test_its_config_rebuilds_it():
    made = Translator(9, blocks=2, hidden=6, depth=3, seed=1)
    rebuilt = Translator(**made.config)
    rebuilt.load_state_dict(made.state_dict())
    z = noise(3, 9).float()
    assert torch.equal(rebuilt(z)[0], made(z)[0])
    assert torch.equal(rebuilt.inverse(z), made.inverse(z))


def test_paper_size_of_table_6():
    """12 blocks, H 512, D 2 at N = 64: four networks of 32→512→512→512→32 and an actnorm in each."""
    net = (32 * 512 + 512) + 2 * (512 * 512 + 512) + (512 * 32 + 32)
    made = Translator(64)
    assert sum(parameter.numel() for parameter in made.parameters()) == 12 * (4 * net + 2 * 64)


def test_one_dimension_is_refused():
    with pytest.raises(DataError, match="at least 2"):
        Translator(1)


@pytest.mark.parametrize(("dim", "blocks"), [(2, 1), (5, 3), (8, 4)])
def test_after_a_closed_form_every_block_begins_as_the_identity(dim: int, blocks: int) -> None:
    translator = Translator(dim, blocks=blocks, hidden=8, linear_start=True)
    z = torch.randn(7, dim)
    z_tilde, log_det = translator(z)
    assert torch.equal(z_tilde, z)
    assert torch.equal(log_det, torch.zeros(7))


def test_a_translator_can_be_put_back_to_its_closed_form() -> None:
    translator = Translator(5, blocks=3, hidden=8, linear_start=True)
    with torch.no_grad():
        for parameter in translator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    z = torch.randn(7, 5)
    assert not torch.allclose(translator(z)[0], z, atol=1e-2)
    translator.begin_at_identity()
    assert torch.equal(translator(z)[0], z)


@pytest.mark.parametrize("gaussianise", [False, True])
def test_what_a_fit_begins_with_is_the_closed_form(gaussianise: bool) -> None:
    translator = Translator(5, blocks=2, hidden=8, linear_start=True, gaussianise=gaussianise)
    more = translator.continued({"dim": 3, "blocks": 2, "hidden": 8, "seed": 1, "linear_start": True})
    z = torch.randn(7, 5)
    for each in (translator, more):
        begun = each(z)[0]
        with torch.no_grad():
            for parameter in each.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        assert not torch.allclose(each(z)[0], begun, atol=1e-2)
        assert torch.allclose(each.beginning(z), begun, atol=1e-6)


def test_flows_within_factors_let_nothing_across() -> None:
    translator = Translator(6, blocks=2, hidden=8, linear_start=True, within=[1, 2, 3])
    with torch.no_grad():
        for parameter in translator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    z = torch.randn(4, 6)
    moved = z.clone()
    moved[:, 1:3] += 1
    (before, _), (after, log_det) = translator(z), translator(moved)
    assert torch.equal(before[:, [0, 3, 4, 5]], after[:, [0, 3, 4, 5]])
    assert not torch.allclose(before[:, 1:3], after[:, 1:3])
    assert torch.allclose(translator.inverse(after), moved, atol=1e-5)
    jacobian = torch.autograd.functional.jacobian(lambda row: translator(row[None])[0][0], moved[0])
    assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(log_det[0].item(), abs=1e-4)


def test_config_rebuilds_a_translator_that_starts_linear() -> None:
    translator = Translator(6, blocks=2, hidden=8, linear_start=True, within=[2, 4])
    again = Translator(**translator.config)
    again.load_state_dict(translator.state_dict())
    z = torch.randn(3, 6)
    assert torch.equal(again(z)[0], translator(z)[0])
    # Checkpoints of 0.1 say nothing of it.
    assert set(Translator(6, blocks=1, hidden=8).config) == {"dim", "blocks", "hidden", "depth"}


def test_the_closed_form_alone_has_nothing_to_train() -> None:
    translator = Translator(4, blocks=0, linear_start=True)
    assert not list(translator.parameters())
    z = torch.randn(3, 4)
    assert torch.equal(translator.inverse(translator(z)[0]), z)
