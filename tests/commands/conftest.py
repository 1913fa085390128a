"""What a command opens."""

import pytest

from iin_cli.interpretation import data_choice, opening
from iin_cli.io import checkpoint


@pytest.fixture
def opens(cache, monkeypatch):
    """Names of all checkpoints and datasets that are opened."""
    seen, load, open_dataset = [], checkpoint.load, data_choice.open_dataset

    def loading(path, *rest):
        seen.append(path.name)
        return load(path, *rest)

    def opening_data(name, *rest):
        seen.append(name)
        return open_dataset(name, *rest)

    monkeypatch.setattr(opening.checkpoint, "load", loading)
    monkeypatch.setattr(data_choice, "open_dataset", opening_data)
    return seen
