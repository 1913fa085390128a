"""What is small stays as it is; of what is large the channels stay."""

import pytest

from iin_cli.cutting.feature_maps import FLAT_LIMIT, averaged_axes


@pytest.mark.parametrize(
    "shape", [(FLAT_LIMIT,), (100 * FLAT_LIMIT,), (FLAT_LIMIT // 64, 8, 8), (FLAT_LIMIT // 64, 64), (1, 1, 1)]
)
def test_rows_and_small_maps_are_not_averaged(shape):
    assert averaged_axes(shape) == ()


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((FLAT_LIMIT // 64 + 1, 8, 8), (2, 3)),
        ((8, 8, 70), (1, 2)),
        ((65, 64), (1,)),
        ((4, 16, 70), (1, 2)),
        ((70, 16, 4), (1, 2)),
        ((3, 4, 5, 100), (1, 2, 3)),
    ],
)
def test_of_large_maps_the_channels_stay(shape, axes):
    assert averaged_axes(shape) == axes
