"""Images as users hold them: every kind gives the same pictures, and what is no image is named."""

import numpy as np
import pytest
import torch
from PIL import Image

from iin_cli.errors import DataError
from iin_cli.interpretation.memory import MemoryDataset
from iin_cli.interpretation.pictures import batches_of, pictures_at

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), np.uint8)


@pytest.mark.parametrize(
    "given",
    [
        PIXELS,
        torch.from_numpy(PIXELS).permute(0, 3, 1, 2),
        list(PIXELS),
        [Image.fromarray(each) for each in PIXELS],
        [(Image.fromarray(each), 3) for each in PIXELS],
    ],
)
def test_every_kind_gives_the_same_pictures(given):
    batches = list(batches_of(given, 2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(np.stack([each for batch in batches for each in batch.pictures]), PIXELS)
    found, levels = pictures_at(given, np.array([4, 1]))
    np.testing.assert_array_equal(np.stack(found), PIXELS[[4, 1]])
    assert levels is None


def test_grey_pictures_have_three_equal_channels():
    (batch,) = batches_of(PIXELS[..., 0], 5)
    np.testing.assert_array_equal(batch.pictures[0], np.repeat(PIXELS[0, :, :, :1], 3, axis=2))


def test_floats_are_what_the_network_takes_and_are_stretched_to_be_seen():
    values = torch.linspace(-2, 2, 5 * 3 * 4 * 4).view(5, 3, 4, 4)
    (batch,) = batches_of(values, 8)
    assert batch.inputs is not None
    assert torch.equal(batch.inputs, values)
    found, levels = pictures_at(values, np.array([0, 4]))
    assert levels == (-2.0, 2.0)
    assert found[0].min() == 0
    assert found[1].max() == 255
    # One range for all images, whichever are looked at.
    np.testing.assert_array_equal(pictures_at(values, np.array([4]), levels)[0][0], found[1])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "not empty"),
        (3, "got int"),
        (np.zeros((2, 4, 4, 3), np.int32), "images are int32"),
        (torch.tensor([[1.0], [float("nan")]]), "image 1 has values that are not finite"),
        (np.zeros((2, 4, 4, 5), np.uint8), "image 0 has shape"),
        (["photo.png"], "image 0 is str"),
        ([torch.zeros(3, 4, 4), torch.zeros(3, 5, 5)], "differ in shape"),
    ],
)
def test_what_is_no_image_is_named(given, says):
    with pytest.raises(DataError, match=says):
        list(batches_of(given, 4))


def test_a_vector_is_shown_as_a_row_and_a_volume_is_not():
    assert pictures_at(torch.zeros(3, 4), np.array([0]))[0][0].shape == (1, 4, 3)
    with pytest.raises(DataError, match="nothing can be drawn"):
        pictures_at(torch.zeros(3, 4, 4, 4, 4), np.array([0]))


def test_a_dataset_in_memory():
    data = MemoryDataset(
        PIXELS, {"kind": list("abaab"), "size": [0.5, 1, 2, 3, 4], "number": torch.tensor([3, 3, 1, 1, 2])}
    )
    assert data.labels["kind"].names == ("a", "b")
    assert data.labels["kind"].values.tolist() == [0, 1, 0, 0, 1]
    assert data.labels["size"].continuous
    assert data.labels["number"].names == ("1", "2", "3")
    assert data.images(np.array([2, 0]), 4).shape == (2, 4, 4, 3)
    assert data.path(3) == "image 3"
    assert data.column("KIND") == "kind"
    with pytest.raises(DataError, match=r"labels 'kind' have shape \(2,\), and there are 5 images"):
        MemoryDataset(PIXELS, {"kind": [1, 2]})
    with pytest.raises(DataError, match="label 'size' of image 1 is not finite"):
        MemoryDataset(PIXELS, {"size": [1.0, float("inf"), 2, 3, 4]})
