import io

import numpy as np
import pytest
from PIL import Image

from iin_cli.figures.pictures import picture


@pytest.mark.parametrize("options", [{}, {"bbox_inches": "tight", "pad_inches": 0}])
def test_a_picture_is_shown_pixel_by_pixel(options):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 120, 3), dtype=np.uint8)
    saved = io.BytesIO()
    picture(pixels).savefig(saved, format="png", **options)
    assert (np.asarray(Image.open(saved).convert("RGB")) == pixels).all()
