"""`fit-translator --backbone NETWORK --concept roundness` and nothing else: weights and data are found."""

import pytest
import torch
from iin_cli.backbones.pretrained_weights import cached_file
from iin_cli.commands.make.fit_translator import fit_translator
from iin_cli.distributed import seeded
from iin_cli.interpretation.network_choice import NetworkChoice
from iin_cli.interpretation.opening import open_translator
from iin_cli.plan import Wishes
from iin_cli.training.runs import RunChoice
from torchvision.models import ResNet18_Weights, resnet18


@pytest.fixture
def at_home(small, pictures, tmp_path, monkeypatch):
    """Weights in torch's cache and animal faces under the data root, as a user would place them; few and small."""
    file = cached_file(ResNet18_Weights.DEFAULT)
    file.parent.mkdir(parents=True)
    with seeded(7):
        torch.save(resnet18().state_dict(), file)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "animalfaces").symlink_to(pictures)
    monkeypatch.setenv("IIN_DATA_ROOT", str(tmp_path / "data"))
    # Two dozen pictures are enough for two steps.
    monkeypatch.setattr("iin_cli.interpretation.grouping.MOST_NEEDED", 8)
    return file


@pytest.mark.slow
def test_the_headline_needs_nothing_but_a_weights_file(at_home, tmp_path, say):
    wishes = Wishes(steps=2, blocks=2, hidden=8, depth=1)
    run = RunChoice(tmp_path / "run", seed=0, device="cpu")
    result = fit_translator(NetworkChoice("resnet18"), ["roundness"], wishes=wishes, run=run, report=say)
    assert list(result.factors) == ["roundness", "residual"]
    assert sum(result.factors.values()) == 512
    # f stays f, cut in two and with a translator between.
    assert result.decode_error == 0
    assert result.no_op_agreement == 1
    assert any(note.startswith("data: animalfaces, since --data names none") for note in say.notes)
    assert not any("stylizer" in said for said in say.notes + say.warnings)
    assert any("66 latents, fewer than 10·N = 5120" in warning for warning in say.warnings)
    opened = open_translator(tmp_path / "run")
    assert opened.metadata["backbone"]["name"] == "resnet18"
    assert opened.metadata["backbone"]["weights"] == "default"
    assert torch.equal(opened.network.backbone.network.fc.weight, torch.load(at_home, weights_only=True)["fc.weight"])
    assert {factor["name"]: factor["relation"] for factor in opened.metadata["factors"]}["roundness"] == "differ"
