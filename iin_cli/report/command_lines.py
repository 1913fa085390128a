"""The command lines that measure or draw again what a report shows."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from ..errors import IinError
from ..interpretation.data_choice import DataChoice
from ..interpretation.factor_concepts import concept_of_factor
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.reading import ChosenData
from ..plugin_api import Dataset
from ..registry import names
from ..translator.factors import RESIDUAL

__all__ = ["CommandLines", "written_concept"]

# Options of a fit that its plan, or else its checkpoint, remembers.
PLANNED = ("preset", "batch_pairs", "blocks", "hidden", "depth", "feature_noise", "learning_rate")
# The checkpoint holds how much of these was used; only the plan beside it says how much was allowed.
ALLOWED = ("steps", "max_seconds")


@dataclass(frozen=True)
class CommandLines:
    """Command lines about one translator and its data.

    Attributes:
        translator: the checkpoint's absolute path.
        choice: the data as the user chose it, paths made absolute.
        backbone: where the user says the network lies now, absolute.
        device: as the user gave it.
    """

    opened: OpenTranslator
    dataset: Dataset
    translator: Path
    choice: DataChoice
    backbone: Path | None
    device: str

    @classmethod
    def of(cls, data: ChosenData, backbone: Path | None = None, device: str = "auto") -> Self:
        """Make the paths of the user's choices absolute, so that the lines can be typed anywhere."""
        given, root = data.choice.data, data.choice.root
        if given is not None and given not in names("datasets") and Path(given).expanduser().exists():
            given = str(Path(given).expanduser().resolve())
        choice = replace(data.choice, data=given, root=root.resolve() if root is not None else None)
        moved = backbone.resolve() if backbone is not None else None
        return cls(data.opened, data.dataset, data.opened.require_path().resolve(), choice, moved, device)

    def command(self, name: str, *words: object, out: str) -> str:
        """Return the command line that does what a section did; `out` is free to be changed."""
        choice, given = self.choice, ["iin", name]
        given += [self.translator] if name == "report" else ["--translator", self.translator]
        given += [*words]
        for option, value in (("--backbone", self.backbone), ("--data", choice.data), ("--data-root", choice.root)):
            given += [option, value] if value is not None else []
        given += ["--split", choice.split] if choice.split != "test" else []
        given += ["--device", self.device] if self.device != "auto" else []
        return _joined([*given, "--seed", choice.seed, "--out", out])

    def dims(self) -> str:
        """Return the command line that weighs every concept on all training images."""
        network, recorded = self.opened.require_network(), self.opened.recorded_data
        words: list[object] = ["iin", "estimate-dims", "--backbone", network.source]
        words += ["--weights", network.weights] if network.weights != "default" else []
        words += ["--layer", network.layer] if network.layer else []
        words += self._concepts()
        for option, given, known in (("--data", self.choice.data, "name"), ("--data-root", self.choice.root, "root")):
            value = given if given is not None else recorded.get(known)
            words += [option, value] if value else []
        return _joined([*words, "--seed", self.choice.seed])

    def fit(self) -> str | None:
        """Return the command line of a fit like this one, as far as the checkpoint tells; None without a backbone."""
        metadata, factors = self.opened.metadata, self.opened.factors
        known, data, training = (metadata.get(key) or {} for key in ("backbone", "data", "training"))
        if not known.get("source"):
            return None
        words: list[object] = ["iin", "fit-translator", "--backbone", known["source"]]
        words += ["--weights", known["weights"]] if known.get("weights", "default") != "default" else []
        words += ["--layer", known["layer"]] if known.get("layer") else []
        for option, value in (("--data", data.get("name")), ("--data-root", data.get("root"))):
            words += [option, value] if value else []
        words += self._concepts()
        named = [factor for factor in factors if factor.name != RESIDUAL]
        words += ["--dims", ",".join(f"{factor.name}={factor.dim}" for factor in named)] if named else []
        words += ["--sigma", ",".join(f"{factor.name}={factor.sigma:g}" for factor in named)] if named else []
        allowed = self._plan()
        plan = {**training, **allowed}
        for option in PLANNED:
            words += [f"--{option.replace('_', '-')}", plan[option]] if plan.get(option) is not None else []
        for option in ALLOWED:
            words += [f"--{option.replace('_', '-')}", allowed[option]] if allowed.get(option) else []
        words += ["--seed", training["seed"]] if training.get("seed") is not None else []
        return _joined(words)

    def _concepts(self) -> list[object]:
        concepts = [name for name in self.opened.factors.names if name != RESIDUAL]
        return [word for name in concepts for word in ("--concept", written_concept(name, self.opened, self.dataset))]

    def _plan(self) -> dict[str, Any]:
        """Read the plan beside the checkpoint; nothing where there is none, or it is another's."""
        try:
            plan = json.loads((self.translator.parent / "plan.json").read_text(encoding="utf-8"))
            return dict(plan["plan"]) if plan.get("factors") == self.opened.factors.dims else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}


def written_concept(factor: str, opened: OpenTranslator, dataset: Dataset) -> str:
    """Say how to write the concept of a factor: its bare name where neither data nor program know it."""
    try:
        return concept_of_factor(factor, opened.factors, dataset)
    except IinError:
        return factor


def _joined(words: list[Any]) -> str:
    return shlex.join(map(str, words))
