"""`iin fid`: open what two names stand for, or a translator and its data, and measure Fréchet distances."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ...data import open_dataset
from ...distributed import choose_device, gather
from ...editing.priors import BackbonePrior, Prior, TranslatorPrior
from ...errors import CheckpointError, DataError, UsageError, nearest
from ...fid.distance import FidResult, Source, distance, measure_both
from ...fid.feature_networks import FeatureChoice
from ...fid.image_sets import Stored
from ...fid.protocol import fid_protocol
from ...fid.scores import ProtocolResult
from ...interpretation.data_choice import DataChoice
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.opening import open_translator
from ...io import checkpoint
from ...leading import leaders_first
from ...metrics.fid import Statistics, read_statistics, write_statistics
from ...progress import Reporter, Silent
from ...registry import names

__all__ = ["PRIORS", "PriorChoice", "fid", "fid_of_translator"]

PRIORS = ("translator", "backbone")


@dataclass(frozen=True)
class PriorChoice:
    """Which priors draw images, checked when it is made.

    Attributes:
        names: of `PRIORS`; one that is given twice counts once.
        truncation: ψ in (0, 1] of the translator's prior; the backbone's stays N(0, 1).
    """

    names: Sequence[str] = PRIORS
    truncation: float = 1.0

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in PRIORS:
                raise UsageError(f"--prior {name}: {nearest(name, PRIORS)}")
        if not 0 < self.truncation <= 1:
            raise UsageError(
                f"--truncation {self.truncation:g}: give a number above 0 and at most 1, which is all of the prior"
            )

    def of(self, opened: OpenTranslator) -> list[Prior]:
        """Return the priors. UsageError for a translator whose network draws no images."""
        backbone = opened.require_network().require_images().backbone
        known = {"translator": TranslatorPrior(opened, self.truncation), "backbone": BackbonePrior(backbone)}
        return [known[name] for name in dict.fromkeys(self.names)]


def fid(
    a: str,
    b: str,
    choice: DataChoice,
    features: FeatureChoice,
    *,
    backbone: Path | None = None,
    device: str = "auto",
    save_stats: Path | None = None,
    report: Reporter | None = None,
) -> FidResult:
    """Measure the distances between the images that `a` and `b` name; density and coverage take those of `a` as real.

    Args:
        a, b: a folder of images (all of them), a dataset's name, a translator or a statistics file (`.safetensors`,
            pytorch-fid's `.npz`).
        choice: root and split of datasets; `n` images of each set, chosen by the seed where there are more. Default:
            all; a translator draws as many as the other set has, else 10,000.
        features: the network whose features are compared.
        backbone: where the translators' backbone lies now, if it was moved.
        save_stats: a new file for the statistics of `a`.

    Raises DataError (missing, corrupt or too few images), CheckpointError (damaged or incomparable files), UsageError.
    """
    started, report, on = time.monotonic(), report or Silent(), choose_device(device)
    if save_stats is not None:
        _require_new(save_stats)
    with leaders_first():
        named = {name: _open(name, choice, on, backbone, report) for name in dict.fromkeys((a, b))}
    is_needed = any(not isinstance(source, Statistics) for source in named.values())
    network = features.open(on, report) if is_needed else None
    both = measure_both(named[a], named[b], network, n=choice.n, seed=choice.seed, batch=features.batch, report=report)
    result = None
    # The main rank alone has both.
    if both is not None:
        of_a, of_b = both
        name = None if network is None else network.name
        # What was drawn is compared with what is real, whichever comes first.
        drawn_first = isinstance(named[a], OpenTranslator) and not isinstance(named[b], OpenTranslator)
        result = distance(
            of_a,
            of_b,
            network=name,
            seed=choice.seed,
            started=started,
            report=report,
            device=on,
            b_is_reference=drawn_first,
        )
        if save_stats is not None:
            write_statistics(save_stats, of_a.statistics)
    return gather(result)[0]


def fid_of_translator(
    translator: Path,
    choice: DataChoice,
    features: FeatureChoice,
    priors: PriorChoice,
    *,
    trials: int = 3,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> ProtocolResult:
    """Compare a translator's images with its data, between floor and ceiling; see `fid_protocol`.

    Args:
        translator: checkpoint or run folder.
        choice: the reference, default the translator's own data; `n` images of a trial; the first seed.
        features: the network whose features are compared.
        backbone: where the translator's backbone lies now, if it was moved.

    Raises what `fid_protocol` does, CheckpointError for damaged files, UsageError for a classifier or an unknown name.
    """
    report, on = report or Silent(), choose_device(device)
    opened = open_translator(translator, on, backbone, report=report)
    chosen = priors.of(opened)
    with leaders_first():
        dataset = choice.open(opened.recorded_data, report)
    return fid_protocol(
        opened,
        chosen,
        dataset,
        features.open(on, report),
        reference=choice.split,
        n=choice.n,
        trials=trials,
        seed=choice.seed,
        batch=features.batch,
        report=report,
    )


def _open(name: str, choice: DataChoice, device: torch.device, backbone: Path | None, report: Reporter) -> Source:
    """Open statistics, a translator (checkpoint or run folder), a dataset's split or a whole folder."""
    path = Path(name).expanduser()
    if path.suffix.lower() == ".npz":
        return _statistics(path, choice.n)
    # A registered dataset wins over a folder of its name, here as in open_dataset.
    is_run = name not in names("datasets") and (path / "translator.safetensors").is_file()
    if path.suffix.lower() != ".safetensors" and not is_run:
        return Stored.of(open_dataset(name, choice.root, report, choice.skip_bad), choice.split, choice.n, choice.seed)
    file = checkpoint.locate(path, "translator")
    kind = checkpoint.describe(file)["kind"]
    if kind == "statistics":
        return _statistics(file, choice.n)
    if kind != "translator":
        raise CheckpointError(f"{file} is a {kind}: give a translator, statistics, a dataset or a folder of images")
    return open_translator(file, device, backbone, report=report)


def _statistics(file: Path, n: int | None) -> Statistics:
    statistics = read_statistics(file)
    if n is not None and statistics.n is not None and statistics.n < n:
        raise DataError(f"{file} was made from {statistics.n} images, fewer than --n {n}: give a smaller --n")
    return statistics


def _require_new(save_stats: Path) -> None:
    if save_stats.suffix.lower() != ".safetensors":
        raise UsageError(f"--save-stats {save_stats}: name a file that ends in .safetensors")
    if save_stats.exists():
        raise UsageError(f"--save-stats {save_stats} exists already: choose another name or remove it")
