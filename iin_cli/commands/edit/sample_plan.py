"""Say what a sampling would do, without tensors: read what the checkpoints say of themselves, and write nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...editing.described import described_factors
from ...editing.sampling import Sampling, choose_parts
from ...errors import CheckpointError, UsageError
from ...io import checkpoint
from ...io.manifest import SHARD_SEEDS, goes_on
from ...io.shards import PICTURES
from ...results import Result

__all__ = ["SamplePlan", "plan_sample"]


@dataclass(frozen=True)
class SamplePlan(Result):
    """What would be drawn.

    Attributes:
        out: the folder, None for the next numbered one; `resumes`: whether an earlier run began there.
        count: images; `files`: how many files they take.
        backbone: the network that draws them; `image_size`: their side, None where it is known only to the network.
        fixed: factor -> image that it comes from, in partial sampling.
        varied: the factors drawn at random.
    """

    out: str | None
    resumes: bool
    count: int
    files: int
    format: str
    translator: str
    backbone: str
    image_size: int | None
    prior: str
    truncation: float
    fixed: dict[str, str]
    varied: tuple[str, ...]


def plan_sample(
    translator: Path, seeds: Sequence[int], out: Path | None, sampling: Sampling, backbone: Path | None = None
) -> SamplePlan:
    """Say what `commands.edit.sample.sample` would do with the same arguments.

    Raises UsageError for a classifier, an unknown factor, and a folder with anything else in it, CheckpointError for a
    file that is damaged or gone. Whether the backbone's weights are those the translator was fitted to is not checked.
    """
    file = checkpoint.locate(translator, "translator")
    factors = described_factors(file)
    recorded = checkpoint.describe(file, "translator").get("backbone")
    source, image_size = _network(file, recorded, backbone)
    parts = choose_parts(factors, sampling.fix, sampling.vary)
    resumes = goes_on(out)
    return SamplePlan(
        out=None if out is None else str(out),
        resumes=resumes,
        count=len(seeds),
        files=len(seeds) if sampling.format in PICTURES else -(-len(seeds) // SHARD_SEEDS),
        format=sampling.format,
        translator=str(file),
        backbone=source,
        image_size=image_size,
        prior=sampling.prior,
        truncation=sampling.truncation,
        fixed={name: str(path) for name, path in parts.images.items()} if parts else {},
        varied=parts.varied if parts else factors.names,
    )


def _network(translator: Path, recorded: Mapping[str, Any] | None, moved: Path | None) -> tuple[str, int | None]:
    """Return where the network is, and the side of its images where its checkpoint says so."""
    if recorded is None and moved is None:
        raise UsageError(f"{translator} was fitted to latents alone: say with --backbone which network draws from them")
    recorded = recorded or {}
    source = str(moved or recorded["source"])
    is_there = Path(source).exists()
    if not is_there and (moved is not None or Path(source).is_absolute()):
        raise CheckpointError(f"the backbone of {translator} is not at {source}: say where it is now with --backbone")
    if not is_there or recorded.get("weights", "default") != "default":
        # A registered name, of which the registry knows no more; what may have moved is the file of its weights.
        return recorded.get("source", source), None
    metadata = checkpoint.describe(Path(source), "backbone")
    # What builds a network trained here says the same.
    facts = {**(metadata.get("config") or {}), **metadata}
    if facts.get("classes"):
        raise UsageError(f"{facts['name']} is a classifier and draws no images: use `iin walk --mode ou`")
    return source, facts.get("image_size")
