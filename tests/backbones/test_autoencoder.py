import pickle

import pytest
import torch
from torch.nn import functional as F

from iin_cli.backbones.autoencoder import Autoencoder
from iin_cli.backbones.encoder_decoder import ActNorm, Decoder
from iin_cli.errors import UsageError
from iin_cli.plugin_api import Backbone, DataFacts


def millions(module):
    return f"{sum(p.numel() for p in module.parameters()) / 1e6:.1f}"


def images(count=4, size=32, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize(
    ("size", "latent_dim", "encoder", "decoder"),
    [(32, 64, "3.0", "2.9"), (64, 64, "3.8", "3.3"), (128, 256, "19.5", "11.2")],
)
def test_parameter_counts_are_those_of_tables_3_and_4(size, latent_dim, encoder, decoder):
    with torch.device("meta"):
        model = Autoencoder(size)
    assert model.latent_dim == latent_dim
    assert (millions(model.encoder), millions(model.decoder)) == (encoder, decoder)


def test_actnorm_normalises_its_first_batch_and_keeps_what_it_learned():
    norm = ActNorm(5)
    first = torch.randn(64, 5, 3, 3, generator=torch.Generator().manual_seed(1)) * 3 + 2
    y = norm(first)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((0, 2, 3), correction=0), torch.ones(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(norm(first + 1) - y, norm.scale.expand_as(y), atol=1e-5, rtol=1e-5)


def test_actnorm_survives_a_constant_channel_and_waits_for_training():
    norm = ActNorm(2).eval()
    norm(torch.ones(3, 2, 2, 2))
    assert not norm.initialized
    assert torch.isfinite(norm.train()(torch.ones(3, 2, 2, 2))).all()
    assert norm.initialized


def test_layers_are_convolution_then_scale_times_x_plus_loc_then_leaky_relu():
    model = Autoencoder(32, 8, base_channels=4)
    x = images()
    model.train()(x)
    down, up = model.eval().encoder.features[0], model.decoder.blocks[0]
    with torch.no_grad():
        for block in (down, up):
            block.norm.loc.uniform_(-1, 1)
            block.norm.scale.uniform_(-2, 2)
        h = torch.randn(2, 32, 2, 2)
        torch.testing.assert_close(down(x), F.leaky_relu(down.norm.scale * (down.conv(x) + down.norm.loc), 0.2))
        torch.testing.assert_close(up(h), F.leaky_relu(up.norm.scale * (up.conv(h) + up.norm.loc), 0.2))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.decoder.blocks[0].norm.scale.mul_(2),
        lambda model: model.decoder.blocks[1].norm.loc.add_(1),
        lambda model: model.decoder.blocks[2].conv.weight.neg_(),
        lambda model: model.load_state_dict({name: value * 0.5 for name, value in model.state_dict().items()}),
        lambda model: model.bfloat16().float(),
    ],
)
def test_a_decoder_that_was_changed_draws_by_what_it_has_become(change):
    model, z = Autoencoder(32, 8, base_channels=4).eval(), torch.randn(2, 8)
    size = len(pickle.dumps(model))
    with torch.inference_mode():
        before = model.decode(z)
        assert torch.equal(model.decode(z), before)
    # What is kept beside the weights is no part of a copy.
    assert len(pickle.dumps(model)) == size
    with torch.no_grad():
        change(model)
        after = model.decode(z)
        assert not torch.equal(after, before)
    # Where gradients are wanted nothing is kept.
    assert torch.equal(model.decode(z).detach(), after)


def fused_step(model, z):
    model.decode(z).square().mean().backward()
    torch.optim.SGD(model.parameters(), 0.1, fused=True).step()


def unseen(model, z):
    for weight in model.parameters():
        weight.data.mul_(2)


@pytest.mark.parametrize(
    "change",
    [
        lambda model, z: fused_step(model.train(), z),
        fused_step,
        lambda model, z: unseen(model.train(), z),
        lambda model, z: unseen(model.double(), z),
    ],
)
def test_no_product_outlives_training_though_torch_counts_no_change_of_the_weights(change):
    model, z = Autoencoder(32, 8, base_channels=4), torch.randn(2, 8)
    model.train()(images(4))
    with torch.no_grad():
        model.eval().decode(z)
    change(model, z)
    assert all(block._kept is None for block in model.decoder.blocks)
    model.float().eval()
    fresh = Autoencoder(32, 8, base_channels=4).eval()
    fresh.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model.decode(z), fresh.decode(z))


