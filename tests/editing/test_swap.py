import numpy as np
import pytest
import torch

from iin_cli.editing.swap import swap, swap_factors
from iin_cli.errors import UsageError
from iin_cli.interpretation.opening import open_translator
from iin_cli.interpretation.reading import Inputs

ALL = ["digit", "color", "residual"]


def inputs(seed, count):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return Inputs(pixels, tuple(f"{seed}/{index}" for index in range(count)))


@pytest.mark.parametrize("names", [["digit"], ["color", "residual"], ALL])
def test_the_factors_change_hands_and_the_others_stay(files, names):
    opened = open_translator(files.of_images)
    target, source = (torch.randn(5, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    edited = opened.translator(swap_factors(opened, target, source, names))[0]
    for name in ALL:
        where = opened.factors.slice(name)
        owner = source if name in names else target
        torch.testing.assert_close(edited[:, where], opened.translator(owner)[0][:, where], atol=1e-4, rtol=1e-4)


def test_images_in_memory_are_swapped_and_nothing_is_written(opened):
    targets, sources = inputs(0, 2), inputs(1, 3)
    result = swap(opened, targets, sources, ["digit"])
    assert (result.count, result.out, result.changed, result.tables()) == (6, "", None, [])
    assert result.edits[4] == {"target": "0/1", "source": "1/1"}
    # The grid shows the targets, the sources and every edit, enlarged twice.
    assert result.plot().axes[0].images[0].get_array().shape[:2] > (3 * 64, 4 * 64)
    assert result.as_dict().keys() == {"out", "count", "factors", "seed", "translator", "edits", "changed"}


def test_predictions_are_a_table_and_no_picture(files):
    opened = open_translator(files.of_classes)
    result = swap(opened, inputs(0, 4), inputs(1, 4), ALL)
    ((_, rows),) = result.tables()
    assert set(rows[0]) == {"target", "source", "predicted_before", "predicted_source", "predicted_after"}
    with pytest.raises(UsageError, match="no picture"):
        result.plot()
