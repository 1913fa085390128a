"""What of a run is published: the checkpoint, its network, its plan and its audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..guests.loading import FIRST_PARTY
from ..hub.address import is_address
from ..hub.fetching import local
from ..interpretation.network import FROM_PYTHON
from ..interpretation.opening import BESIDE
from ..io import checkpoint
from ..io.rundir import PLAN_NAME
from ..io.schema import read_json
from ..packaged_weights import is_weights_file
from ..progress import Reporter
from .card import Audited, NetworkUse

__all__ = ["Contents", "NetworkFound", "contents_of"]

KINDS = ("translator", "backbone")
AUDIT = "audit.json"


@dataclass(frozen=True)
class NetworkFound:
    """The network of a translator: its checkpoint, where that is one of iin's, and how a card says to use it."""

    file: Path | None
    use: NetworkUse


@dataclass(frozen=True)
class Contents:
    """The files of a run that are published.

    Attributes:
        main: a translator's or a backbone's checkpoint, with its metadata.
        network: of a translator; None for a backbone.
        plan: None where there is none.
        audit: `audit.json` of the translator; None where there is none.
    """

    main: Path
    metadata: Mapping[str, Any]
    network: NetworkFound | None
    plan: Path | None
    audit: Path | None

    @property
    def kind(self) -> str:
        """`translator` or `backbone`."""
        return self.metadata["kind"]


def contents_of(run: Path, audit: Path | None, backbone: Path | None, report: Reporter) -> Contents:
    """Find and check what is published of `run`, a folder or a checkpoint.

    Args:
        audit: the folder of an audit or its `audit.json`; None looks in the run.
        backbone: where the translator's backbone lies now, if it was moved.

    Raises CheckpointError for damaged files, another backbone, and the audit of another translator.
    """
    main, metadata = _main(run)
    checkpoint.verify(main, report)
    plan = run / PLAN_NAME if run.is_dir() and (run / PLAN_NAME).is_file() else None
    if metadata["kind"] == "backbone":
        return Contents(main, metadata, None, plan, None)
    network = _network(main, metadata.get("backbone"), backbone, report)
    return Contents(main, metadata, network, plan, _audit(audit, main.parent, metadata))


def _main(run: Path) -> tuple[Path, dict[str, Any]]:
    """Return the checkpoint of a run, a translator before a backbone, and its metadata."""
    if not run.is_dir():
        metadata = checkpoint.describe(run)
        if metadata["kind"] not in KINDS:
            raise CheckpointError(f"{run} is a {metadata['kind']}: the Hub takes a translator or a backbone")
        return run, metadata
    for kind in KINDS:
        if (file := run / f"{kind}.safetensors").is_file():
            return file, checkpoint.describe(file, kind)
    inside = sorted({file.parent.name for kind in KINDS for file in run.glob(f"*/{kind}.safetensors")})
    hint = f": name one of its folders, {', '.join(inside)}" if inside else ""
    raise CheckpointError(f"{run} has neither translator.safetensors nor backbone.safetensors{hint}")


def _network(main: Path, recorded: Mapping[str, Any] | None, moved: Path | None, report: Reporter) -> NetworkFound:
    if recorded is None:
        said = "It was fitted to latents alone: `transform` takes latents of the same network, from any program."
        return NetworkFound(None, NetworkUse(said, shell=None))
    source, weights = recorded["source"], recorded.get("weights", "default")
    if source.startswith(FROM_PYTHON):
        report.warn(f"the network of {main} was given from Python, and is not sent")
        said = "Its network was given from Python, and is not here: open the translator with the same one."
        return NetworkFound(None, NetworkUse(said, shell=None, python=", network=network"))
    package = FIRST_PARTY["backbones"].get(source.partition(":")[0])
    if is_weights_file(weights):
        report.warn(f"{weights}, the weights of {source}, are not iin's, and are not sent")
        said = f"Its network is `{source}` with weights from a file, `{Path(weights).name}`, which is not here."
        return NetworkFound(None, NetworkUse(said, " --backbone FILE", ', backbone="FILE"', package))
    is_file = is_address(source) or Path(source).is_absolute() or source == BESIDE
    if moved is None and not is_file:
        with_weights = f" with the weights `{weights}`" if weights != "default" else ""
        said = f"Its network is `{source}`{with_weights}, which iin opens by that name."
        return NetworkFound(None, NetworkUse(said, package=package))
    beside = main.parent / BESIDE
    file = _same(main, moved or (beside if beside.is_file() else local(source, report)), recorded["sha256"], report)
    return NetworkFound(file, NetworkUse(f"Its network is here, too, in `{BESIDE}`, and is found by itself."))


def _same(main: Path, place: Path, sha256: str, report: Reporter) -> Path:
    """Return the checkpoint at `place`; CheckpointError where it is not the one that `main` was fitted to."""
    if not place.exists():
        raise CheckpointError(f"the backbone of {main} is not at {place}: say where it is now with --backbone")
    file = checkpoint.locate(place, "backbone")
    checkpoint.verify(file, report)
    if (found := checkpoint.digest(file)) != sha256:
        raise CheckpointError(
            f"{file} is not the backbone {main} was fitted to: sha256 {found[:12]}…, expected {sha256[:12]}…; say "
            "where that is with --backbone"
        )
    return file


def _audit(given: Path | None, folder: Path, metadata: Mapping[str, Any]) -> Path | None:
    """Return the `audit.json` of this translator: the one given, else one in the run."""
    if given is not None:
        file = given / AUDIT if given.is_dir() else given
        if not file.is_file():
            raise CheckpointError(f"--audit {given}: there is no {AUDIT}; make one with iin audit")
    else:
        found = [place for place in (folder / AUDIT, folder / "audit" / AUDIT) if place.is_file()]
        if not found:
            return None
        file = found[0]
    factors = {factor["name"]: factor["dim"] for factor in metadata["factors"]}
    if (audited := read_json(file, Audited).factors) != factors:
        shown = ", ".join(f"{name} ({dim})" for name, dim in audited.items())
        raise CheckpointError(f"{file} is the audit of another translator, with the factors {shown}: give --audit")
    return file
