"""The network's parts against what they must give: canonical colours, VGG-19's layout, attention in closed form."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.models import vgg19

from iin_sketch.networks import Encoder, StyleAttention, Stylizer, canonical, normalised, random_encoder


def test_canonical_colours_and_the_way_back():
    images = (
        torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        * torch.tensor([0.2, 1.0])[:, None, None, None]
    )
    found = canonical(images)
    assert found.images.mean((2, 3)).abs().max() < 1e-5
    assert (found.images * found.deviation + images.mean((2, 3), keepdim=True)).allclose(images, atol=1e-6)


def test_a_constant_image_stays_finite():
    assert canonical(torch.full((1, 3, 8, 8), 0.3)).images.abs().max() < 1e-4


@pytest.mark.parametrize(("ink", "light"), [(-1.0, True), (1.0, False)])
def test_the_ground_is_what_there_is_more_of(ink, light):
    images = torch.zeros(1, 3, 16, 16)
    images[:, :, 4:7] = ink
    assert canonical(images).light_ground.item() is light


def test_the_encoder_has_the_names_and_shapes_of_torchvisions_vgg19():
    with torch.device("meta"):
        theirs, ours = vgg19().features.state_dict(), Encoder(64).features.state_dict()
    assert {name: tuple(value.shape) for name, value in ours.items()} == {
        name: tuple(value.shape) for name, value in theirs.items() if int(name.split(".")[0]) < 29
    }


def test_the_encoder_taps_the_first_relu_of_every_stage():
    maps = Encoder(4)(torch.zeros(2, 3, 32, 32))
    assert [tuple(m.shape[1:]) for m in maps] == [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4), (32, 2, 2)]
    assert all((m >= 0).all() for m in maps)


def test_random_filters_are_scaled_on_data(noise):
    one, other = (random_encoder(4, 3, noise) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    first = one.features[0](noise)
    assert first.mean((0, 2, 3)).abs().max() < 1e-4
    assert first.std((0, 2, 3)) == pytest.approx(torch.ones(4), abs=1e-4)
    deepest = one(noise)[4]
    assert ((deepest > 0).float().mean((0, 2, 3)) > 0.1).all()
    assert not any(parameter.requires_grad for parameter in one.parameters())


def test_attention_to_a_style_of_one_place_gives_its_value_everywhere():
    attention = StyleAttention(4)
    content, style = torch.randn(2, 4, 3, 3), torch.zeros(1, 4, 1, 1).expand(1, 4, 2, 2)
    expected = content + attention.out(attention.value(style))[:, :, :1, :1]
    assert attention(content, style).allclose(expected, atol=1e-6)


def test_attention_with_equal_keys_gives_the_mean_of_the_values():
    attention = StyleAttention(4)
    nn.init.zeros_(attention.key.weight)
    content, style = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 2, 6)
    mean = attention.value(style).mean((2, 3), keepdim=True)
    assert attention(content, style).allclose(content + attention.out(mean), atol=1e-6)


def test_attention_is_the_softmax_of_products():
    attention = StyleAttention(4)
    content, style = torch.randn(1, 4, 2, 2), torch.randn(1, 4, 3, 3)
    q, k, v = (
        layer(maps)[0].flatten(1)
        for layer, maps in (
            (attention.query, normalised(content)),
            (attention.key, normalised(style)),
            (attention.value, style),
        )
    )
    found = (v @ torch.softmax(q.T @ k / 2, dim=1).T).reshape(1, 4, 2, 2)
    assert attention(content, style).allclose(content + attention.out(found), atol=1e-5)


def test_an_untrained_stylizer_changes_nothing(noise):
    stylizer = Stylizer(4, 4, 32)
    maps = stylizer.encoder(noise)
    assert torch.equal(stylizer.transfer(noise, maps, stylizer.style(noise)), noise)


def test_a_style_may_be_of_another_size_and_shared(stylizer, noise):
    maps = stylizer.encoder(noise)
    style = stylizer.style(torch.randn(1, 3, 64, 64))
    drawn = stylizer.transfer(noise, maps, style)
    assert drawn.shape == noise.shape
    one = stylizer.transfer(noise[2:3], [m[2:3] for m in maps], style)
    assert one.allclose(drawn[2:3], atol=1e-5)
    other = stylizer.transfer(noise, maps, replace(style, fourth=2 * style.fourth))
    assert not other.allclose(drawn, atol=1e-3)
    other = stylizer.transfer(noise, maps, replace(style, statistics=style.statistics.flip(1)))
    assert not other.allclose(drawn, atol=1e-3)


def test_statistics_are_those_of_every_channel(stylizer, noise):
    found = stylizer.style(noise)
    maps = stylizer.encoder(noise)
    expected = [part for m in maps for part in (m.mean((2, 3)), m.std((2, 3), correction=0))]
    assert found.statistics.allclose(torch.cat(expected, 1), atol=1e-5)
    assert torch.equal(found[torch.tensor([2])].fifth, maps[4][2:3])


def test_the_encoder_is_not_trained():
    stylizer = Stylizer(4, 4, 32)
    trained = {id(parameter) for parameter in stylizer.trained_parameters()}
    assert trained
    assert not trained & {id(parameter) for parameter in stylizer.encoder.parameters()}
    assert stylizer.config == {"width": 4, "decoder_width": 4, "side": 32}
