"""Two sketches as a concept: `sketch:A.png,B.png`, and `roundness`, which is the pair shipped here (paper §3.2).

Every image x is drawn in the strokes of A and of B: variants 0 (x), 1 (x_a) and 2 (x_b) of one group, so that pairs
(x, x_a), (x, x_b) and (x_a, x_b) all differ in the concept and share the rest. By default the strokes are drawn over
the image; a learned stylizer draws them where one is named.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Protocol

import numpy as np
from iin_cli.concepts.variants import group_variants
from iin_cli.errors import UsageError
from iin_cli.plugin_api import Circumstances, ConceptProvider, Dataset, Groups, Relation

from .drawing import SketchDrawing
from .overdrawing import Overdrawing
from .sketches import check_pair, digest_of, shipped_pair
from .stylizer_cache import Wanted, cached_stylizer
from .stylizer_files import open_stylizer

__all__ = ["LEARNED", "SketchConcept", "roundness_concept", "sketch_concept"]

# In the place of a stylizer's path: the one in the cache, trained where there is none.
LEARNED = "learned"

# Increase it whenever the same weights would draw something else, so that cached latents are made again.
DRAWING_VERSION = 2
PROBE_IMAGES = 16
# Difference of the two drawings, in grey levels, below which a translator has little to learn from.
FAINT = 1.0


class Drawing(Protocol):
    """Anything that draws images in one of two ways."""

    def draw(self, images: np.ndarray, sketch: int) -> np.ndarray:
        """Draw images uint8 (B, S, S, 3) in the strokes of sketch 0 or 1: uint8 (B, S, S, 3)."""
        ...


class SketchConcept(ConceptProvider):
    """A concept defined by two sketches that differ in it.

    Args:
        concept: name of the factor.
        pair: files of the sketches A and B.
        stylizer: None draws strokes over the images; else a stylizer draws them: a file or run folder, or `learned` for
            the one in the cache, which is trained first where there is none.

    Raises DataError for sketches that are missing, blank or alike.
    """

    relation: Relation = "differ"

    def __init__(self, concept: str, pair: tuple[Path, Path], stylizer: str | None = None) -> None:
        self.concept, self.fingerprint = concept, "unprepared"
        self._called, self._sketches, self._stylizer = pair, check_pair(*pair), stylizer
        self._drawing: Drawing | None = None

    def prepare(self, dataset: Dataset, indices: np.ndarray, circumstances: Circumstances) -> None:
        """Get ready to draw: open the stylizer that is named, find it in the cache, or train it on the training split.

        Raises DataError for too few images, CheckpointError for a file that is no stylizer, DivergedError as training.
        """
        size, sketches = circumstances.image_size, self._sketches
        if self._stylizer is None:
            self._drawing, drawn_by = Overdrawing(sketches, size), f"strokes-{size}"
        else:
            drawing, sha256 = self._stylized(self._stylizer, dataset, indices, circumstances)
            self._drawing, drawn_by = drawing, f"{sha256}-{drawing.side}"
        self.fingerprint = f"{self.concept}-{_key([DRAWING_VERSION, drawn_by, digest_of(sketches)])}"
        self._probe(dataset, indices, circumstances)

    def groups(self, dataset: Dataset, indices: np.ndarray, seed: int) -> Groups:
        """Group each image with its two drawings, side by side; the group id is the image's index.

        `seed` is ignored. Raises DataError when there is no item.
        """
        return group_variants(self.concept, dataset, indices, 2)

    def render(self, images: np.ndarray, variant: int) -> np.ndarray:
        """Draw `images` uint8 (B, S, S, 3) as they are (0), in the style of sketch A (1) or B (2)."""
        if variant not in (1, 2):
            return super().render(images, variant)
        if self._drawing is None:
            raise UsageError(f"concept {self.concept} cannot draw before it is prepared: call prepare first")
        return self._drawing.draw(images, variant - 1)

    def variant_name(self, variant: int) -> str:
        """Return the name of the sketch's file without its ending: `round`."""
        return self._called[variant - 1].stem if variant in (1, 2) else super().variant_name(variant)

    def _stylized(
        self, stylizer: str, dataset: Dataset, indices: np.ndarray, circumstances: Circumstances
    ) -> tuple[SketchDrawing, str]:
        """Return what draws with a stylizer, and the sha256 of the stylizer's file."""
        if stylizer == LEARNED:
            wanted = Wanted(self.concept, ",".join(map(str, self._called)), self._sketches)
            opened = cached_stylizer(wanted, dataset, indices, circumstances)
        else:
            opened = open_stylizer(Path(stylizer).expanduser(), circumstances.device, circumstances.report)
            circumstances.report.note(f"concept {self.concept}: using the stylizer {opened.path}, {opened.described}")
        if opened.stopped_early:
            circumstances.report.warn(
                f"concept {self.concept} is drawn by a stylizer of {opened.described}: "
                "look at x_a and x_b, or train longer with `iin train-stylizer`"
            )
        return SketchDrawing(opened.stylizer, self._sketches, circumstances.image_size), opened.sha256

    def _probe(self, dataset: Dataset, indices: np.ndarray, circumstances: Circumstances) -> None:
        """Report by how many grey levels images and drawings differ."""
        sample = np.asarray(indices)[:: max(1, len(indices) // PROBE_IMAGES)][:PROBE_IMAGES]
        if not len(sample):
            return
        images = dataset.images(sample, circumstances.image_size, circumstances.interpolation)
        x, x_a, x_b = (self.render(images, variant).astype(np.float32) for variant in range(3))
        to_a, to_b, apart = (float(np.abs(p - q).mean()) for p, q in ((x, x_a), (x, x_b), (x_a, x_b)))
        measured = (
            f"concept {self.concept}: images and drawings differ by {to_a:.1f} and {to_b:.1f} of 255 grey levels, "
            f"the two drawings of an image by {apart:.1f}"
        )
        if apart < FAINT:
            circumstances.report.warn(f"{measured}, hardly at all: {self._advice}")
        else:
            circumstances.report.note(measured)

    @property
    def _advice(self) -> str:
        return "give images with more contrast" if self._stylizer is None else "train longer with `iin train-stylizer`"


def sketch_concept(argument: str | None = None) -> SketchConcept:
    """Make the concept `sketch` of `A.png,B.png` or `A.png,B.png,STYLIZER`; STYLIZER is a path, or `learned`.

    Raises UsageError for another number of parts.
    """
    parts = [part.strip() for part in argument.split(",")] if argument else []
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(
            f"concept sketch needs two sketches, and was given {argument!r}: write sketch:A.png,B.png "
            "or sketch:A.png,B.png,STYLIZER (a stylizer's path, or learned)"
        )
    paths = [Path(part).expanduser() for part in parts[:2]]
    return SketchConcept("sketch", (paths[0], paths[1]), parts[2] if len(parts) == 3 else None)


def roundness_concept(argument: str | None = None) -> SketchConcept:
    """Make the concept `roundness` of the shipped sketches; the argument is a stylizer's path, or `learned`."""
    return SketchConcept("roundness", shipped_pair(), argument or None)


def _key(decides: list[str | int]) -> str:
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:32]
