"""Whole sources are held out, the same ones every time."""

import numpy as np

from iin_cli.latents.splitting import held_out_mask


def test_held_out_sources():
    sources = np.repeat(np.arange(300), 3)
    mask = held_out_mask(sources)
    assert mask.sum() == 90
    np.testing.assert_array_equal(mask, held_out_mask(sources))
    assert not set(sources[mask]) & set(sources[~mask])
    assert held_out_mask(np.arange(40_000)).sum() == 2000
    assert held_out_mask(np.arange(2)).sum() == 1
