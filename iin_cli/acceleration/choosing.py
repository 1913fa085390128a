"""Choose the precision in which a network's latents are computed, and remember what bfloat16 was measured to do."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..distributed import bfloat16_is_fast
from ..errors import IinError, UsageError, one_of
from ..io.atomic import write_text
from ..io.paths import cache_dir
from ..plugin_api import Backbone
from ..progress import Reporter
from .agreement import Agreement, measure_agreement
from .encoder import PRECISIONS, Precision, Wanted

__all__ = ["LEAST_PIXELS", "check_wanted", "choose_precision"]

FORMAT = 1
# Trying bfloat16 takes as long as encoding some 300 images. Below 32,768 images of 32², or 512 of 256², which take
# seconds in float32, the exact latents are to be preferred.
LEAST_PIXELS = 2**25


def check_wanted(wanted: str, device: torch.device) -> Wanted:
    """Return the precision that is wanted. UsageError for an unknown one, and where bfloat16 would only be slower."""
    known = one_of("--precision", wanted, PRECISIONS)
    if known == "bfloat16" and not bfloat16_is_fast(device):
        raise UsageError(
            f"--precision bfloat16: {device.type} here has no instructions for bfloat16 and would only be slower; "
            "use --precision float32, or leave it out"
        )
    return known


def choose_precision(
    backbone: Backbone,
    wanted: Wanted,
    images: Callable[[], Tensor],
    identity: Mapping[str, Any],
    pixels: int,
    device: torch.device,
    report: Reporter,
) -> Precision:
    """Return the precision of a network's latents, and tell `report` why where that is a choice.

    Args:
        wanted: `auto` takes bfloat16 where it is fast, there is much to encode, and the network's answers stay.
        images: makes some images (B, 3, S, S) in [-1, 1] on `device`; asked only where nothing is remembered of them.
        identity: JSON values that decide what is measured: network and data.
        pixels: of all images of the data.

    Raises UsageError where bfloat16 is wanted, and the network fails in it.
    """
    if wanted == "float32":
        return "float32"
    if wanted == "auto" and (pixels < LEAST_PIXELS or not bfloat16_is_fast(device)):
        return "float32"
    found = _agreement(backbone, images, identity)
    if wanted == "auto":
        chosen: Precision = "bfloat16" if found.holds else "float32"
        report.note(f"latents of {backbone.name} in {chosen}: {found}")
        return chosen
    if found.failure is not None:
        raise UsageError(f"--precision bfloat16: {backbone.name} cannot be used so, {found}; use --precision float32")
    (report.note if found.holds else report.warn)(f"latents of {backbone.name} in bfloat16, as asked: {found}")
    return "bfloat16"


def _agreement(backbone: Backbone, images: Callable[[], Tensor], identity: Mapping[str, Any]) -> Agreement:
    """Return what was measured before of the same network and data, or measure it."""
    facts = {"format": FORMAT, "torch": str(torch.__version__), **identity}
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    file = cache_dir() / "precision" / f"{key}.json"
    known = _remembered(file)
    if known is None:
        known = measure_agreement(backbone, images())
        # Without a cache it is measured again.
        with contextlib.suppress(OSError, IinError):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, json.dumps(asdict(known)))
    return known


def _remembered(file: Path) -> Agreement | None:
    try:
        return Agreement(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
