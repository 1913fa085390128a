"""Everything that a GPU is for, in one table and some minutes: fit, T⁻¹, encode, sample, features of FID.

Weights are random, since only speed is measured. "of the limit" is the arithmetic done, in FLOP/s, as a fraction of
what one large product of matrices reaches in the precision named. With --quick a CPU runs it in two minutes.

    uv run python benchmarks/gpu.py [--device cuda] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from stages import machine

import iin_cli as iin
from iin_cli.backbones.autoencoder import Autoencoder
from iin_cli.distributed import choose_device
from iin_cli.editing.priors import TranslatorPrior, generate
from iin_cli.interpretation.open_translator import OpenTranslator
from iin_cli.interpretation.opening import open_network
from iin_cli.metrics import inception
from iin_cli.plugin_api import DataFacts
from iin_cli.translator.factors import Factors
from iin_cli.translator.flow import Translator

CLASSES = 10
# A product of matrices of this side shows what a device can do; a CPU needs less of it.
LIMIT_SIDE = {"cuda": 8192, "cpu": 2048}


@dataclass(frozen=True)
class Row:
    """One measurement: rows or images a second, the arithmetic as a fraction of the limit, and peak memory in GiB."""

    what: str
    rate: float
    unit: str
    precision: str
    of_limit: float | None
    peak: float | None


def seconds_of(work: Callable[[], object], device: torch.device, repeats: int = 1) -> float:
    """Return the seconds that `work` takes, the best of `repeats` after one more that warms up."""
    work()
    best = float("inf")
    for _ in range(repeats):
        synchronize(device)
        started = time.perf_counter()
        work()
        synchronize(device)
        best = min(best, time.perf_counter() - started)
    return best


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None


def limits(device: torch.device) -> dict[str, float]:
    """FLOP/s of a large product in bfloat16 and float32 (TF32 where torch uses it)."""
    side, found = LIMIT_SIDE.get(device.type, 2048), {}
    for name, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        found[name] = 2 * side**3 / seconds_of(lambda a=a, b=b: a @ b, device, 5)
    return found


def fit(
    device: torch.device,
    limit: dict[str, float],
    size: tuple[int, int, int],
    rows: int,
    steps: int,
    *,
    is_compiled: bool = False,
) -> Row:
    """Fit T of (N, blocks, H) to latents of ten classes; speed is of the steps alone, compilation included."""
    dim, blocks, hidden = size
    generator = np.random.default_rng(0)
    label = generator.integers(0, CLASSES, rows)
    z = generator.normal(size=(rows, dim)) + 2 * generator.normal(size=(CLASSES, dim))[label]
    pairs = iin.Pairs(z.astype(np.float32)).share("class", label)
    wanted = {"method": "flow", "blocks": blocks, "hidden": hidden, "steps": steps, "seed": 0, "device": str(device)}
    t = iin.fit(pairs, compile=is_compiled, **wanted)
    speed = t.metadata["training"]["rows_per_second"]
    count = sum(weight.numel() for weight in t.translator.parameters())
    precision = "bfloat16" if t.plan["autocast"] else "float32"
    done = 6 * count * speed / limit[precision]
    how = ", compiled" if is_compiled else ""
    return Row(
        f"fit, N = {dim}, {blocks} × {hidden} ({count / 1e6:.0f} M){how}",
        speed,
        "rows/s",
        precision,
        done,
        peak(device),
    )


def inverse(device: torch.device, limit: dict[str, float], size: tuple[int, int, int], rows: int) -> Row:
    """Undo T for rows that lie on the device."""
    dim, blocks, hidden = size
    translator = Translator(dim, blocks=blocks, hidden=hidden, depth=2, seed=0).to(device).eval()
    z_tilde = torch.randn(rows, dim, device=device)
    count = sum(weight.numel() for weight in translator.parameters())
    with torch.inference_mode():
        speed = rows / seconds_of(lambda: translator.inverse(z_tilde), device, 5)
    done = 2 * count * speed / limit["float32"]
    return Row(f"T⁻¹ of {rows:,} rows, N = {dim}, {blocks} × {hidden}", speed, "rows/s", "float32", done, peak(device))


def encode(device: torch.device, limit: dict[str, float], images: int) -> Row:
    """Encode pictures of 224² by a ResNet-50; 8.2 GFLOP an image."""
    network = open_network("resnet50", device, "none")
    pixels = np.random.default_rng(0).integers(0, 256, (images, 224, 224, 3), np.uint8)
    speed = images / seconds_of(lambda: network.encode_pixels(pixels), device)
    return Row("encode, ResNet-50, 224²", speed, "images/s", "float32", 8.2e9 * speed / limit["float32"], peak(device))


def sample(device: torch.device, images: int) -> Row:
    """Draw images of 32² by T⁻¹ and an autoencoder."""
    facts = DataFacts(image_size=32, classes=None, train_items=1000)
    backbone = Autoencoder.for_training(None, facts, 64).to(device).eval()
    translator = Translator(64, blocks=12, hidden=512, depth=2, seed=0).to(device).eval()
    opened = OpenTranslator(None, translator, Factors.of({"residual": 64}), {}, None, device)
    prior = TranslatorPrior(opened)
    work = lambda: [None for _ in generate(backbone, prior, range(images), device)]  # noqa: E731
    return Row("sample, N = 64, 32²", images / seconds_of(work, device), "images/s", "float32", None, peak(device))


def features(device: torch.device, limit: dict[str, float], images: int, work: Path) -> Row:
    """Compute the features of FID, by Inception-v3 of random weights; 11.4 GFLOP an image."""
    file = work / "inception-random.safetensors"
    generator = torch.Generator().manual_seed(0)
    shapes = inception._skeleton().state_dict()
    save_file({name: 0.02 * torch.randn(each.shape, generator=generator).abs() for name, each in shapes.items()}, file)
    found = inception.InceptionFeatures(file, device)
    pictures = list(np.random.default_rng(0).integers(0, 256, (images, 64, 64, 3), np.uint8))
    at_once = 64 if device.type == "cuda" else 16
    run = lambda: [found(pictures[start : start + at_once]) for start in range(0, images, at_once)]  # noqa: E731
    speed = images / seconds_of(run, device)
    return Row("fid, Inception-v3, 299²", speed, "images/s", "float32", 11.4e9 * speed / limit["float32"], peak(device))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, and no translator of 302 M weights")
    parser.add_argument("--work", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    device, share, began = choose_device(given.device), 10 if given.quick else 1, time.monotonic()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    limit = limits(device)
    # A CPU encodes pieces of 64, filled up where there are fewer.
    images = 64 if device.type == "cpu" else 2000 // share
    small, wide = (64, 12, 512), (2048, 6, 2048 // (8 if given.quick else 1))
    work = (
        lambda: fit(device, limit, small, 100_000 // share, 1000 // share),
        lambda: inverse(device, limit, small, 10_000 // share),
        lambda: inverse(device, limit, wide, 10_000 // share),
        lambda: encode(device, limit, images),
        lambda: sample(device, 20_000 // share),
        lambda: features(device, limit, images, given.work),
        # The longest ones last.
        lambda: fit(device, limit, wide, 40_000 // share, 500 // share),
        lambda: fit(device, limit, small, 100_000 // share, 1000 // share, is_compiled=True),
    )
    rows = []
    for measure in work:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        rows.append(measure())
        print(f"{rows[-1].what}: {rows[-1].rate:,.0f} {rows[-1].unit}", file=sys.stderr, flush=True)
    shown = ", ".join(f"{kind} {value / 1e12:.2f}" for kind, value in limit.items())
    print(f"\n{name}; one large product of matrices, TFLOP/s: {shown}\n")
    print("| what | speed | precision | of the limit | peak memory, GiB |\n|---|--:|---|--:|--:|")
    for row in rows:
        part = f"{row.of_limit:.0%}" if row.of_limit is not None else ""
        memory = f"{row.peak:.1f}" if row.peak is not None else ""
        print(f"| {row.what} | {row.rate:,.0f} {row.unit} | {row.precision} | {part} | {memory} |")
    print(f"\n{machine(time.monotonic() - began)}")
    if given.json is not None:
        given.json.write_text(json.dumps({"device": name, "limits": limit, "rows": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()
