"""Response analysis of networks whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from iin_cli.data.arrays import ArrayDataset
from iin_cli.errors import UsageError
from iin_cli.interpretation.data_choice import DataChoice
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import ChosenData, Reading
from iin_cli.measures.responses.measure import measure_responses
from iin_cli.measures.responses.walks import WalkDesign
from iin_cli.progress import Silent
from iin_cli.translator.edit import OUWalk


def read(translator, count):
    return ChosenData(open_translator(translator), DataChoice(seed=1), Silent()).read(count)


def test_a_network_that_reads_one_factor_responds_to_that_one(files, monkeypatch):
    reading = read(files.of_classes, 80)
    # As a fitted translator would give them: an untrained one's z̃ is far from N(0, 1), and walks go home from there.
    z_tilde = torch.randn(80, 8, generator=torch.Generator().manual_seed(0))
    reading = replace(reading, z_tilde=z_tilde)
    translator, where = reading.opened.translator, reading.opened.factors.slice("digit")

    def decode(z):
        read = translator(z)[0][:, where]
        return torch.cat((read, -read[:, :2]), 1) * 3

    monkeypatch.setattr(reading.network.backbone, "decode", decode)
    result = measure_responses(reading, WalkDesign(OUWalk(steps=12), seed=2))
    verdicts = {each.name: each.overall["flip_rate"].verdict for each in result.factors}
    assert verdicts == {"digit": "more than chance", "color": "less than chance", "residual": "less than chance"}
    digit, color = result.factors[:2]
    assert digit.overall["kl"].ratio.low > 1
    assert color.overall["flip_rate"].factor.value == 0
    assert color.overall["kl"].factor.value == pytest.approx(0, abs=1e-5)
    assert sum(each["flip_rate"].factor.items for each in digit.by_start_class.values()) == 80
    # The rate of all images is made of those of the classes they start as.
    parts = [each["flip_rate"].factor for each in digit.by_start_class.values()]
    assert sum(part.value * part.items for part in parts) / 80 == pytest.approx(digit.overall["flip_rate"].factor.value)


@pytest.mark.parametrize("kind", ["of_classes", "of_images"])
def test_latents_in_memory_are_measured_without_any_file(files, kind, tmp_path):
    opened = replace(open_translator(getattr(files, kind)), path=None)
    z = torch.randn(10, 8, generator=torch.Generator().manual_seed(0))
    data = ArrayDataset("mine", np.zeros((10, 32, 32, 3), np.uint8), {}, {"test": np.arange(10)})
    reading = Reading(opened, opened.network, data, np.arange(10), z, opened.transform(z))
    result = measure_responses(reading, WalkDesign(OUWalk("color", steps=4), controls=1))
    assert [each.name for each in result.factors] == ["color"]
    assert (result.out, result.translator, result.data, result.images) == ("", "the translator in memory", "mine", 10)
    assert result.plot().axes
    assert len(result.tables()) >= 3
    assert "control" in result._repr_html_()
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="no factor 'shape'"):
        measure_responses(reading, WalkDesign(OUWalk("shape")))


def test_an_encoder_alone_answers_nothing(files):
    reading = read(files.of_classes, 10)
    network = Network(lambda pixels: pixels.flatten(1)[:, :8])
    with pytest.raises(UsageError, match="without a head"):
        measure_responses(replace(reading, network=network), WalkDesign())
