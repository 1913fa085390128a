"""An audit of what lies in memory: nothing is read from a file, cached or written."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from iin_cli.errors import UsageError
from iin_cli.interpretation.memory import MemoryDataset
from iin_cli.interpretation.network import Network
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import read_items
from iin_cli.measures.audit.auditing import audit
from iin_cli.metrics.bootstrap import Resampling
from iin_cli.progress import Silent
from iin_cli.translator.factors import Factors

COUNT = 60


def in_memory(**labels):
    return MemoryDataset(torch.randn(COUNT, 3, 8, 8, generator=torch.Generator().manual_seed(0)), labels)


@pytest.fixture
def reading(files, monkeypatch, tmp_path):
    monkeypatch.setenv("IIN_CACHE", str(tmp_path / "cache"))
    dims, relations = {"digit": 3, "greyscale": 2, "residual": 3}, {"greyscale": "differ"}
    network = Network(lambda x: x.flatten(1)[:, :8], lambda z: z[:, :3], classes=("a", "b", "c"))
    factors = Factors.of(dims, relations=relations)
    opened = replace(open_translator(files.of_latents), path=None, factors=factors, network=network)
    return read_items(opened, in_memory(digit=np.arange(COUNT) % 3), np.arange(COUNT), Silent())


def test_labels_are_audited_and_a_rendering_that_is_not_there_has_a_reason(reading, tmp_path):
    found, saved = audit(reading, resampling=Resampling(20, 5, seed=1)), []
    assert {"correlation.digit.greyscale", "information.digit", "heldout_nll.digit", "no_op_agreement"} <= set(
        found.figures
    )
    assert "no second rendering" in found.skipped["correlation.greyscale"]
    assert "no second rendering" in found.skipped["information.greyscale"]
    assert (found.out, found.translator) == ("", reading.opened.called)
    assert (found.n, found.seed, found.complete) == (COUNT, 1, True)
    assert not (tmp_path / "cache").exists()
    assert len(found.plot().axes) == 2
    assert "information of the factor" in found._repr_html_()
    audit(reading, 30, resampling=Resampling(20, 5), save=saved.append)
    assert [each.complete for each in saved] == [False] * 5 + [True]
    assert saved[-1].n == 30


def test_probes_learn_from_training_items_a_label_of_more_values_than_the_audited_could_teach(reading):
    # 60 items, 10 values: six of each are too few, and 240 training items are enough.
    count, values = 300, np.arange(300) % 10
    images = torch.nn.functional.one_hot(torch.as_tensor(values), 192).float().reshape(count, 3, 8, 8)
    dataset = MemoryDataset(images[:, :, :, :], {"digit": values})
    shown, rest = np.arange(COUNT), np.arange(COUNT, count)
    network = Network(lambda x: x.flatten(1)[:, 1:9], lambda z: z[:, :3], classes=("a", "b", "c"))
    opened = replace(reading.opened, network=network)
    pool, training = (read_items(opened, dataset, items, Silent()) for items in (shown, rest))
    alone = audit(pool, resampling=Resampling(20, 5))
    assert "10 values, too many to be learned from 60 items" in alone.skipped["information.digit"]
    assert alone.training == 0
    found = audit(pool, training=training, resampling=Resampling(20, 5))
    assert found.training == count - COUNT
    assert found.figures["informativeness.digit"].interval.value > 0.7
    assert found.figures["informativeness.digit"].interval.items == COUNT
    assert found.verdicts[0].factor == "digit"
    assert found.as_dict()["verdicts"][0]["read"] in ("yes", "no", "unclear")
    # What is audited teaches nothing.
    everything = read_items(opened, dataset, np.arange(count), Silent())
    assert audit(pool, training=everything, resampling=Resampling(20, 5)).training == count - COUNT
    assert audit(pool, training=pool, resampling=Resampling(20, 5)).training == 0


def test_pairs_are_of_the_latents_that_were_given(reading):
    moved = replace(reading, z=reading.z + 1, z_tilde=reading.opened.transform(reading.z + 1))
    first, second = (
        audit(each, resampling=Resampling(20, 5)).figures["heldout_nll.digit"] for each in (reading, moved)
    )
    assert first != second


def test_without_labels_there_is_no_picture(reading):
    bare = replace(reading, dataset=in_memory())
    found = audit(bare, resampling=Resampling(20, 5))
    assert "digit" in found.skipped["correlation.digit"]
    assert {"round_trip_error", "gaussianity.digit"} <= set(found.figures)
    with pytest.raises(UsageError, match="no matrix"):
        found.plot()


def test_the_posteriors_are_sampled_where_they_are_known(reading):
    wide = replace(reading, std=torch.ones_like(reading.z))
    first, second = (
        audit(each, resampling=Resampling(20, 5)).figures["heldout_nll.digit"].interval.value
        for each in (reading, wide)
    )
    assert second > first
