"""The sections of a report, each a function of its subject that may fail alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..editing.swap import swap
from ..editing.walk import walk
from ..errors import DataError, attempt
from ..figures.plots import save_figure
from ..interpretation.grouping import MOST_NEEDED, find_providers
from ..io.describe import describe
from ..measures.audit.auditing import AuditResult, audit
from ..measures.audit.tables import draw_matrices
from ..measures.explanation.explain import explain
from ..measures.responses.respond import respond
from ..metrics.bootstrap import FEW_ITEMS, Interval
from ..sizing.estimate_dims import estimate
from ..sizing.evidence import Evidence
from ..translator.dims import allocate, allocate_calibrated
from ..translator.factors import RESIDUAL
from .page import Bar, Block, Commands, Facts, Failure, Heading, Picture, Pictures, Table, Text, picture_of
from .subject import PartOfData, Subject
from .words import (
    AUDIT_PARTS,
    OUTCOME,
    SIZES,
    SWAPPED,
    of_audit_figures,
    of_explanations,
    of_glance,
    of_responses,
    of_walk,
    plain,
)

__all__ = ["SECTIONS", "glance"]

# Images a side of a swap grid, walks of each factor, images explained, and edits of each factor of these.
GRID, WALKS, EXPLAINED, EDITS = 7, 4, 3, 16
MADE_AGAIN = "Make it again"


def interpreted(subject: Subject) -> list[Block]:
    """Say what was interpreted: network, layer, data, factors."""
    opened, dataset, backbone = subject.opened, subject.dataset, subject.opened.backbone
    classes = subject.classes
    network = {
        "Network": f"{backbone.name} ({'names a class' if classes is not None else 'draws an image'})",
        "Network from": opened.network.source,
        "Layer": opened.network.layer or "the one that the network is made to be cut at",
        "Features (N)": opened.factors.dim,
        "Images": f"{backbone.image_size} × {backbone.image_size} pixels",
        "Data": dataset.name,
        "Images of it": ", ".join(f"{len(items):,} in {split}" for split, items in dataset.splits.items()),
        "Translator": str(subject.translator),
    }
    if classes is not None:
        network["Classes"] = f"{len(classes)}: {', '.join(classes[:20])}{', …' if len(classes) > 20 else ''}"
    relations = {"share": "pairs that share it", "differ": "pairs that differ in it alone", "rest": "what is left"}
    rows = [
        {"factor": each.name, "dimensions": each.dim, "learned from": relations[each.relation], "sigma": each.sigma}
        for each in opened.factors
    ]
    said = Text("sigma: how alike the fit took the factor to be in the two images of a pair that share it.", "soft")
    return [Facts(network), Bar(opened.factors.dims, RESIDUAL), Table("Factors", rows), said]


def sizes(subject: Subject) -> list[Block]:
    """Weigh every concept on training images: is it in the latents, and how many dimensions does Eq 11 give it?"""
    part = PartOfData(subject.dataset, max(4 * subject.n, 2 * MOST_NEEDED), subject.seed)
    found: dict[str, Evidence] = {}
    failed: dict[str, str] = {}
    for name in subject.concepts:
        why = attempt(lambda name=name: found.update(_weighed(subject, part, name)))
        if why is not None:
            failed[name] = why
    if not found:
        raise DataError("; ".join(f"{name}: {why}" for name, why in failed.items()) or "the translator has no concepts")
    blocks: list[Block] = [
        Text(SIZES),
        Table(f"Sizes, from {len(part.splits['train']):,} training images", _size_rows(subject, found)),
    ]
    blocks += [Failure(name, why) for name, why in failed.items()]
    return [*blocks, Commands([_dims_command(subject)], "Measure on all training images")]


def edits(subject: Subject) -> list[Block]:
    """Swap every factor: as images where the network draws them, else as predictions and the nearest real images."""
    return _explanations(subject) if subject.classes is not None else _swaps(subject)


def walks(subject: Subject) -> list[Block]:
    """Let one factor at a time wander and everything else stand still; of an autoencoder first from image to image."""
    drawn, blocks, lines = subject.classes is None, [], []
    kinds = [("linear", (), "From image to image")] if drawn else []
    kinds += [("ou", (name,), f"{name} wanders") for name in subject.opened.factors.names]
    for number, (mode, moved, title) in enumerate(kinds):
        file = subject.folder / f"walk-{number}.png"
        options = {"out": file, "n": WALKS, **subject.where()}
        said = of_walk(moved, drawn)
        blocks.append(Heading(title))
        blocks += _picture(
            " ".join(["the walk of", *(moved or ["all factors"])]),
            lambda mode=mode, moved=moved, options=options: walk(subject.translator, mode, moved, **options),
            file,
            f"{WALKS} walks. {said}",
            said,
            # Of a line between images the letters say which row is which.
            plot=not drawn or not moved,
        )
        words = [word for name in moved for word in ("--factor", name)]
        lines.append(
            subject.command("walk", "--mode", mode, *words, "--n", WALKS, out=f"{_safe('walk', mode, *moved)}.png")
        )
    return [*_unless_all_failed(blocks), Commands(lines, MADE_AGAIN)]


def responses(subject: Subject) -> list[Block]:
    """Measure how much the answer owes to every factor, beside random subspaces of its size."""
    folder = subject.folder / "respond"
    # An image goes once through T in an audit, and a hundred times here; what is drawn costs still more.
    count = max(FEW_ITEMS, 2 * subject.n // 5 if subject.classes is not None else subject.n // 4)
    result = respond(subject.translator, (), folder, n=count, **subject.where())
    for each in result.factors:
        name, main = next(iter(each.overall.items()))
        subject.glance.setdefault(each.name, {}).update(
            {
                name.replace("_", " "): f"{main.factor:.2g}",
                "by chance": f"{main.control:.2g}",
                "moves the answer": main.verdict,
            }
        )
    figure = picture_of(
        folder / "respond.png",
        f"Violin plots, one row per factor ({', '.join(each.name for each in result.factors)}): the factor's walks "
        "beside those of a random subspace. The tables give the figures.",
        "Distributions along the walks: the factor beside random subspaces of its size.",
        plot=True,
    )
    failed = [Failure(name, why) for name, why in result.failed.items()]
    line = subject.command("respond", "--n", count, out="respond")
    return [Text(of_responses(result)), figure, *_tables(result.tables()), *failed, Commands([line], MADE_AGAIN)]


def audited(subject: Subject) -> list[Block]:
    """Ask whether every factor holds its concept, all of it and nothing else."""
    folder = subject.folder / "audit"
    result = audit(subject.translator, n=subject.n, out=folder, **subject.where())
    for name in subject.concepts:
        seen = subject.glance.setdefault(name, {})
        for key, column in (("information", "known from it"), ("leakage", "known from the residual")):
            figure = result.figures.get(f"{key}.{name}")
            seen[column] = f"{figure.interval:.2g}" if figure is not None else None
    blocks: list[Block] = [
        Text(f"Measured on {result.n} images of {result.data}; in brackets the 95 % interval over images.")
    ]
    blocks += _matrices(result, folder)
    for title, rows in result.tables():
        said = AUDIT_PARTS.get(title)
        table = Table(_capital(title), of_audit_figures(subject.opened.factors, rows) if title == "figures" else rows)
        blocks += [table, Text(said, "soft")] if said else [table]
    return [*blocks, Commands([subject.command("audit", "--n", subject.n, out="audit")], MADE_AGAIN)]


def provenance(subject: Subject) -> list[Block]:
    """Say where everything came from, and how to make it again."""
    (info,) = describe(subject.translator).checkpoints
    network, data = info.backbone or {}, info.data or {}
    blocks: list[Block] = [
        Facts(
            {
                "Translator": info.file,
                "SHA-256 of the translator": info.sha256,
                "Size of the translator": f"{info.size_bytes:,} bytes, {info.parameters:,} parameters",
                "Network": network.get("source"),
                "SHA-256 of the network": network.get("sha256"),
                "Data": data.get("name"),
                "Data root": data.get("root"),
                "Fingerprint of the data": data.get("fingerprint"),
                "Seed of this page": str(subject.seed),
            }
        ),
        Facts({f"{name} at the fit": version for name, version in (info.versions or {}).items()}),
    ]
    training = {key: str(value) if key == "seed" else value for key, value in (info.training or {}).items()}
    if training:
        plan = {key.replace("_", " "): plain(training[key]) for key in sorted(training) if key not in OUTCOME}
        outcome = {words: plain(training[key]) for key, words in OUTCOME.items() if key in training}
        blocks += [Heading("The fit: what came of it"), Facts(outcome), Heading("The fit: its plan"), Facts(plan)]
    blocks += [
        Heading("The commands that reproduce it"),
        Text("This page:"),
        Commands([subject.command("report", "--n", subject.n, out="report.html")]),
    ]
    fit = subject.fit_command()
    if fit is not None:
        blocks += [
            Text(
                "A translator like this one, as far as its checkpoint tells (where time was limited, the number of "
                "steps also depends on the machine):"
            ),
            Commands([fit]),
        ]
    return blocks


SECTIONS: tuple[tuple[str, Callable[[Subject], list[Block]]], ...] = (
    ("What was interpreted", interpreted),
    ("Sizes of the factors", sizes),
    ("Factors swapped", edits),
    ("Walks", walks),
    ("What the answer owes to each factor", responses),
    ("Audit", audited),
    ("Provenance", provenance),
)


def glance(subject: Subject) -> list[Block]:
    """Return what the sections found of each factor in one table; nothing where none found anything."""
    rows = [
        {"factor": name, "dims": dim, **subject.glance[name]}
        for name, dim in subject.opened.factors.dims.items()
        if name in subject.glance
    ]
    if not rows:
        return []
    columns = list(dict.fromkeys(column for row in rows for column in row))
    said = of_glance(subject.classes is None, columns)
    return [Table("At a glance", rows), *([Text(said, "soft")] if said else [])]


def _weighed(subject: Subject, part: PartOfData, name: str) -> dict[str, Evidence]:
    providers = find_providers([subject.concept(name)])
    opened = subject.opened
    result = estimate(opened.network, part, providers, "variance", subject.seed, opened.device, subject.report)
    # A concept may call itself by another name than the factor that was made of it.
    return {name: next(iter(result.evidence.values()))}


def _size_rows(subject: Subject, found: dict[str, Evidence]) -> list[dict[str, Any]]:
    opened = subject.opened
    scores = {name: evidence.score.value for name, evidence in found.items()}
    complete = len(found) == len(subject.concepts)
    calibrated = allocate_calibrated({name: evidence.excess for name, evidence in found.items()}, opened.factors.dim)
    rows = []
    for name, evidence in found.items():
        given = [
            allocate({**scores, name: value}, opened.factors.dim)[name]
            for value in (evidence.score.value, evidence.score.low, evidence.score.high, 0.0)
        ]
        rows.append(
            {"factor": name, "this translator": opened.factors.dims[name]}
            # Eq 11 shares out among all concepts: without one of them it says nothing.
            | ({"Eq 11 [95 %]": f"{given[0]} [{given[1]}, {given[2]}]"} if complete else {})
            | ({"if absent": given[3], "calibrated": calibrated[name]} if complete else {})
            | {"score [95 %]": f"{evidence.score:.3g}", "score if absent": _range(evidence.null)}
            | {"p": evidence.p_value, "verdict": evidence.verdict}
        )
        subject.glance.setdefault(name, {})["in the network"] = evidence.verdict
    return rows


def _dims_command(subject: Subject) -> str:
    opened = subject.opened.network
    words: list[object] = ["iin", "estimate-dims", "--backbone", opened.source]
    words += ["--weights", opened.weights] if opened.weights != "default" else []
    words += ["--layer", opened.layer] if opened.layer else []
    for name in subject.concepts:
        words += ["--concept", subject.concept(name)]
    recorded = subject.opened.metadata.get("data") or {}
    for option, given, known in (("--data", subject.data, "name"), ("--data-root", subject.data_root, "root")):
        value = given if given is not None else recorded.get(known)
        words += [option, value] if value else []
    return shlex.join(map(str, [*words, "--seed", subject.seed]))


def _swaps(subject: Subject) -> list[Block]:
    blocks: list[Block] = [Text(SWAPPED)]
    count, lines = GRID, []
    for number, name in enumerate(subject.opened.factors.names):
        file = subject.folder / f"swap-{number}.png"
        said = f"{name} of the column’s image in the row’s image."
        blocks.append(Heading(f"{name} swapped"))
        blocks += _picture(
            f"the swap of {name}",
            lambda name=name, file=file: swap(subject.translator, [name], (), (), file, n=count, **subject.where()),
            file,
            f"Grid of {count} by {count} drawn images under {count} sources and beside {count} targets: {said}",
            said,
        )
        lines.append(subject.command("swap", "--factor", name, "--n", count, out=f"{_safe('swap', name)}.png"))
    return [*_unless_all_failed(blocks), Commands(lines, MADE_AGAIN)]


def _explanations(subject: Subject) -> list[Block]:
    folder, search = subject.folder / "explain", min(5000, 10 * subject.n)
    options = {"n": EXPLAINED, "sources": EDITS, "search": search}
    result = explain(subject.translator, (), folder, **options, **subject.where())
    blocks: list[Block] = [Text(of_explanations(result))]
    for figure, image, (title, rows) in zip(result.figures, result.images, result.tables(), strict=True):
        said = "The image, its edits by factor, the nearest real images, and what the edits do to the predictions."
        blocks += [
            Heading(title),
            picture_of(folder / figure, f"{title}. {said} The table below gives the figures.", said, plot=True),
            Table(f"Edits of {Path(image['image']).name}", rows),
        ]
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    return [*blocks, Commands([subject.command("explain", *words, out="explain")], MADE_AGAIN)]


def _matrices(result: AuditResult, folder: Path) -> list[Block]:
    """Draw the audit's matrices one by one, which fit a phone where all in a row would not."""
    said = {
        "correlation": "Correlation in pairs of a concept, by factor",
        "swap": "What becomes of a concept when a factor is swapped",
        "information": "Information of a factor on a concept",
    }
    pictures = []
    for kind, caption in said.items():
        plot = draw_matrices(tuple(result.factors), result.figures, (kind,))
        if plot is not None:
            save_figure(folder / f"{kind}.png", plot)
            alt = f"Heat map. {caption}. The tables give the figures."
            pictures.append(picture_of(folder / f"{kind}.png", alt, f"{caption}.", plot=True))
    return [Pictures(pictures)] if pictures else []


def _picture(
    what: str, make: Callable[[], object], file: Path, alt: str, caption: str, plot: bool = False
) -> list[Block]:
    """Return the picture that `make` leaves at `file`, or why there is none."""
    made: list[Picture] = []

    def work() -> None:
        make()
        made.append(picture_of(file, alt, caption, plot))

    why = attempt(work)
    return [Failure(f"{what} could not be drawn", why)] if why is not None else [*made]


def _unless_all_failed(blocks: list[Block]) -> list[Block]:
    if any(isinstance(block, Picture) for block in blocks):
        return blocks
    raise DataError(next((block.why for block in blocks if isinstance(block, Failure)), "there is nothing to show"))


def _tables(tables: Sequence[tuple[str, Sequence[dict[str, Any]]]]) -> list[Block]:
    return [Table(_capital(title), rows) for title, rows in tables]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _safe(*words: str) -> str:
    """Join words to a file name, whatever a factor may be called."""
    return re.sub(r"[^\w.]+", "-", "-".join(words))


def _range(found: Interval) -> str:
    return f"{found.low:.3g} … {found.high:.3g}"
