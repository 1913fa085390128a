"""Published checkpoints, built here by the layout of the release and computed by the formulas of the paper."""

import pytest
import torch
from torch.nn import functional as F

from iin_cli.backbones.autoencoder import Autoencoder
from iin_cli.backbones.classifier import Classifier
from iin_cli.errors import CheckpointError
from iin_cli.io.compvis import read_compvis
from iin_cli.translator.flow import Translator

SLOPE = 0.01


def draw(generator, *shape, scale=0.3):
    return torch.randn(*shape, generator=generator) * scale


def published_translator(dim=6, hidden=5, depth=2, blocks=3, seed=0):
    """A state dict with the names and shapes of the release."""
    g = torch.Generator().manual_seed(seed)
    state, half = {}, dim // 2
    for i in range(blocks):
        block = f"realnvp.flow.{i}.flow"
        state[f"{block}.0.loc"] = draw(g, 1, dim, 1, 1)
        state[f"{block}.0.scale"] = draw(g, 1, dim, 1, 1, scale=0.1) + 1
        state[f"{block}.0.initialized"] = torch.tensor(1, dtype=torch.uint8)
        for net in "st":
            for step in (0, 1):
                sizes = [half, *[hidden] * (depth + 1), half]
                for layer in range(depth + 2):
                    name = f"{block}.1.{net}.{step}.main.{2 * layer}"
                    state[f"{name}.weight"] = draw(g, sizes[layer + 1], sizes[layer])
                    state[f"{name}.bias"] = draw(g, sizes[layer + 1])
        order = torch.randperm(dim, generator=g)
        state[f"{block}.2.forward_shuffle_idx"] = order
        state[f"{block}.2.backward_shuffle_idx"] = torch.argsort(order)
    return state


def net(state, name, x):
    """Rows of x through Linear, leaky ReLU, …, Linear, one row at a time."""
    layers = sum(key.startswith(f"{name}.main.") and key.endswith("weight") for key in state)
    rows = []
    for row in x:
        for layer in range(layers):
            row = state[f"{name}.main.{2 * layer}.weight"] @ row + state[f"{name}.main.{2 * layer}.bias"]
            if layer < layers - 1:
                row = torch.where(row > 0, row, SLOPE * row)
        rows.append(row)
    return torch.stack(rows)


def by_hand(state, x, blocks):
    """The issue's formulas: z̃ and log|det|."""
    total = x.new_zeros(len(x))
    for i in range(blocks):
        block = f"realnvp.flow.{i}.flow"
        loc, scale = state[f"{block}.0.loc"].flatten(), state[f"{block}.0.scale"].flatten()
        h = scale * (x + loc)
        a, b = h[:, : h.shape[1] // 2], h[:, h.shape[1] // 2 :]
        s0 = torch.tanh(net(state, f"{block}.1.s.0", a))
        b = b * torch.exp(s0) + net(state, f"{block}.1.t.0", a)
        s1 = torch.tanh(net(state, f"{block}.1.s.1", b))
        a = a * torch.exp(s1) + net(state, f"{block}.1.t.1", b)
        x = torch.cat([b, a], dim=1)[:, state[f"{block}.2.forward_shuffle_idx"]]
        total = total + scale.abs().log().sum() + s0.sum(1) + s1.sum(1)
    return x, total


def published_encoder(g, outputs, base=64, side=2, colors=3):
    state, inputs = {}, colors
    for i in range(4):
        channels, layers = base * 2**i, f"feature_layers.{i}.sub_layers"
        state[f"{layers}.0.weight"] = draw(g, channels, inputs, 4, 4, scale=0.1)
        state |= actnorm(g, f"{layers}.1", channels)
        inputs = channels
    state["dense_encode.sub_layers.0.weight"] = draw(g, outputs, inputs, side, side, scale=0.1)
    state["dense_encode.sub_layers.0.bias"] = draw(g, outputs)
    return state


def actnorm(g, name, channels):
    return {
        f"{name}.loc": draw(g, 1, channels, 1, 1),
        f"{name}.scale": draw(g, 1, channels, 1, 1) + 1.5,
        f"{name}.initialized": torch.tensor(1, dtype=torch.uint8),
    }


def published_autoencoder(dim=5, base=4, side=2, seed=1):
    g = torch.Generator().manual_seed(seed)
    state = published_encoder(g, 2 * dim, base, side)
    state["dense_decode.sub_layers.0.weight"] = draw(g, dim, 8 * base, side, side, scale=0.1)
    state["dense_decode.sub_layers.0.bias"] = draw(g, 8 * base)
    for i in range(3):
        layers, channels = f"decoder_layers.{i}.sub_layers", base * 2**i
        state[f"{layers}.0.weight"] = draw(g, 2 * channels, channels, 4, 4, scale=0.1)
        state |= actnorm(g, f"{layers}.1", channels)
    state["image_layer.sub_layers.0.weight"] = draw(g, base, 3, 4, 4, scale=0.1)
    return state


def published_classifier(dim=5, classes=3, base=4, side=2, seed=2):
    g = torch.Generator().manual_seed(seed)
    head = {"classifier.weight": draw(g, classes, dim), "classifier.bias": draw(g, classes)}
    return published_encoder(g, dim, base, side) | head


def encode_by_hand(state, x):
    for i in range(4):
        layers = f"feature_layers.{i}.sub_layers"
        x = F.conv2d(x, state[f"{layers}.0.weight"], stride=2, padding=1)
        x = F.leaky_relu(state[f"{layers}.1.scale"] * (x + state[f"{layers}.1.loc"]), 0.2)
    x = F.conv2d(x, state["dense_encode.sub_layers.0.weight"], state["dense_encode.sub_layers.0.bias"])
    return x[:, :, 0, 0]


def decode_by_hand(state, z):
    stem = "dense_decode.sub_layers.0"
    x = F.conv_transpose2d(z[:, :, None, None], state[f"{stem}.weight"], state[f"{stem}.bias"])
    for i in (2, 1, 0):
        layers = f"decoder_layers.{i}.sub_layers"
        x = F.conv_transpose2d(x, state[f"{layers}.0.weight"], stride=2, padding=1)
        x = F.leaky_relu(state[f"{layers}.1.scale"] * (x + state[f"{layers}.1.loc"]), 0.2)
    return torch.tanh(F.conv_transpose2d(x, state["image_layer.sub_layers.0.weight"], stride=2, padding=1))


def write(path, state):
    torch.save({"model": state, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]}}, path)
    return path


