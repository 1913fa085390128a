"""A translator and its images in memory, and what the page asks of them: items, edits, grids of edits."""

from __future__ import annotations

import base64
import io
import re
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..editing.recipe import Change, Recipe
from ..errors import DataError, UsageError
from ..interpretation.answers import Images
from ..interpretation.data_choice import split_items
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.pieces import piece_rows
from ..interpretation.reading import ChosenData
from ..measures.edited.editor import Editor, Start
from ..measures.edited.heights import ROWS
from ..measures.edited.items import SAMPLE, item_number, pixels_of, start_of
from ..measures.edited.results import EditResult
from ..measures.edited.surroundings import Surroundings
from ..measures.explanation.library import Near
from ..measures.explanation.naming import Naming
from .kept import Kept
from .uploads import BYTES, PIXELS, PREFIX, Uploads
from .watched import Watched
from .worker import Ticket

__all__ = ["MOST_IMAGES", "MOST_POINTS", "Explorer", "Told"]

# Images edited at once.
MOST_IMAGES = 16
# Points of a grid.
MOST_POINTS = 64
# Classes told of each edit.
MOST_ANSWERS = 10
# Real images shown as dots behind a pad.
DOTS = 400
# Items of the shelf without data, each a draw from N(0, 1).
SAMPLES = 10_000
# What is kept of images that were looked at: latents take 16 KiB each at most, pictures some.
KEPT_STARTS, KEPT_PICTURES = 4096, 512
# How a page names an image: an item of the data, a draw, or an upload.
NAMED = re.compile(r"\w{1,64}:\d{1,18}|upload:[0-9a-f]{16}")


@dataclass(frozen=True, eq=False)
class Told:
    """What is known from outside.

    Attributes:
        start: the line that started the explorer.
        options: words of every `iin edit` line: the translator, its data, the device.
        verdicts: what an audit said of each factor; empty where none was made.
    """

    start: str
    options: tuple[str, ...]
    verdicts: Mapping[str, str]


