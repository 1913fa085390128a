import io
import math

import pytest
import torch

from iin_cli.backbones.autoencoder import Autoencoder
from iin_cli.backbones.autoencoder_recipe import AutoencoderRecipe, nelbo


def bars(count, seed):
    """Mostly black images (B, 3, 32, 32) with one coloured bar each."""
    generator = torch.Generator().manual_seed(seed)
    images = -torch.ones(count, 3, 32, 32)
    for image, start in zip(images, torch.randint(4, 24, (count,), generator=generator).tolist(), strict=True):
        image[:, 8:24, start : start + 5] = torch.rand(3, 1, 1, generator=generator) * 1.6 - 0.6
    return images


def small(steps=40, seed=0, **settings):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = Autoencoder(32, 8, base_channels=8)
    recipe = AutoencoderRecipe(model, steps, seed, batch_size=16)
    for name, value in settings.items():
        setattr(recipe, name, value)
    return model, recipe


def train(recipe, first, last):
    return [recipe.step(bars(16, seed=step), None, step / recipe.steps) for step in range(first, last)]


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_nelbo_against_torch_distributions():
    generator = torch.Generator().manual_seed(0)
    x, x_hat = torch.randn(2, 4, 3, 8, 8, generator=generator)
    mean, log_variance = torch.randn(2, 4, 5, generator=generator)
    level = torch.tensor(-1.3)
    rec, kl = nelbo(x, x_hat, mean, log_variance, level)
    likelihood = torch.distributions.Normal(x_hat, math.exp(-1.3 / 2)).log_prob(x).sum() / 4
    divergence = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (log_variance / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(rec, -likelihood)
    torch.testing.assert_close(kl, divergence.sum() / 4)


def test_learned_variance_settles_at_the_mean_squared_error():
    x, x_hat = torch.zeros(4, 3, 8, 8), torch.full((4, 3, 8, 8), 0.3)
    level = torch.tensor(math.log(0.09), requires_grad=True)
    nelbo(x, x_hat, torch.zeros(4, 2), torch.zeros(4, 2), level)[0].backward()
    assert abs(level.grad.item()) < 1e-3


def test_dark_images_do_not_collapse_the_posterior():
    _, recipe = small(steps=120, gan_start=1.0)
    train(recipe, 0, 120)
    x = bars(64, seed=999)
    held_out = recipe.validate(x, None)
    assert held_out["collapsed"] == 0
    assert held_out["active"] >= 2
    assert held_out["mse"] < 0.7 * (x - x.mean(0)).square().mean().item()


def test_collapse_shows():
    model, recipe = small()
    train(recipe, 0, 1)
    with torch.no_grad():
        model.encoder.to_latent.weight.zero_()
    held_out = recipe.validate(bars(8, seed=1), None)
    assert (held_out["active"], held_out["collapsed"]) == (0, 1)


def test_the_discriminator_joins_at_gan_start_and_every_term_is_shown():
    _, recipe = small(steps=4, gan_start=0.5)
    before = {name: value.clone() for name, value in recipe.discriminator.state_dict().items()}
    early = train(recipe, 0, 2)
    assert all(torch.equal(before[k], v) for k, v in recipe.discriminator.state_dict().items())
    late = train(recipe, 2, 4)
    assert set(early[-1]) == {"rec", "kl", "log_variance"}
    assert set(late[-1]) == {*early[-1], "gan", "similarity", "discriminator", "gan_scale"}
    assert any(not torch.equal(before[k], v) for k, v in recipe.discriminator.state_dict().items())
    assert all(math.isfinite(value) for shown in late for value in shown.values())


@pytest.mark.parametrize("break_at", [2, 5])
def test_resume_is_exact_before_and_after_the_discriminator_joined(break_at):
    model, recipe = small(steps=8, gan_start=0.5)
    train(recipe, 0, break_at)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    state = through_a_file(recipe.state_dict())
    shown = train(recipe, break_at, 8)

    again, resumed = small(steps=8, seed=7, gan_start=0.5)
    again.load_state_dict(weights)
    resumed.load_state_dict(state)
    assert train(resumed, break_at, 8) == shown
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))


def test_the_variance_does_not_fall_below_its_floor():
    _, recipe = small(least_log_variance=-3.0)
    recipe.pixel_log_variance.data.fill_(-9.0)
    assert train(recipe, 0, 2)[-1]["log_variance"] == -3.0


def test_validation_does_not_depend_on_how_images_are_batched():
    _, recipe = small()
    train(recipe, 0, 2)
    x = bars(33, seed=4)
    in_parts = recipe.validate(x, None)
    recipe.batch_size = 33
    assert recipe.validate(x, None) == pytest.approx(in_parts, rel=1e-4)