@pytest.mark.parametrize(("dim", "hidden", "depth", "blocks"), [(6, 5, 2, 3), (2, 3, 1, 1), (10, 4, 0, 12)])
def test_a_translator_computes_what_the_formulas_say(tmp_path, dim, hidden, depth, blocks):
    state = published_translator(dim, hidden, depth, blocks)
    published = read_compvis(write(tmp_path / "t.ckpt", state))
    assert published.kind == "translator"
    assert published.latent_dim == dim
    assert published.config == {"dim": dim, "blocks": blocks, "hidden": hidden, "depth": depth}
    translator = Translator(**published.config)
    translator.load_state_dict(published.tensors)
    translator.double()
    z = torch.randn(7, dim, generator=torch.Generator().manual_seed(9)).double()
    exact = {name: value.double() if value.is_floating_point() else value for name, value in state.items()}
    expected, log_det = by_hand(exact, z, blocks)
    with torch.no_grad():
        z_tilde, ours = translator(z)
        torch.testing.assert_close(z_tilde, expected, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(ours, log_det, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(translator.inverse(expected), z, rtol=1e-6, atol=1e-6)


def test_one_block_in_numbers(tmp_path):
    """N = 2 without hidden layers to speak of: everything can be said by heart."""
    state = published_translator(dim=2, hidden=1, depth=0, blocks=1)
    for name, tensor in state.items():
        if "main" in name:
            tensor.zero_()
    block = "realnvp.flow.0.flow"
    state[f"{block}.0.loc"] = torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1)
    state[f"{block}.0.scale"] = torch.tensor([2.0, 3.0]).reshape(1, 2, 1, 1)
    state[f"{block}.1.s.0.main.2.bias"] = torch.atanh(torch.tensor([0.5]))
    state[f"{block}.1.t.1.main.2.bias"] = torch.tensor([10.0])
    state[f"{block}.2.forward_shuffle_idx"] = state[f"{block}.2.backward_shuffle_idx"] = torch.tensor([1, 0])
    published = read_compvis(write(tmp_path / "t.ckpt", state))
    translator = Translator(**published.config)
    translator.load_state_dict(published.tensors)
    # (a, b) = (2·(0+1), 3·(0+2)) = (2, 6); b' = 6·e^½; a' = 2 + 10; (b', a') swapped.
    z_tilde, log_det = translator(torch.zeros(1, 2))
    assert z_tilde[0].tolist() == pytest.approx([12.0, 6 * 2.718281828**0.5])
    assert log_det.item() == pytest.approx(1.791759 + 0.5)


@pytest.mark.parametrize("side", [2, 4])
def test_an_autoencoder_computes_what_the_layers_say(tmp_path, side):
    state = published_autoencoder(side=side)
    published = read_compvis(write(tmp_path / "ae.ckpt", state))
    assert published.kind == "autoencoder"
    assert published.config["image_size"] == 16 * side
    assert published.latent_dim == 5
    model = Autoencoder.from_config(published.config).eval()
    model.load_state_dict(published.tensors)
    images = torch.rand(2, 3, 16 * side, 16 * side, generator=torch.Generator().manual_seed(3)) * 2 - 1
    expected = encode_by_hand(state, images)
    with torch.no_grad():
        mean, log_variance = model.posterior(images)
        torch.testing.assert_close(mean, expected[:, :5], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(log_variance, expected[:, 5:].clamp(-30, 10), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model.encode(images), expected[:, :5], rtol=1e-4, atol=1e-4)
        z = expected[:, :5]
        torch.testing.assert_close(model.decode(z), decode_by_hand(state, z), rtol=1e-4, atol=1e-4)


def test_a_classifier_computes_what_the_layers_say(tmp_path):
    state = published_classifier()
    published = read_compvis(write(tmp_path / "clf.ckpt", state))
    assert published.kind == "classifier"
    assert published.config["classes"] == ["0", "1", "2"]
    model = Classifier.from_config(published.config).eval()
    model.load_state_dict(published.tensors)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(3)) * 2 - 1
    z = encode_by_hand(state, images)
    with torch.no_grad():
        torch.testing.assert_close(model.encode(images), z, rtol=1e-4, atol=1e-4)
        logits = z @ state["classifier.weight"].T + state["classifier.bias"]
        torch.testing.assert_close(model.decode(model.encode(images)), logits, rtol=1e-4, atol=1e-4)


def test_legacy_files_and_parameters_are_read(tmp_path):
    """The release is older than torch's zip format and saves its permutations as parameters."""
    state = {name: torch.nn.Parameter(value, requires_grad=False) for name, value in published_translator().items()}
    torch.save({"model": state}, tmp_path / "t.ckpt", _use_new_zipfile_serialization=False)
    assert read_compvis(tmp_path / "t.ckpt").latent_dim == 6


def drop(name):
    return lambda state: state.pop(name)


def put(name, value):
    return lambda state: state.update({name: value})


BLOCK = "realnvp.flow.1.flow"


@pytest.mark.parametrize(
    ("build", "spoil", "words"),
    [
        (published_translator, drop(f"{BLOCK}.1.t.1.main.4.bias"), "lacks realnvp.flow.1.flow.1.t.1.main.4.bias"),
        (published_translator, put("realnvp.extra", torch.zeros(1)), "realnvp.extra"),
        (published_translator, put(f"{BLOCK}.1.s.0.main.2.weight", torch.zeros(5, 4)), "expected (5, 5)"),
        (published_translator, put(f"{BLOCK}.0.initialized", torch.tensor(0)), "never initialised"),
        (published_translator, put(f"{BLOCK}.1.s.0.main.0.bias", torch.full((5,), torch.nan)), "not finite"),
        (published_translator, put(f"{BLOCK}.0.scale", torch.zeros(1, 6, 1, 1)), "no inverse"),
        (published_translator, put(f"{BLOCK}.2.forward_shuffle_idx", torch.zeros(6).long()), "not a permutation"),
        (published_translator, put(f"{BLOCK}.2.backward_shuffle_idx", torch.zeros(6).long()), "does not undo"),
        (published_translator, put("realnvp.flow.0.flow.0.loc", torch.zeros(1, 7, 1, 1)), "even N"),
        (published_translator, put("realnvp.flow.0.flow.0.loc", torch.zeros(6)), "4 axes"),
        (published_translator, put(f"{BLOCK}.1.s.0.main.0.bias", "text"), "not tensors"),
        (published_autoencoder, drop("decoder_layers.2.sub_layers.1.loc"), "lacks decoder_layers.2"),
        (published_autoencoder, put("image_layer.sub_layers.0.bias", torch.zeros(3)), "image_layer.sub_layers.0.bias"),
        (published_autoencoder, put("dense_encode.sub_layers.0.weight", torch.zeros(9, 32, 2, 2)), "dense_encode"),
        (published_autoencoder, put("feature_layers.4.sub_layers.0.weight", torch.zeros(8, 8, 4, 4)), "5 times"),
        (published_classifier, put("classifier.weight", torch.zeros(3, 6)), "expected (3, 5)"),
        (published_classifier, drop("classifier.weight"), "none of the published networks"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, build, spoil, words):
    state = build()
    spoil(state)
    with pytest.raises(CheckpointError) as caught:
        read_compvis(write(tmp_path / "x.ckpt", state))
    assert words in str(caught.value)
    assert "x.ckpt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read_compvis(tmp_path / "nowhere.ckpt")
    whole = write(tmp_path / "t.ckpt", published_translator()).read_bytes()
    for name, content in {"text": b"hello", "empty": b"", "cut": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match="cannot be read as the weights") as caught:
            read_compvis(tmp_path / name)
        assert "\n" not in str(caught.value)
    torch.save(published_translator(), tmp_path / "bare.ckpt")
    with pytest.raises(CheckpointError, match="under 'model'"):
        read_compvis(tmp_path / "bare.ckpt")


class Harmful:
    def __reduce__(self):
        import os

        return os.mkdir, ("harmful",)


def test_nothing_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": published_translator(), "extra": Harmful()}, tmp_path / "t.ckpt")
    with pytest.raises(CheckpointError, match="cannot be read as the weights"):
        read_compvis(tmp_path / "t.ckpt")
    assert not (tmp_path / "harmful").exists()
