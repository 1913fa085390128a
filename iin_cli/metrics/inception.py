"""Features of pytorch-fid's Inception network, from the official weights or from `--weights`.

With the official weights the Fréchet distance of these features is the FID; with any others it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import CheckpointError, DataError
from ..io import checkpoint
from ..io.weights import read_weights
from ..progress import Reporter, Silent

__all__ = ["OFFICIAL_SHA256", "InceptionFeatures", "official_weights_path"]

# As published in many projects that pin the file; its first eight digits are part of its official name.
OFFICIAL_URL = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
)
OFFICIAL_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SIDE = 299


class InceptionFeatures:
    """A callable from images to their 2048 features; the network is read, or fetched, when first used.

    Attributes:
        name: the network's name in results.
        weights_sha256: digest of the weights file.
        resize: name of the method that resizes images to 299 × 299.

    Raises DataError when the official weights are missing and cannot be fetched, and CheckpointError when a weights
    file is missing or does not fit the network.
    """

    name = "inception"
    resize = "bilinear-299"

    def __init__(self, weights: Path | None, device: torch.device, reporter: Reporter | None = None) -> None:
        self._weights, self._device, self._reporter = weights, device, reporter or Silent()
        self.weights_sha256 = OFFICIAL_SHA256 if weights is None else _digest(weights)

    @cached_property
    def network(self) -> nn.Module:
        """The network in evaluation mode, on its device."""
        file = self._weights or _official_weights(self._reporter)
        net = _fill(_skeleton(), read_weights(file), file)
        stages = _feature_stages(net).eval().requires_grad_(False)
        # A third faster on a CPU. Batch norms stay: folding them gains 2 % more, and rounds the distance otherwise by
        # 1e-6 of its size.
        return stages.to(self._device).to(memory_format=torch.channels_last)

    def __call__(self, images: Sequence[np.ndarray]) -> Tensor:
        """Return features (B, 2048) of `images`, B arrays uint8 (H, W, 3), each of its own size."""
        network = self.network
        with torch.inference_mode():
            # pytorch-fid's scaling from [0, 1] to [-1, 1].
            inputs = (2 * self._prepare(images) - 1).contiguous(memory_format=torch.channels_last)
            return network(inputs).flatten(1)

    def _prepare(self, images: Sequence[np.ndarray]) -> Tensor:
        # Each image is resized to 299 on its own, so sizes may differ, and the network runs on the batch of them.
        together = len({image.shape for image in images}) == 1
        stacks = [np.stack(images)] if together else [np.stack([image]) for image in images]
        return torch.cat([self._resized(stack) for stack in stacks])

    def _resized(self, stack: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(stack).to(self._device).permute(0, 3, 1, 2).contiguous().float() / 255
        return functional.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def official_weights_path() -> Path:
    """Return the path at which pytorch-fid, and so this program, keeps the official weights."""
    return Path(torch.hub.get_dir()).expanduser() / "checkpoints" / OFFICIAL_URL.rsplit("/", 1)[-1]


def _official_weights(reporter: Reporter) -> Path:
    path = official_weights_path()
    if not path.is_file():
        _fetch(OFFICIAL_URL, path, reporter)
    found = _digest(path)
    if found != OFFICIAL_SHA256:
        raise CheckpointError(
            f"{path} is damaged (sha256 {found[:12]}…, expected {OFFICIAL_SHA256[:12]}…): "
            "remove it to have it fetched again, or pass --weights FILE"
        )
    return path


def _fetch(url: str, path: Path, reporter: Reporter) -> None:
    reporter.note(f"fetching the Inception weights (91 MiB) from {url}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # torch.hub writes to a temporary file, checks the digest, then renames.
        torch.hub.download_url_to_file(url, str(path), hash_prefix=OFFICIAL_SHA256, progress=False)
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"the Inception weights are missing and cannot be fetched ({reason}): "
            f"put {path.name} into {path.parent}, or pass --weights FILE (source: {url})"
        ) from error


def _skeleton() -> nn.Module:
    """Build pytorch-fid's variant of Inception without allocating its parameters."""
    # Both import torchvision, which takes seconds, and cached statistics need neither.
    from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
    from torchvision.models import inception_v3

    # pytorch-fid's own constructor fetches its weights unchecked, so its parts are put together here.
    with torch.device("meta"):
        net = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
        net.Mixed_5b = FIDInceptionA(192, pool_features=32)
        net.Mixed_5c = FIDInceptionA(256, pool_features=64)
        net.Mixed_5d = FIDInceptionA(288, pool_features=64)
        net.Mixed_6b = FIDInceptionC(768, channels_7x7=128)
        net.Mixed_6c = FIDInceptionC(768, channels_7x7=160)
        net.Mixed_6d = FIDInceptionC(768, channels_7x7=160)
        net.Mixed_6e = FIDInceptionC(768, channels_7x7=192)
        net.Mixed_7b = FIDInceptionE_1(1280)
        net.Mixed_7c = FIDInceptionE_2(2048)
    return net


def _feature_stages(net: nn.Module) -> nn.Sequential:
    """Return the stages from the image (B, 3, 299, 299) to the last average pooling (B, 2048, 1, 1)."""
    mixed = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
    stage = net.get_submodule
    return nn.Sequential(
        *(stage("Conv2d_1a_3x3"), stage("Conv2d_2a_3x3"), stage("Conv2d_2b_3x3"), nn.MaxPool2d(3, stride=2)),
        *(stage("Conv2d_3b_1x1"), stage("Conv2d_4a_3x3"), nn.MaxPool2d(3, stride=2)),
        *(stage(f"Mixed_{name}") for name in mixed),
        nn.AdaptiveAvgPool2d((1, 1)),
    )


def _fill(net: nn.Module, state: dict[str, Tensor], source: Path) -> nn.Module:
    try:
        net.load_state_dict(state, assign=True)
    except (RuntimeError, AttributeError, TypeError) as error:
        # torch lists every key; the first lines say enough.
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(f"{source} does not hold the weights of pytorch-fid's Inception: {reason}") from error
    return net.float()


def _digest(path: Path) -> str:
    try:
        return checkpoint.digest(path)
    except OSError as error:
        raise CheckpointError(f"cannot read the weights {path}: {error.strerror}") from error
