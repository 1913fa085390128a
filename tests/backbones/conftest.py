"""A machine without a network, and with an empty cache of weights."""

from urllib.error import URLError

import pytest
import torch


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The folder of torch hub's cache, still to be made; what is not there cannot be fetched."""

    def refuse(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return tmp_path / "torch" / "hub" / "checkpoints"
