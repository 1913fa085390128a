"""Two sketches as a concept: `sketch:A.png,B.png`, and `roundness`, which is the pair shipped here (paper §3.2).

Every image x is drawn in the style of A and of B: variants 0 (x), 1 (x_a) and 2 (x_b) of one group, so that pairs
(x, x_a), (x, x_b) and (x_a, x_b) all differ in the concept and share the rest.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from iin_cli.concepts.variants import group_variants
from iin_cli.errors import UsageError
from iin_cli.io.paths import cache_dir
from iin_cli.plugin_api import Circumstances, ConceptProvider, Dataset, Groups, Relation
from iin_cli.training.loop import Schedule

from .drawing import SketchDrawing, working_side
from .encoder_weights import default_file, open_encoder
from .sketches import check_pair, shipped_pair, sketch_bank
from .stylizer_files import PRODUCT, OpenStylizer, open_stylizer, save_stylizer
from .train_stylizer import fit_stylizer, size_for, stylizer_facts

__all__ = ["SketchConcept", "roundness_concept", "sketch_concept"]

# Increase it whenever the same weights would draw something else, so that cached latents are made again.
DRAWING_VERSION = 1
# Seed of stylizers in the cache: with the run's own seed, no second run would find them.
CACHE_SEED = 0
PROBE_IMAGES = 16
# Difference of the two drawings, in grey levels, below which a translator has little to learn from.
FAINT = 1.0


class SketchConcept(ConceptProvider):
    """A concept defined by two sketches that differ in it.

    Args:
        concept: name of the factor.
        pair: files of the sketches A and B.
        trained: a stylizer's file or run folder; None finds one in the cache or trains it.

    Raises DataError for sketches that are missing, blank or alike.
    """

    relation: Relation = "differ"

    def __init__(self, concept: str, pair: tuple[Path, Path], trained: Path | None = None) -> None:
        self.concept, self.fingerprint = concept, "unprepared"
        self._called, self._sketches, self._trained = pair, check_pair(*pair), trained
        self._drawing: SketchDrawing | None = None

    def prepare(self, dataset: Dataset, indices: np.ndarray, circumstances: Circumstances) -> None:
        """Open the stylizer, find one in the cache, or train one on the training split for a few minutes.

        Raises DataError for too few images, CheckpointError for a file that is no stylizer, DivergedError as training.
        """
        opened = self._open(dataset, indices, circumstances)
        self._drawing = SketchDrawing(opened.stylizer, self._sketches, circumstances.image_size)
        decides = [DRAWING_VERSION, opened.sha256, _digest(self._sketches), self._drawing.side]
        self.fingerprint = f"{self.concept}-{_key(decides)}"
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

    def _open(self, dataset: Dataset, indices: np.ndarray, circumstances: Circumstances) -> OpenStylizer:
        report = circumstances.report
        if self._trained is not None:
            return open_stylizer(self._trained, circumstances.device, report)
        device = torch.device(circumstances.device)
        source = "default" if default_file().is_file() else "random"
        side = working_side(circumstances.image_size, size_for(device).side)
        decides = [dataset.fingerprint, _digest(self._sketches), source, size_for(device).width, side]
        file = cache_dir() / "stylizers" / _key(decides) / PRODUCT
        if file.is_file():
            report.note(f"concept {self.concept}: using the stylizer of an earlier run, {file}")
        else:
            self._train(file, source, side, dataset, indices, circumstances)
        opened = open_stylizer(file, device, report)
        if opened.metadata["encoder"]["source"] == "random":
            report.warn(
                f"concept {self.concept} is drawn with an encoder of random weights, since VGG-19's are not in "
                f"{default_file().parent}: look at x_a and x_b before you trust the factor"
            )
        return opened

    def _train(
        self, file: Path, source: str, side: int, dataset: Dataset, indices: np.ndarray, circumstances: Circumstances
    ) -> None:
        report, device = circumstances.report, torch.device(circumstances.device)
        size = size_for(device)
        report.note(
            f"concept {self.concept}: no stylizer for {dataset.name} yet; training one for at most "
            f"{size.seconds / 60:.0f} minutes, kept in {file.parent}"
        )
        train = np.asarray(dataset.splits["train"])
        bank = sketch_bank(self._sketches)
        encoder = open_encoder(source, size.width, report)
        stylizer, loop = fit_stylizer(
            dataset,
            train if len(train) else indices,
            bank,
            encoder,
            side,
            Schedule(size.steps, size.seconds),
            CACHE_SEED,
            device,
            report,
            interpolation=circumstances.interpolation,
        )
        style = {"name": ",".join(str(path) for path in self._called), "sha256": bank.sha256}
        plan = {"style": style, "encoder": encoder.provenance, "seed": CACHE_SEED}
        data = {"name": dataset.name, "root": None, "fingerprint": dataset.fingerprint}
        save_stylizer(file, stylizer, stylizer_facts(plan, data, loop))

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
            circumstances.report.warn(f"{measured}, hardly at all: train longer with `iin train-stylizer`")
        else:
            circumstances.report.note(measured)


def sketch_concept(argument: str | None = None) -> SketchConcept:
    """Make the concept `sketch` of `A.png,B.png` or `A.png,B.png,STYLIZER`. UsageError for another number of paths."""
    parts = [part.strip() for part in argument.split(",")] if argument else []
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(
            f"concept sketch needs two sketches, and was given {argument!r}: write sketch:A.png,B.png "
            "or sketch:A.png,B.png,STYLIZER"
        )
    paths = [Path(part).expanduser() for part in parts]
    return SketchConcept("sketch", (paths[0], paths[1]), paths[2] if len(paths) == 3 else None)


def roundness_concept(argument: str | None = None) -> SketchConcept:
    """Make the concept `roundness` of the shipped sketches; the argument, if any, is a trained stylizer."""
    return SketchConcept("roundness", shipped_pair(), Path(argument).expanduser() if argument else None)


def _digest(sketches: tuple[np.ndarray, np.ndarray]) -> str:
    return hashlib.sha256(np.stack(sketches).tobytes()).hexdigest()


def _key(decides: list[str | int]) -> str:
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:32]
