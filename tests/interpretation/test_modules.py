"""Any torch module as a network: it is borrowed, not changed, and what cannot be read is said in one line."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from iin_cli.errors import DataError, UsageError
from iin_cli.interpretation.answers import Classes, Images, Nothing
from iin_cli.interpretation.network import Network


def convolutional(classes=5):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(8, classes),
    )


def to_tensor(picture):
    return torch.from_numpy(np.array(picture.resize((16, 16)))).permute(2, 0, 1).float() / 255


def images(count=6, side=16):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layer", ["2", "3", "4", None])
def test_g_of_e_is_the_module(layer):
    module = convolutional().eval()
    net = Network.cut(module, layer, classes="abcde")
    x = images(70)
    z = net.encode(x)
    assert z.dtype == torch.float32
    assert z.shape == (70, net.latent_dim)
    with torch.no_grad():
        expected = module(x).log_softmax(1)
    if layer != "2":  # Behind the ReLU z is an average, and the pooling that follows one too.
        torch.testing.assert_close(net.answers(z), expected, rtol=1e-5, atol=1e-6)
    assert isinstance(net.answer, Classes)
    assert net.classes == tuple("abcde")


def test_a_module_is_found_as_it_was_left():
    module = convolutional().train()
    module[1].eval()
    before = copy.deepcopy(module.state_dict())
    net = Network.cut(module, "3")
    first = net.encode(images())
    net.answers(first)
    assert [each.training for each in module] == [True, False, True, True, True, True, True]
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())
    assert torch.equal(net.encode(images()), first)


def test_a_module_that_fails_is_found_as_it_was_left():
    class Picky(nn.Module):
        def forward(self, x):
            if x.shape[-1] != 16:
                raise ValueError("16 only")
            return x.flatten(1)

    module = Picky().train()
    net = Network(module)
    with pytest.raises(ValueError, match="16 only"):
        net.encode(images(side=8))
    assert module.training


def test_two_functions_make_a_network():
    net = Network(lambda x: x.flatten(1)[:, :4], lambda z: z @ torch.ones(4, 3), classes=["a", "b", "c"])
    z = net.encode(images())
    assert z.shape == (6, 4)
    assert net.answers(z).shape == (6, 3)
    drawing = Network(lambda x: x.flatten(1), lambda z: z.view(-1, 3, 16, 16).tanh())
    assert isinstance(drawing.answer, Images)
    assert drawing.draw(drawing.encode(images())).shape == (6, 16, 16, 3)
    assert isinstance(drawing.answer, Images)


def test_an_encoder_alone_can_be_read_but_not_asked():
    net = Network(lambda x: x.flatten(1))
    z = net.encode(images())
    assert isinstance(net.answer, Nothing)
    assert net.answer.labels(z) is None
    with pytest.raises(UsageError, match="without a head"):
        net.answers(z)


def test_pictures_go_through_the_users_preprocessing():
    net = Network.cut(convolutional(), "3", preprocess=to_tensor)
    assert net.latent_dim == 8
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    expected = net.encode(to_tensor(Image.fromarray(picture))[None])

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, place):
            return Image.fromarray(picture), place

    for given in (
        picture[None],
        [picture],
        [Image.fromarray(picture)],
        torch.from_numpy(picture).permute(2, 0, 1)[None],
    ):
        torch.testing.assert_close(net.encode(given), expected)
    torch.testing.assert_close(net.encode(Pairs()), expected.expand(3, -1))
    # What commands read from files takes the same way.
    sized = net.resized([picture])
    torch.testing.assert_close(net.encode_pixels(sized), net.encode(sized))


@pytest.mark.parametrize("kind", [torch.float64, torch.float16])
def test_other_precisions_are_converted(kind):
    net = Network.cut(convolutional(), "3")
    torch.testing.assert_close(net.encode(images().to(kind)), net.encode(images()), rtol=1e-2, atol=1e-2)
    double = Network.cut(convolutional().double(), "3")
    assert double.encode(images()).dtype == torch.float32


class Tuple(nn.Module):
    def forward(self, x):
        return x.flatten(1), x


class OfBatch(nn.Module):
    def forward(self, x):
        flat = x.flatten(1)
        return flat - flat.mean(0)


class Untraceable(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("build", "error", "says"),
    [
        (lambda: Network.cut(convolutional(), "poll"), UsageError, "no layer 'poll'.*choose from"),
        (lambda: Network.cut("resnet50"), UsageError, "cuts a torch module, not a str"),
        (
            lambda: Network.cut(convolutional(), "3", classes="ab", preprocess=to_tensor),
            UsageError,
            "2 classes.*5 logits",
        ),
        (lambda: Network(Tuple()).encode(images()), DataError, r"must give z \(B, N\).*a tuple"),
        (lambda: Network(lambda x: x).encode(images()), DataError, r"must give z \(B, N\).*\(6, 3, 16, 16\)"),
        (lambda: Network(OfBatch()).encode(images()), DataError, "depend on the images beside"),
        (lambda: Network.cut(Untraceable()).encode(torch.ones(2, 4)), UsageError, r"Network\(encode=…"),
        (lambda: Network.cut(convolutional(), "3").latent_dim, UsageError, "encoded nothing yet"),
        (lambda: Network.cut(convolutional(), "3").encode(np.zeros((2, 8, 8, 3), np.uint8)), DataError, "preprocess=…"),
        (lambda: Network.cut(convolutional(), preprocess=np.asarray), DataError, r"gave ndarray.*ToTensor\(\)"),
        (
            lambda: Network(lambda x: x.flatten(1), lambda z: z[0]).encode(images()),
            DataError,
            r"G gives \(768,\), not logits",
        ),
        (
            lambda: Network(lambda x: x.flatten(1), lambda z: z.view(-1, 3, 16, 16), classes="ab").encode(images()),
            UsageError,
            "leave classes out",
        ),
        (lambda: Network(lambda x: x.flatten(1) / 0).encode(images()), DataError, "not finite for image 0"),
    ],
)
def test_what_cannot_be_read_is_said(build, error, says):
    with pytest.raises(error, match=says):
        build()


def test_features_of_another_number_are_refused():
    net = Network(lambda x: x.flatten(1))
    net.encode(images())
    with pytest.raises(DataError, match="gives 192 features, and gave 768 before"):
        net.encode(images(side=8))


def test_a_network_is_known_by_its_weights():
    module = convolutional()
    assert Network.cut(module, "3").sha256 == Network(module).sha256 != ""
    assert Network(F.relu).sha256 == ""
