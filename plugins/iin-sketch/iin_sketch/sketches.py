"""Read and check sketches, find the shipped pair, and cut crops to train on.

Only a sketch's lightness counts: the strokes belong to the concept, the colours to the images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from iin_cli.data.folder import open_folder, read_image
from iin_cli.errors import DataError, UsageError
from PIL import Image
from torch import Tensor

from .networks import canonical
from .strokes import family

__all__ = [
    "StyleBank",
    "as_style",
    "check_pair",
    "digest_of",
    "read_sketch",
    "read_styles",
    "resized",
    "shipped_pair",
    "sketch_bank",
]

# Deviation of a sketch and mean difference of two, in grey levels of 255, below which there is nothing to learn from.
BLANK_DEVIATION = 2.0
SMALLEST_DIFFERENCE = 1.0
FAMILY_SIZE = 16
FAMILY_SEED = 2
# Files are always read at this side, so that checks do not depend on the run.
READING_SIDE = 256
# A crop of a lower deviation is drawn again, 8 tries at most: bare ground shows no strokes.
BARE_DEVIATION, CROP_TRIES = 20.0, 8
MOST_STYLES = 1000


def shipped_pair() -> tuple[Path, Path]:
    """Return the files of the two sketches of the concept `roundness`: round, angular."""
    folder = Path(str(files("iin_sketch"))) / "drawings"
    return folder / "round.png", folder / "angular.png"


def read_sketch(path: Path) -> np.ndarray:
    """Read the centre square of an image file as lightness, uint8 (256, 256).

    Raises DataError for a file that is missing, cannot be read, or is blank.
    """
    if not path.is_file():
        raise DataError(f"no such sketch: {path}")
    sketch = np.asarray(Image.fromarray(read_image(path, READING_SIDE)).convert("L"))
    deviation = float(sketch.std())
    if deviation < BLANK_DEVIATION:
        raise DataError(
            f"sketch {path} is blank: its lightness has a deviation of {deviation:.2f} of 255 grey levels, and "
            f"{BLANK_DEVIATION:g} are needed; give a file with a drawing"
        )
    return sketch


def check_pair(first: Path, second: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read two sketches uint8 (256, 256); errors as `read_sketch`, and DataError if they do not differ."""
    one, other = read_sketch(first), read_sketch(second)
    difference = float(np.abs(one.astype(np.float64) - other).mean())
    if difference < SMALLEST_DIFFERENCE:
        raise DataError(
            f"sketches {first} and {second} are the same: they differ by {difference:.2f} of 255 grey levels on "
            f"average, and {SMALLEST_DIFFERENCE:g} are needed; give two drawings of different strokes"
        )
    return one, other


def digest_of(sketches: Sequence[np.ndarray]) -> str:
    """Return the sha256 of sketches of one size, in hex."""
    return hashlib.sha256(np.stack(sketches).tobytes()).hexdigest()


@dataclass(frozen=True)
class StyleBank:
    """Drawings uint8 (K, H, H) to cut training crops from, the k-th with probability `weights[k]` (K,)."""

    drawings: np.ndarray
    weights: np.ndarray

    @property
    def sha256(self) -> str:
        """Digest of drawings and probabilities, in hex."""
        return hashlib.sha256(self.drawings.tobytes() + self.weights.tobytes()).hexdigest()

    def at(self, side: int) -> StyleBank:
        """Return the drawings reduced (or enlarged) to `side`."""
        return StyleBank(resized(self.drawings, side), self.weights)

    def crops(self, light_ground: Tensor, side: int, generator: np.random.Generator) -> Tensor:
        """Cut one crop for each of B images: (B, 3, side, side), canonical, turned and mirrored at random.

        Args:
            light_ground: bool (B,): whether the image is dark on light; the crop is made the same.
        """
        chosen = generator.choice(len(self.drawings), len(light_ground), p=self.weights)
        crops = np.stack([self._crop(self.drawings[index], side, generator) for index in chosen])
        return as_style(crops, light_ground)

    def _crop(self, drawing: np.ndarray, side: int, generator: np.random.Generator) -> np.ndarray:
        crop = _cut(drawing, side, generator)
        for _ in range(CROP_TRIES - 1):
            if crop.std() > BARE_DEVIATION:
                break
            crop = _cut(drawing, side, generator)
        crop = np.rot90(crop, int(generator.integers(4)))
        return crop[:, ::-1] if generator.random() < 0.5 else crop


def _cut(drawing: np.ndarray, side: int, generator: np.random.Generator) -> np.ndarray:
    top, left = generator.integers(0, len(drawing) - side + 1, 2)
    return drawing[top : top + side, left : left + side]


def as_style(drawings: np.ndarray, light_ground: Tensor) -> Tensor:
    """Turn drawings uint8 (B, H, H) into canonical images (B, 3, H, H), dark on light where `light_ground` (B,)."""
    grey = torch.from_numpy(np.ascontiguousarray(drawings)).to(light_ground.device).float()[:, None].div(127.5).sub(1)
    images = canonical(grey.expand(-1, 3, -1, -1))
    sign = torch.where(light_ground == images.light_ground, 1.0, -1.0)
    return images.images * sign[:, None, None, None]


def sketch_bank(sketches: Sequence[np.ndarray]) -> StyleBank:
    """Mix sketches uint8 (256, 256) with a generated family of stroke drawings, in the ratio 2:1.

    The family teaches what strokes have in common; on two drawings alone a network overfits.
    """
    drawn = family(FAMILY_SIZE, FAMILY_SEED, READING_SIDE)
    weights = np.concatenate((np.full(len(sketches), 2 / 3 / len(sketches)), np.full(len(drawn), 1 / 3 / len(drawn))))
    return StyleBank(np.concatenate((np.stack(sketches), drawn)), weights)


def read_styles(style: str | None) -> tuple[StyleBank, str]:
    """Read the drawings that `--style` names; returns them and their name for messages.

    None: the two shipped sketches and the family. `A.png,B.png`: those sketches and the family. A folder: its images
    alone, with equal probabilities. Raises DataError for files or folders that are missing or cannot be used and for
    two sketches that are the same, UsageError for an empty name.
    """
    if style is None:
        return sketch_bank([read_sketch(path) for path in shipped_pair()]), "the shipped sketches"
    if not style.strip(","):
        raise UsageError("--style is empty: name a folder of drawings, or sketches as A.png,B.png")
    if Path(style).expanduser().is_dir():
        folder = open_folder(style)
        chosen = np.arange(len(folder.sources))[:MOST_STYLES]
        drawings = np.stack([read_sketch(folder.file(int(index))) for index in chosen])
        return StyleBank(drawings, np.full(len(drawings), 1 / len(drawings))), style
    paths = [Path(name.strip()).expanduser() for name in style.split(",") if name.strip()]
    return sketch_bank(check_pair(*paths) if len(paths) == 2 else [read_sketch(path) for path in paths]), style


def resized(drawings: np.ndarray, side: int) -> np.ndarray:
    """Resize drawings uint8 (K, H, H) to (K, side, side), with antialiasing."""
    return np.stack([np.asarray(Image.fromarray(d).resize((side, side), Image.Resampling.LANCZOS)) for d in drawings])
