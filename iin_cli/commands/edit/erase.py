"""Write a network whose answers no longer depend on some factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...distributed import choose_device
from ...editing.erasing import ErasedEffect, Erasing, describe_erased, effect_of, erase, erased_latents
from ...editing.leftovers import Learned, learn_leftovers
from ...errors import DataError, UsageError
from ...interpretation.data_choice import DataChoice
from ...interpretation.encoding import is_encoded
from ...interpretation.factor_concepts import concept_of_factor, given_concepts
from ...interpretation.grouping import find_providers, group
from ...interpretation.network import Network
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData
from ...io import checkpoint
from ...io.output import Output
from ...measures.audit.remains import Remains, remains
from ...plugin_api import ConceptProvider
from ...progress import Reporter, Silent
from ...results import Result, Table
from ...sizing.paired_latents import PairedLatents

__all__ = ["EraseResult", "erase_factors"]

PRODUCT = "backbone.safetensors"
# Test images on which the effect is measured, where there are as many.
USUAL = 512
# Training images that pairs are made of: all that a fit has encoded, if they are no more than this, else so many drawn.
MANY, DRAWN = 20_000, 5000
WORDS = {
    "images": "images measured",
    "changed": "answers that erasing changes",
    "exchanged_before": "change by exchanging the factors, before",
    "exchanged_after": "change by exchanging the factors, after",
    "accuracy_before": "accuracy before",
    "accuracy_after": "accuracy after",
}


@dataclass(frozen=True)
class EraseResult(Result):
    """What was written.

    Attributes:
        checkpoint: the file, for `--backbone`.
        factors: what was erased.
        draws: over how many draws of them answers are averaged; 0: they are at their mean.
        effect: what that does to answers; None without images, and for an encoder without a head.
        leftovers: what other factors kept of them and lost; None where nothing was learned of that.
        told: how well probes tell each concept from latents, before and after.
        skipped: concept -> why probes could not tell it.
    """

    checkpoint: str
    sha256: str
    factors: tuple[str, ...]
    draws: int
    seed: int
    translator: str
    effect: ErasedEffect | None
    out: str
    leftovers: dict[str, Any] | None = None
    told: tuple[Remains, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)

    def tables(self) -> list[Table]:
        """Return what is told of the concepts, and the effect, as titled tables."""
        tables: list[Table] = []
        if self.told:
            tables.append(("what probes tell from latents", [each.as_row() for each in self.told]))
        if self.effect is not None:
            figures = {name: value for name, value in self.effect.as_dict().items() if value is not None}
            rows = [{"figure": WORDS[name], "value": figures[name]} for name in figures]
            tables.append(("what erasing does to answers", rows))
        return tables


def erase_factors(
    translator: Path,
    how: Erasing,
    out: Path | None = None,
    *,
    choice: DataChoice | None = None,
    concepts: Sequence[str] = (),
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> EraseResult:
    """Erase factors of a translator from its network, and write that as a backbone's checkpoint.

    The checkpoint holds copies of the network and of T: it opens where both are gone.

    Args:
        out: a new folder, or a new `.safetensors` file.
        choice: data whose training images say what other factors keep, and images on which the effect is measured,
            `n` of them, by default 512 or what there is.
        concepts: `NAME[:ARGUMENT]` of concepts that the name of their factor does not say.
        backbone: where the translator's backbone lies now, if it was moved.

    Raises UsageError (no or unknown factor, all factors, taken `out`, concepts), DataError (data that the user names),
    CheckpointError (damaged files).
    """
    report, choice = report or Silent(), choice or DataChoice()
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    # Before any work, for what they refuse.
    opened.require_network()
    how.eraser(opened)
    with Output.open(out, f"erase-{'-'.join(how.factors)}", (".safetensors",), "a backbone") as output:
        work = _Work(opened, how, ChosenData(opened, choice, report), given_concepts(concepts, opened.factors))
        learned = work.learned()
        network = erase(opened, how, None if learned is None else learned.leftovers)
        measured = work.measured(network)
        file = output.path if output.is_file else output.path / PRODUCT
        module: Any = network.backbone
        checkpoint.save(file, module.state_dict(), describe_erased(opened, network, how, learned))
        result = EraseResult(
            str(file),
            checkpoint.digest(file),
            how.factors,
            how.draws,
            how.seed,
            opened.called,
            measured.effect,
            str(output.path),
            None if learned is None else learned.as_dict(),
            measured.told,
            measured.skipped,
        )
        if not output.is_file:
            output.write_json("result.json", result.as_dict())
        return result


@dataclass(frozen=True)
class _Measured:
    """What was measured of an erased network."""

    effect: ErasedEffect | None = None
    told: tuple[Remains, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Work:
    """What is erased with data: the training images that are learned from, the others that are measured."""

    opened: OpenTranslator
    how: Erasing
    data: ChosenData
    given: dict[str, ConceptProvider]

    def learned(self) -> Learned | None:
        """Learn what other factors keep; say why not where there are no pairs."""
        report, names = self.data.report, self.how.factors
        try:
            pairs = self._pairs()
            found = learn_leftovers(self.opened, names, pairs.fit, pairs.held_out, self.how.seed, report)
        except (DataError, UsageError) as error:
            # What the user names must be there and do; what a checkpoint remembers may be gone.
            if self.data.choice.data is not None:
                self.data.split_items()
            if self.given:
                raise
            report.warn(f"what other factors keep of {', '.join(names)} is not taken out: {error}")
            return None
        if found is None:
            report.note(f"nothing was found in held-out pairs that other factors keep of {', '.join(names)}")
        return found

    def _pairs(self) -> PairedLatents:
        """Group and encode training images, each once ever, by the erased concepts whose pairs differ in them alone.

        Raises DataError where no factor was fitted to such pairs, where the data cannot make them, and as `group`.
        """
        factors, dataset, names = self.opened.factors, self.data.dataset, self.how.factors
        differ = [each.name for each in factors if each.name in names and each.relation == "differ"]
        if not differ:
            raise DataError(
                "it was fitted to pairs that share it; fit it to pairs that differ in it alone, as redraw:NAME"
            )
        if shared := [name for name in names if name not in differ]:
            self.data.report.note(f"what other factors keep of {', '.join(shared)}, of pairs that share it, stays")
        providers = [
            self.given.get(name) or find_providers([concept_of_factor(name, factors, dataset)])[0] for name in differ
        ]
        drawn = self.training_images < len(dataset.splits["train"])
        most = self.training_images if drawn else None
        found = group(self.data.network, dataset, providers, self.fit_seed, self.data.report, most)
        return PairedLatents.of_groups(found.table, found.pairs, found.held_out, self.fit_seed)

    @cached_property
    def fit_seed(self) -> int:
        """The seed of the fit, whose latents are kept."""
        return int((self.opened.metadata.get("training") or {}).get("seed") or 0)

    @cached_property
    def training_images(self) -> int:
        """How many training images are learned from."""
        items = np.asarray(self.data.dataset.splits.get("train", ()), np.int64)
        if len(items) <= DRAWN or (len(items) <= MANY and is_encoded(self.data.network, self.data.dataset, items)):
            return len(items)
        return DRAWN

    def measured(self, network: Network) -> _Measured:
        """Measure what is left in latents, and the effect on answers; say what cannot be measured, and why."""
        choice, report = self.data.choice, self.data.report
        try:
            reading = self.data.read(choice.n or USUAL)
            # The images that pairs were made of: they are encoded.
            same = replace(self.data.choice, seed=self.fit_seed)
            data = ChosenData.in_memory(self.opened, self.data.dataset, same, report)
            training = data.read_training(self.training_images)
        except DataError as error:
            if choice.data is not None:
                raise
            report.warn(f"the effect on answers is not measured: {error}")
            return _Measured()
        erased = partial(erased_latents, network)
        told, skipped = remains(reading, training, erased, self.how.factors, self.given, self.how.seed, report)
        for name, why in skipped.items():
            report.note(f"how well probes tell {name} is not measured: {why}")
        if network.backbone.has_head:
            return _Measured(effect_of(reading, network, self.how, report), tuple(told), skipped)
        report.note(f"{self.opened.require_network().name} has no head: the effect on answers is not measured")
        return _Measured(None, tuple(told), skipped)
