"""Write a network whose answers no longer depend on some factors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...distributed import choose_device
from ...editing.erasing import ErasedEffect, Erasing, describe_erased, effect_of, erase
from ...errors import DataError
from ...interpretation.data_choice import DataChoice
from ...interpretation.network import Network
from ...interpretation.open_translator import OpenTranslator
from ...interpretation.opening import open_translator
from ...interpretation.reading import ChosenData
from ...io import checkpoint
from ...io.output import Output
from ...progress import Reporter, Silent
from ...results import Result, Table

__all__ = ["EraseResult", "erase_factors"]

PRODUCT = "backbone.safetensors"
# Test images on which the effect is measured, where there are as many.
USUAL = 512
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
    """

    checkpoint: str
    sha256: str
    factors: tuple[str, ...]
    draws: int
    seed: int
    translator: str
    effect: ErasedEffect | None
    out: str

    def tables(self) -> list[Table]:
        """Return the effect as a titled table."""
        if self.effect is None:
            return []
        figures = {name: value for name, value in self.effect.as_dict().items() if value is not None}
        return [("what erasing does to answers", [{"figure": WORDS[name], "value": figures[name]} for name in figures])]


def erase_factors(
    translator: Path,
    how: Erasing,
    out: Path | None = None,
    *,
    choice: DataChoice | None = None,
    backbone: Path | None = None,
    device: str = "auto",
    report: Reporter | None = None,
) -> EraseResult:
    """Erase factors of a translator from its network, and write that as a backbone's checkpoint.

    The checkpoint holds copies of the network and of T: it opens where both are gone.

    Args:
        out: a new folder, or a new `.safetensors` file.
        choice: images on which the effect is measured, `n` of them, by default 512 or what there is.
        backbone: where the translator's backbone lies now, if it was moved.

    Raises UsageError (no or unknown factor, all factors, taken `out`), DataError (data that the user names),
    CheckpointError (damaged files).
    """
    report, choice = report or Silent(), choice or DataChoice()
    opened = open_translator(translator, choose_device(device), backbone, report=report)
    network = erase(opened, how)
    with Output.open(out, f"erase-{'-'.join(how.factors)}", (".safetensors",), "a backbone") as output:
        effect = _effect(opened, network, how, choice, report)
        file = output.path if output.is_file else output.path / PRODUCT
        module: Any = network.backbone
        checkpoint.save(file, module.state_dict(), describe_erased(opened, network, how))
        result = EraseResult(
            str(file),
            checkpoint.digest(file),
            how.factors,
            how.draws,
            how.seed,
            opened.called,
            effect,
            str(output.path),
        )
        if not output.is_file:
            output.write_json("result.json", result.as_dict())
        return result


def _effect(
    opened: OpenTranslator, network: Network, how: Erasing, choice: DataChoice, report: Reporter
) -> ErasedEffect | None:
    """Measure the effect; without images that can be read, and for an encoder without a head, say why it is not."""
    if not network.backbone.has_head:
        report.note(f"{opened.require_network().name} has no head: the effect on answers is not measured")
        return None
    try:
        data = ChosenData(opened, choice, report)
        return effect_of(data.read(choice.n or USUAL), network, how, report)
    except DataError as error:
        if choice.data is not None:
            raise
        report.warn(f"the effect on answers is not measured: {error}")
        return None
