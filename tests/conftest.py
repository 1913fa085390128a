"""Small untrained networks in files, as every command takes them, and the command line in this process."""

import signal
import sys
from types import SimpleNamespace

import pytest
import torch

from iin_cli.io import checkpoint
from iin_cli.registry import find
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator

DIMS = {"digit": 3, "color": 2, "residual": 3}


def seeded(build, seed=0):
    """Build a module whose random weights depend on `seed` only, with latents and outputs of ordinary size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def save_backbone(path, name, **config):
    model = seeded(lambda: find("backbones", name).factory.from_config({"image_size": 32, "base_channels": 4, **config}))
    with torch.no_grad():
        # Untrained convolutions shrink images to a grey that no edit changes.
        for parameter in model.parameters():
            parameter.mul_(2.0)
    data = {"name": "digits", "root": None, "fingerprint": "0"}
    metadata = {"kind": "backbone", "name": name, "config": model.config, "data": data}
    checkpoint.save(path, model.state_dict(), metadata)
    return path


def save_translator(path, backbone, dims=DIMS):
    translator = Translator(sum(dims.values()), blocks=2, hidden=16, depth=1, seed=3)
    provenance = None
    if backbone is not None:
        name = checkpoint.describe(backbone)["name"]
        provenance = {"name": name, "source": str(backbone.resolve()), "sha256": checkpoint.digest(backbone)}
    metadata = {
        "kind": "translator",
        "name": "translator",
        "config": translator.config,
        "factors": Factors.of(dims).as_json(),
        "backbone": provenance,
        "data": {"name": "digits", "root": None, "fingerprint": "0"},
    }
    checkpoint.save(path, translator.state_dict(), metadata)
    return path


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """`autoencoder`, `classifier`, and a translator of each: `of_images`, `of_classes`, and `of_latents` of none."""
    folder = tmp_path_factory.mktemp("checkpoints")
    autoencoder = save_backbone(folder / "ae.safetensors", "autoencoder", latent_dim=8)
    classifier = save_backbone(folder / "clf.safetensors", "classifier", latent_dim=8, classes=list("abcde"))
    return SimpleNamespace(
        autoencoder=autoencoder,
        classifier=classifier,
        of_images=save_translator(folder / "t-ae.safetensors", autoencoder),
        of_classes=save_translator(folder / "t-clf.safetensors", classifier),
        of_latents=save_translator(folder / "t.safetensors", None),
    )


@pytest.fixture
def command_line(monkeypatch, capsys, tmp_path):
    """Run `iin` in this process, in an empty folder with empty caches; returns exit code, stdout and stderr."""
    from iin_cli.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    # `main` installs a handler, which must not outlive the test.
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["iin", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code, *capsys.readouterr()

    yield run
    signal.signal(signal.SIGTERM, handler)
