"""The faster copy of a network that encodes: made once, whoever encodes first."""

from concurrent.futures import ThreadPoolExecutor

import torch

from iin_cli.acceleration import encoder as acceleration
from iin_cli.acceleration.encoder import Encoder
from iin_cli.backbones.classifier import Classifier


def test_several_threads_that_begin_at_once_fold_once(monkeypatch):
    folded, usual = [], acceleration.folded_copy
    monkeypatch.setattr(acceleration, "folded_copy", lambda *given: folded.append(True) or usual(*given))
    network = Classifier(image_size=32, latent_dim=8, classes=list("ab"), base_channels=4).eval()
    parts = torch.rand(12, 4, 3, 32, 32)
    alone = Encoder(network)
    with torch.inference_mode():
        wanted = [alone.encode(part) for part in parts]
    together = Encoder(network)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(torch.inference_mode()(together.encode), parts))
    assert len(folded) == 2
    assert all(map(torch.equal, wanted, found))
