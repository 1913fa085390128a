"""Which of two cues decides: counted by hand, and asked of a network."""

import numpy as np
import pytest
import torch

from iin_cli.data.arrays import ArrayDataset
from iin_cli.interpretation.network import Network
from iin_cli.metrics.bootstrap import Resampling
from iin_cli.plugin_api import Labels
from iin_cli.progress import Silent
from iin_cli.sizing.cue_decisions import answers_among, bias_of, decide

QUICK = Resampling(50, 1)
NAMES = ("dark", "light")


def test_the_bias_is_of_images_that_either_cue_decides():
    by_shape = np.array([True, True, True, False, False, False, False, False])
    by_texture = np.array([False, False, False, True, False, False, False, False])
    found = bias_of("shape", "texture", by_shape, by_texture, QUICK)
    assert (found.by_first.value, found.by_second.value, found.bias.value) == (3 / 8, 1 / 8, 3 / 4)
    ((title, (row,)),) = found.tables()
    assert (title, row["images"]) == ("answers decided by", 8)
    assert row["shape bias"].startswith("0.750 [")
    assert bias_of("shape", "texture", by_shape & False, by_texture & False, QUICK).bias is None


def test_kinds_are_averaged_not_summed():
    # Three unlikely kinds of one thing do not outvote one likely other.
    chances = torch.tensor([[0.2, 0.2, 0.2, 0.4]])
    assert answers_among(chances.log(), [[0, 1, 2], [3]]).tolist() == [1]


@pytest.fixture
def conflicting():
    """Grey images, whose ground says one thing and whose centre the other, or both the same."""
    ground, centre = np.array([0, 1, 0, 1, 0, 1, 0, 1]), np.array([1, 0, 1, 0, 0, 1, 1, 0])
    pixels = np.repeat((40 + 170 * ground)[:, None, None], 32, 1).repeat(32, 2)
    pixels[:, 12:20, 12:20] = (40 + 170 * centre)[:, None, None]
    images = np.repeat(pixels[..., None], 3, 3).astype(np.uint8)
    labels = {"centre": Labels(centre, NAMES), "ground": Labels(ground, NAMES), "id": Labels(np.arange(8))}
    return ArrayDataset("cues", images, labels, {"train": np.arange(6), "test": np.arange(6, 8)})


def test_a_network_is_asked_about_images_whose_cues_differ(conflicting, monkeypatch):
    network = Network(
        lambda x: torch.cat((-x[:, 0, 0, :1], x[:, 0, 0, :1]), 1), lambda z: z * 9, classes=NAMES, name="corner"
    )
    monkeypatch.setattr(Network, "encode_pixels", lambda self, pixels: self.encode(pixels_in(pixels)))
    found = decide(network, conflicting, np.arange(8), ["centre", "ground"], QUICK, Silent())
    # Of eight images six disagree, and the corner is ground.
    assert (found.first, found.second, found.n) == ("centre", "ground", 6)
    assert (found.by_first.value, found.by_second.value, found.bias.value) == (0, 1, 0)
    assert (found.share("ground"), found.share("centre"), found.share("id")) == (found.by_second, found.by_first, None)
    assert "6 images whose centre and ground differ" in str(found)
    # Of latents at hand the images are not read again.
    monkeypatch.setattr(Network, "encode_pixels", None)
    z = network.encode(pixels_in(conflicting.images(np.arange(8), 32)))
    assert decide(network, conflicting, np.arange(8), ["centre", "ground"], QUICK, Silent(), z) == found


def pixels_in(pixels):
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_nothing_is_said_without_two_cues_or_their_classes(conflicting):
    named = Network(lambda x: x.flatten(1), lambda z: z[:, :2], classes=("a", "b"))
    drawing = Network(lambda x: x.flatten(1), None)
    for network, columns in ((named, ["centre", "ground"]), (drawing, ["centre", "ground"]), (named, ["centre", "id"])):
        if network is not drawing:
            network.encode(torch.zeros(2, 3, 4, 4))
        assert decide(network, conflicting, np.arange(8), columns, QUICK, Silent()) is None
