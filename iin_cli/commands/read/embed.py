"""Draw maps of a latent space, and write figures, an animation, JSON and coordinates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...distributed import choose_device
from ...interpretation.data_choice import DataChoice
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData
from ...io.output import Figures, Output
from ...io.tables import write_table
from ...measures.embedding.embed import EmbedResult, MapChoice, embed_items
from ...progress import Reporter, Silent
from ...translator.edit import OUWalk

__all__ = ["embed"]


def embed(
    translator: Path,
    choice: DataChoice,
    maps: MapChoice,
    walk: OUWalk,
    out: Path | None = None,
    *,
    coordinates: bool = False,
    backbone: Path | None = None,
    device: str = "auto",
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> EmbedResult:
    """Embed images of the translator's data, and draw them as maps; equal seeds give equal figures.

    Args:
        choice: the images, `choice.n` of them; all where there are fewer.
        maps: which figures: `latent.png`, `product.png` and `product.gif`, `residual.png`.
        walk: of the factors that walk and are drawn against each other.
        out: a new folder, or for one kind a new `.png`, for `product` also a `.gif` (the animation).
        coordinates: write `embed.csv`, every image's labels and places.

    A figure that cannot be drawn is named with its reason, the others are made; `embed.json` grows with each. Raises
    UsageError, DataError (images; no figure at all) and CheckpointError.
    """
    report = report or Silent()
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    opened.choose_factors(walk.factors)
    data = ChosenData(opened, choice, report)
    several = len(maps.kinds) > 1
    endings = () if several else (".png", ".gif") if maps.kinds == ("product",) else (".png",)
    with Output.open(out, "embed", endings, "several figures" if several else "a figure", figures) as output:
        written: dict[str, list[str]] = {}

        def placed(found: EmbedResult) -> EmbedResult:
            files = tuple(file for names in written.values() for file in names)
            return replace(found, out=str(output.path), figures=files)

        def save(found: EmbedResult) -> None:
            for kind, made in found.maps.items():
                if kind not in written:
                    written[kind] = made.write(output)
            if written:
                output.write_json("embed.json", placed(found).as_dict())

        result = embed_items(data.read(choice.n), maps, walk, choice.seed, report, save)
        if coordinates and (file := output.at("embed.csv")) is not None:
            write_table(file, result.coordinates())
        return placed(result)