@pytest.mark.parametrize(
    "follow",
    [
        lambda draw, z: torch.func.jvp(draw, (z,), (z,))[0],
        lambda draw, z: torch.jit.trace(draw, (z,))(z),
    ],
)
@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning", "ignore:.torch.jit:DeprecationWarning")
def test_a_decoder_that_torch_followed_draws_as_before(follow):
    decoder, z = Autoencoder(32, 8, base_channels=4).decoder.eval(), torch.randn(2, 8)
    with torch.no_grad():
        followed = follow(decoder, z)
        torch.testing.assert_close(followed, decoder(z))
        assert torch.equal(decoder(z), decoder(z))


def test_without_stem_norm_the_decoder_is_the_published_one():
    decoder = Decoder(32, 8, base_channels=4, stem_norm=False).eval()
    z = torch.randn(2, 8)
    with torch.no_grad():
        x = decoder.stem(z[:, :, None, None])
        for block in decoder.blocks:
            x = block(x)
        torch.testing.assert_close(decoder(z), torch.tanh(decoder.image(x)))
    assert not any(name.startswith("stem_norm") for name in decoder.state_dict())
    assert Autoencoder(32, 8, 4, decoder_stem_norm=False).config["decoder_stem_norm"] is False


def test_encode_is_the_float32_mean_and_does_not_depend_on_the_batch():
    model = Autoencoder(32, 8, base_channels=4)
    x = images(6)
    model.train()(x)
    model.eval()
    with torch.no_grad():
        mean, log_variance = model.posterior(x)
        assert torch.equal(model.encode(x), mean)
        assert torch.equal(model.encode(x), model.encode(x))
        assert mean.dtype == log_variance.dtype == torch.float32
        assert mean.shape == log_variance.shape == (6, 8)
        torch.testing.assert_close(model.encode(x[2:3]), mean[2:3], atol=1e-5, rtol=1e-4)
        assert model.decode(mean).abs().max() <= 1


def test_the_units_of_an_image_share_their_noise_unless_the_weights_came_from_elsewhere():
    torch.manual_seed(0)
    shared = Autoencoder(32, 8, base_channels=4).eval()
    older = {name: value for name, value in shared.config.items() if name != "shared_noise"}
    apart = Autoencoder.from_config(older).eval()
    apart.load_state_dict(shared.state_dict())
    with torch.no_grad():
        (mean, one), (same_mean, many) = shared.posterior(images(3)), apart.posterior(images(3))
    assert torch.equal(mean, same_mean)
    torch.testing.assert_close(one, many.mean(1, keepdim=True).expand(-1, 8))
    assert many.std(1).min() > 0


def test_config_rebuilds_the_module_and_weights_travel_by_name():
    model = Autoencoder(64, 8, base_channels=4)
    model.train()(images(3, 64))
    again = Autoencoder.from_config(model.config)
    again.load_state_dict(model.state_dict())
    x = images(2, 64, seed=5)
    assert isinstance(again, Backbone)
    assert torch.equal(model.eval()(x), again.eval()(x))


@pytest.mark.parametrize(("size", "use"), [(28, 32), (16, 32), (48, 64), (100, 128), (0, 32)])
def test_other_image_sizes_are_refused_with_one_that_fits(size, use):
    with pytest.raises(UsageError, match=f"image size {size} .* use {use}$"):
        Autoencoder.for_training(None, DataFacts(size, None, 100), None)


def test_empty_latents_are_refused():
    with pytest.raises(UsageError, match="latent size must be at least 1, and 0"):
        Autoencoder.for_training(None, DataFacts(32, None, 100), 0)


def test_steps_follow_the_size_of_the_data():
    small, large = (Autoencoder.for_training(None, DataFacts(32, None, n), None).recipe(None, 0) for n in (500, 60_000))
    assert small.steps < large.steps
    assert Autoencoder(32).recipe(17, 0).steps == 17