class Explorer:
    """Everything that the page asks; called from one thread only, but for `image` of what is no draw.

    Args:
        data: the translator's data; None where it was fitted to latents alone.
        told: how command lines are written, and what an audit said of the factors.
    """

    def __init__(
        self, opened: OpenTranslator, data: ChosenData | None, surroundings: Surroundings, uploads: Uploads, told: Told
    ) -> None:
        self.opened, self.data, self.surroundings, self.uploads, self.told = opened, data, surroundings, uploads, told
        self.editor = Editor(opened, surroundings)
        self.network = opened.network
        self.watched = Watched.of(opened)
        # Tells what a browser has kept of this explorer from what it has kept of others at the same address.
        self.run = secrets.token_hex(4)
        self._starts: Kept[tuple[Tensor, Tensor]] = Kept(KEPT_STARTS)
        self._pictures: Kept[bytes] = Kept(KEPT_PICTURES)
        self._before: Kept[str] = Kept(KEPT_PICTURES)
        self.heights = self.editor.heights
        self.draws = self.network is not None and isinstance(self.network.answer, Images)

    def prepare(self) -> None:
        """Read, encode and measure what the page asks first, so that it opens at once."""
        self.surroundings.nats  # noqa: B018
        self.translator()
        names = [item["id"] for item in self.shelf(0, ROWS)["items"]]
        start = self._start_of(names)
        self.editor.try_heights(start)
        if self.network is not None and self._shelf[0] != SAMPLE:
            pixels = np.stack([pixels_of(self.opened, self.data, name) for name in names])
            self.heights.try_on("encode", self.network.encode_pixels, pixels, start.z)

    def translator(self) -> dict[str, Any]:
        """Say what the translator is: its factors, their pads, attributes, and what may be sent."""
        surroundings, dataset = self.surroundings, self.surroundings.dataset
        answer = "latents" if self.network is None else self.network.answer.kind
        return {
            "name": self._name,
            "path": self.opened.called,
            "run": self.run,
            "answer": answer,
            "image_size": None if self.network is None else self.network.image_size,
            "classes": list(self.network.answer.names) or None if self.network is not None else None,
            "network": None if self.network is None else self.network.name,
            "version": self.opened.metadata.get("versions", {}).get("iin"),
            "data": None if dataset is None else {"name": dataset.name, "count": len(dataset.sources)},
            "missing": surroundings.missing,
            "limits": {"bytes": BYTES, "pixels": PIXELS, "images": MOST_IMAGES, "points": MOST_POINTS},
            "factors": [self._factor(name) for name in self.opened.factors.names],
            "attributes": [self._attribute(name) for name in surroundings.attributes],
            "command": self.told.start,
        }

    @property
    def _name(self) -> str:
        """What a run is called by its folder, and a checkpoint of another name by that."""
        if self.opened.path is None:
            return self.opened.called
        # In full: a file in the working folder has no folder in its path.
        file = self.opened.path.absolute()
        return file.parent.name if file.name == "translator.safetensors" else file.stem

    def shelf(self, offset: int, count: int) -> dict[str, Any]:
        """List test images of the data, mixed, with their places on the pads; without data, draws from N(0, 1)."""
        split, order = self._shelf
        there = order[offset : offset + count]
        if not len(there):
            return {"count": len(order), "items": []}
        if self.heights.of("encode", 1) is None:
            # A whole piece takes as long for fewer images.
            self._start_of([f"{split}:{index}" for index in order[offset : offset + piece_rows(self.opened.device)]])
        names = [f"{split}:{index}" for index in there]
        places = self._places(self._start_of(names).z_tilde)
        items = [
            {"id": name, "label": self._label(name), "factors": place}
            for name, place in zip(names, places, strict=True)
        ]
        return {"count": len(order), "items": items}

    def image(self, name: str) -> bytes:
        """Return the image `name` as PNG: as the network sees it; of a draw, as the network draws it."""
        _image(name)
        if name.startswith(f"{SAMPLE}:"):
            return self._pictures.get_or(name, lambda: self._drawn_sample(name))
        return self._pictures.get_or(name, lambda: _png(pixels_of(self.opened, self.data, self._file(name)), 1))

    def edit(self, body: Mapping[str, Any], ticket: Ticket) -> dict[str, Any]:
        """Follow a recipe from each of some images; Superseded when a newer request comes meanwhile."""
        began = time.perf_counter()
        names, recipe = _names(body), _recipe(body)
        start, sources = self._start_of(names), self._sources(recipe)
        ticket.go_on()
        own = replace(start, names=tuple(names))
        results = self.editor.edit(own, recipe, sources, ticket.go_on)
        parts = zip(names, results, self._reconstructed(own), self._places(own.z_tilde), strict=True)
        found = [
            {
                **self._told(result),
                "before": picture,
                "origin": origin,
                "label": self._label(name),
                "command": self._command(name, recipe),
            }
            for name, result, picture, origin in parts
        ]
        seconds = time.perf_counter() - began
        return {"number": body.get("number"), "milliseconds": round(1000 * seconds, 1), "images": found}

    def grid(self, body: Mapping[str, Any], ticket: Ticket) -> dict[str, Any]:
        """Follow a recipe from one image with one factor at many places of its pad, in one go."""
        recipe, factor, points = _recipe(body), body.get("factor"), body.get("points")
        if not isinstance(points, list) or not 0 < len(points) <= MOST_POINTS:
            raise UsageError(f'"points" must be 1 to {MOST_POINTS} moves, [[x, y], …]')
        others = [change for change in recipe.changes if change.factor != factor]
        own = next((change for change in recipe.changes if change.factor == factor), Change(str(factor)))
        rest, kept = recipe.as_dict(), [each.as_dict() for each in others]
        recipes = [Recipe.of_json({**rest, "changes": [*kept, {**own.as_dict(), "move": point}]}) for point in points]
        start = self._start_of([_image(body.get("image"))])
        changed = [self.editor.change(start.z_tilde, each, self._sources(each)) for each in recipes]
        ticket.go_on()
        z = self.editor.inverse(torch.cat(changed))
        ticket.go_on()
        return self._answered(start, z, ticket)

    def _answered(self, start: Start, z: Tensor, ticket: Ticket) -> dict[str, Any]:
        """Return what the network answers latents z (P, N) of a grid."""
        found: dict[str, Any] = {"pictures": None, "answers": None, "nearest": None}
        if self.network is None:
            return found
        if self.draws:
            return {**found, "pictures": [_data_url(_png(pixels)) for pixels in self.editor.draw(z)]}
        if self.network.answer.names:
            found["answers"] = self.network.answers(z).exp().tolist()
        if (library := self.surroundings.library) is not None:
            near = []
            for row in z:
                ticket.go_on()
                (of_row,) = library.describe(library.nearest(row[None], start.z))
                near.append([self._near(each) for each in of_row])
            found["nearest"] = near
        return found

    def health(self) -> dict[str, Any]:
        """Say that the explorer is there, and which of its files have changed on the disk since."""
        return {"ok": True, "changed": self.watched.changed()}

    def _told(self, result: EditResult) -> dict[str, Any]:
        answers = result.answers[:MOST_ANSWERS] if result.answers is not None else None
        return {
            "id": result.image,
            "picture": None if result.picture is None else _data_url(_png(result.picture)),
            "predicted": None if result.predicted is None else vars(result.predicted),
            "answers": None if answers is None else [vars(each) for each in answers],
            "nearest": None if result.nearest is None else [self._near(near) for near in result.nearest],
            "likely": vars(result.likely),
            "factors": {name: list(place) for name, place in result.factors.items()},
        }

    def _near(self, near: Near) -> dict[str, Any]:
        said = {"label": near.label, "predicted": near.predicted, "distance": near.distance}
        return {"id": f"all:{near.item}", "similarity": 1 / (1 + near.distance), **said}

    def _command(self, name: str, recipe: Recipe) -> str:
        """Return the line that makes this very edit, with uploads named by their files."""
        changes = tuple(
            replace(each, source=self._file(each.source)) if isinstance(each.source, str) else each
            for each in recipe.changes
        )
        ending = "png" if self.draws else "json"
        words = [self._file(name), *self.told.options, *replace(recipe, changes=changes).words()]
        return shlex.join(["iin", "edit", *words, "--out", f"edit.{ending}"])

    def _file(self, name: str) -> str:
        """Return what `iin edit` calls the image `name`: of an upload its file."""
        return str(self.uploads.path(name)) if name.startswith(PREFIX) else name

    def _sources(self, recipe: Recipe) -> dict[str, Tensor]:
        names = recipe.sources
        return dict(zip(names, self._start_of(names).z_tilde, strict=True)) if names else {}

    def _start_of(self, names: Sequence[str]) -> Start:
        """Return the latents of images, each encoded once."""
        missing = [name for name in dict.fromkeys(names) if name not in self._starts]
        if missing:
            files = [self._file(name) for name in missing]
            found = start_of(self.opened, self.data, files, self.heights.of("encode", len(files)))
            for name, z, z_tilde in zip(missing, found.z, found.z_tilde, strict=True):
                self._starts.keep(name, (z.clone(), z_tilde.clone()))
        kept = [self._starts[name] for name in names]
        return Start(tuple(names), torch.stack([z for z, _ in kept]), torch.stack([z_tilde for _, z_tilde in kept]))

    def _reconstructed(self, start: Start) -> list[str | None]:
        """Return what the network draws of the images themselves; None where it does not draw."""
        if not self.draws:
            return [None] * len(start.names)
        missing = [row for row, name in enumerate(start.names) if name not in self._before]
        if missing:
            for row, pixels in zip(missing, self.editor.draw(start.z[missing]), strict=True):
                self._before.keep(start.names[row], _data_url(_png(pixels)))
        return [self._before[name] for name in start.names]

    def _drawn_sample(self, name: str) -> bytes:
        if not self.draws:
            raise DataError(f"{name} has no picture: the network does not draw")
        return _png(self.editor.draw(self._start_of([name]).z)[0])

    @cached_property
    def _shelf(self) -> tuple[str, np.ndarray]:
        """The split whose images the shelf holds, and their numbers there in the order of the shelf."""
        if (dataset := self.surroundings.dataset) is None:
            return SAMPLE, np.arange(SAMPLES)
        for split in ("test", "all"):
            count = len(split_items(dataset, split)) if split == "all" or split in dataset.splits else 0
            if count:
                # Mixed: neighbours in the data are often variants of one image.
                return split, np.random.default_rng(0).permutation(count)
        return SAMPLE, np.arange(SAMPLES)

    def _label(self, name: str) -> str:
        """Return what people call the image `name`."""
        split, _, index = name.partition(":")
        dataset = self.surroundings.dataset
        if f"{split}:" == PREFIX or dataset is None or split == SAMPLE:
            return "your image" if f"{split}:" == PREFIX else f"draw {index}"
        item = item_number(dataset, split, int(index))
        named = None if self._naming is None else self._naming.name(item)
        return named or Path(dataset.path(item)).name

    @cached_property
    def _naming(self) -> Naming | None:
        dataset = self.surroundings.dataset
        return None if dataset is None else Naming.of(dataset, self.opened.factors.names)

    def _places(self, z_tilde: Tensor) -> list[dict[str, list[float]]]:
        """Say where each row of z̃ (B, N) lies on the pads."""
        factors, pad = self.opened.factors, self.surroundings.pad
        places = {name: pad(name).place(z_tilde[:, factors.slice(name)]).tolist() for name in factors.names}
        return [{name: place[row] for name, place in places.items()} for row in range(len(z_tilde))]

    def _factor(self, name: str) -> dict[str, Any]:
        factor = next(each for each in self.opened.factors if each.name == name)
        pad, z_tilde = self.surroundings.pad(name), self.surroundings.z_tilde
        dots: list[list[float]] = []
        if z_tilde is not None:
            some = np.random.default_rng(0).permutation(len(z_tilde))[:DOTS]
            dots = pad.place(z_tilde[torch.from_numpy(some)][:, self.opened.factors.slice(name)]).tolist()
        verdict = self.told.verdicts.get(name)
        axes = list(pad.shares)
        return {
            **factor.as_dict(),
            "verdict": verdict,
            "axes": axes,
            "spread": [[round(c, 3) for c in dot] for dot in dots],
        }

    def _attribute(self, name: str) -> dict[str, Any]:
        return {"name": name, "low": -2.0, "high": 2.0}


