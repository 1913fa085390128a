"""Items as a translator sees them."""

import numpy as np
import pytest
import torch

from iin_cli.errors import UsageError
from iin_cli.progress import Silent


def read(translator, **given):
    return open_reading(translator, data=None, data_root=None, report=given.pop("report", Silent()), **given)


def test_latents_and_images_of_the_recorded_data(files):
    reading = read(files.of_images, n=60, seed=1)
    assert len(reading) == len(reading.items) == 60
    assert set(reading.items) <= set(reading.dataset.splits["test"])
    assert reading.images.shape == (60, 32, 32, 3)
    assert torch.equal(reading.z_tilde, reading.opened.transform(reading.z))
    assert torch.allclose(reading.opened.inverse_transform(reading.z_tilde), reading.z, atol=1e-5)
    walks = reading.z_tilde[:6].view(2, 3, -1)
    assert torch.equal(
        reading.opened.inverse_transform(walks), reading.opened.inverse_transform(reading.z_tilde[:6]).view(2, 3, -1)
    )


def test_all_items_where_there_are_fewer_than_asked(files):
    assert len(read(files.of_images, n=10**6)) == len(read(files.of_images).dataset.splits["test"])
    assert np.array_equal(read(files.of_images, n=5, seed=1).items, read(files.of_images, n=9, seed=1).items[:5])


def test_few_items_are_told(heard, files):
    read(files.of_images, n=49, report=heard)
    assert heard.warnings == ["49 images of digits in test: intervals from so few are rough"]
    read(files.of_images, n=50, report=heard)
    assert len(heard.warnings) == 1


def test_it_needs_a_backbone(files):
    with pytest.raises(UsageError, match="without a backbone"):
        read(files.of_latents)
