"""A network of many layers, small enough to sweep."""

import pytest

from iin_cli.io import checkpoint
from iin_cli.registry import find


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A squeezenet for images of 32², the smallest of torchvision, in a checkpoint."""
    config = {"model": "squeezenet1_1", "classes": ["a", "b", "c"], "image_size": 32, "crop_size": 32}
    factory = find("backbones", "squeezenet1_1").factory
    full = factory.pretrained("squeezenet1_1", "none").config
    model = factory.from_config({**full, **config})
    path = tmp_path_factory.mktemp("network") / "net.safetensors"
    data = {"name": None, "root": None, "fingerprint": "0"}
    metadata = {"kind": "backbone", "name": "squeezenet1_1", "config": model.config, "data": data}
    checkpoint.save(path, model.state_dict(), metadata)
    return path