def _names(body: Mapping[str, Any]) -> list[str]:
    """Return the images that a request names. UsageError for none, too many, or one twice."""
    names = body.get("images")
    if not isinstance(names, list):
        raise UsageError('"images" must be a list of names, as ["test:12"]')
    if not 0 < len(names) <= MOST_IMAGES:
        raise UsageError(f'"images" names {len(names)} images: 1 to {MOST_IMAGES} can be edited at once')
    return [_image(name) for name in names]


def _recipe(body: Mapping[str, Any]) -> Recipe:
    """Read the recipe of a request; UsageError where it swaps from anything but images of the page."""
    recipe = Recipe.of_json(body)
    for change in recipe.changes:
        if isinstance(change.source, str):
            _image(change.source)
    return recipe


def _image(name: Any) -> str:
    """Return the name of an image; UsageError for one that a page has no right to, as a file of this machine."""
    if not isinstance(name, str) or NAMED.fullmatch(name) is None:
        raise UsageError(f"{name!r} is no image here: name an item of the data, test:12, or an upload")
    return name


def _png(pixels: np.ndarray, effort: int = 6) -> bytes:
    """Return uint8 (H, W, 3) as `save_png` writes it, or sooner and longer with less `effort`."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=effort)
    return stream.getvalue()


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
