"""Begin and end of a report: what was interpreted, the summary, and where everything came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..io.describe import describe
from ..measures.audit.auditing import USABLE
from ..translator.factors import RESIDUAL
from .page import Block, Commands, Facts, Heading, SizeBar, Table, Text
from .subject import ReportSubject
from .words import OUTCOME, VERDICT, of_glance, plain

__all__ = ["glance", "interpreted", "provenance", "verdicts"]

RELATIONS = {"share": "pairs that share it", "differ": "pairs that differ in it alone", "rest": "what is left"}
MOST_CLASSES = 20


def interpreted(subject: ReportSubject) -> list[Block]:
    """Say what was interpreted: network, layer, data, factors."""
    opened, dataset, network = subject.opened, subject.dataset, subject.network
    classes, size = network.answer.names, network.backbone.image_size
    facts = {
        "Network": f"{network.name} ({network.answer.verb})",
        "Network from": network.source,
        "Layer": network.layer or "the one that the network is made to be cut at",
        "Features (N)": opened.factors.dim,
        "Images": f"{size} × {size} pixels",
        "Data": dataset.name,
        "Images of it": ", ".join(f"{len(items):,} in {split}" for split, items in dataset.splits.items()),
        "Translator": str(subject.lines.translator) if subject.lines is not None else "in memory",
    }
    if classes:
        more = ", …" if len(classes) > MOST_CLASSES else ""
        facts["Classes"] = f"{len(classes)}: {', '.join(classes[:MOST_CLASSES])}{more}"
    performance = str(subject.performance)
    facts["How well it does"] = f"{performance[0].upper()}{performance[1:]}"
    rows = [
        {"factor": each.name, "dimensions": each.dim, "learned from": RELATIONS[each.relation], "sigma": each.sigma}
        for each in opened.factors
    ]
    said = Text("sigma: how alike the fit took the factor to be in the two images of a pair that share it.", "soft")
    return [Facts(facts), SizeBar(opened.factors.dims, RESIDUAL), Table("Factors", rows), said]


def glance(subject: ReportSubject) -> list[Block]:
    """Return what the sections found of each factor in one table; nothing where none found anything."""
    rows = [
        {"factor": name, "dims": dim, **subject.glance[name]}
        for name, dim in subject.opened.factors.dims.items()
        if name in subject.glance
    ]
    if not rows:
        return []
    columns = list(dict.fromkeys(column for row in rows for column in row))
    said = of_glance(subject.draws, columns)
    return [Table("At a glance", rows), *([Text(said, "soft")] if said else [])]


def verdicts(subject: ReportSubject) -> list[Block]:
    """Say of each factor whether it is usable, what for, and why not; nothing before the audit."""
    if not subject.verdicts:
        return []
    return [Table(_title(USABLE), [each.as_row() for each in subject.verdicts]), Text(VERDICT, "soft")]


def _title(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}"


def provenance(subject: ReportSubject) -> list[Block]:
    """Say where everything came from, and how to make it again."""
    lines = subject.lines
    if lines is None:
        return [Text("The translator lies in memory: no file holds it, and no command makes this page again.")]
    fit = lines.fit()
    blocks = [
        *_checkpoint(lines.translator, subject.seed),
        Heading("The commands that reproduce it"),
        Text("This page:"),
        Commands([lines.command("report", "--n", subject.n, out="report.html")]),
    ]
    if fit is not None:
        words = (
            "A translator like this one, as far as its checkpoint tells (where time was limited, the number of steps "
            "also depends on the machine):"
        )
        blocks += [Text(words), Commands([fit])]
    return blocks


def _checkpoint(translator: Path, seed: int) -> list[Block]:
    """Say what the checkpoint remembers of network, data and fit."""
    (info,) = describe(translator).checkpoints
    network, data = info.backbone or {}, info.data or {}
    facts: dict[str, Any] = {
        "Translator": info.file,
        "SHA-256 of the translator": info.sha256,
        "Size of the translator": f"{info.size_bytes:,} bytes, {info.parameters:,} parameters",
        "Network": network.get("source"),
        "SHA-256 of the network": network.get("sha256"),
        "Data": data.get("name"),
        "Data root": data.get("root"),
        "Fingerprint of the data": data.get("fingerprint"),
        "Seed of this page": str(seed),
    }
    versions = {f"{name} at the fit": version for name, version in (info.versions or {}).items()}
    blocks: list[Block] = [Facts(facts), Facts(versions)]
    training = {key: str(value) if key == "seed" else value for key, value in (info.training or {}).items()}
    if training:
        plan = {key.replace("_", " "): plain(training[key]) for key in sorted(training) if key not in OUTCOME}
        outcome = {words: plain(training[key]) for key, words in OUTCOME.items() if key in training}
        blocks += [Heading("The fit: what came of it"), Facts(outcome), Heading("The fit: its plan"), Facts(plan)]
    return blocks
