"""What a report is about, and the command lines that make its parts again."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import IinError
from ..interpretation.data_choice import choose_items
from ..interpretation.open_translator import OpenTranslator
from ..measures.audit.material import concept_of_factor
from ..plugin_api import Dataset
from ..progress import Reporter
from ..translator.factors import RESIDUAL

__all__ = ["PartOfData", "Subject"]


@dataclass(frozen=True)
class Subject:
    """An open translator with its data, what the user wished, and a folder for what is made on the way.

    Attributes:
        data, data_root, split, backbone, device: as the user gave them, paths made absolute.
        n: how many images are measured.
        glance: factor -> column -> what a section found of it, for the summary.
    """

    opened: OpenTranslator
    dataset: Dataset
    data: str | None
    data_root: Path | None
    split: str
    backbone: Path | None
    device: str
    n: int
    seed: int
    folder: Path
    report: Reporter
    glance: dict[str, dict[str, str | None]] = field(default_factory=dict)

    @property
    def translator(self) -> Path:
        """The checkpoint's absolute path."""
        return self.opened.path.resolve()

    @property
    def concepts(self) -> tuple[str, ...]:
        """The factors that are concepts: all but the residual."""
        return tuple(name for name in self.opened.factors.names if name != RESIDUAL)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes of a classifier; None where the backbone draws images."""
        return self.opened.backbone.classes

    def where(self) -> dict[str, Any]:
        """Return the arguments that every workflow takes alike."""
        return {
            "data": self.data,
            "data_root": self.data_root,
            "split": self.split,
            "seed": self.seed,
            "backbone": self.backbone,
            "device": self.device,
            "report": self.report,
        }

    def command(self, name: str, *words: object, out: str) -> str:
        """Return the command line that does with this translator what a section did; `out` is free to be changed."""
        given: list[object] = ["iin", name]
        given += [self.translator] if name == "report" else ["--translator", self.translator]
        given += [*words]
        for option, value in (("--backbone", self.backbone), ("--data", self.data), ("--data-root", self.data_root)):
            given += [option, value] if value is not None else []
        given += ["--split", self.split] if self.split != "test" else []
        given += ["--device", self.device] if self.device != "auto" else []
        return shlex.join(map(str, [*given, "--seed", self.seed, "--out", out]))

    def concept(self, factor: str) -> str:
        """Say how to write the concept of a factor, its bare name where neither data nor program know it."""
        try:
            return concept_of_factor(factor, self.opened.factors, self.dataset)
        except IinError:
            return factor

    def fit_command(self) -> str | None:
        """Return the command line of a fit like this one, as far as the checkpoint tells; None without a backbone."""
        metadata = self.opened.metadata
        known, data, training = (metadata.get(key) or {} for key in ("backbone", "data", "training"))
        if not known.get("source"):
            return None
        words = ["iin", "fit-translator", "--backbone", known["source"]]
        words += ["--weights", known["weights"]] if known.get("weights", "default") != "default" else []
        words += ["--layer", known["layer"]] if known.get("layer") else []
        for option, value in (("--data", data.get("name")), ("--data-root", data.get("root"))):
            words += [option, value] if value else []
        for name in self.concepts:
            words += ["--concept", self.concept(name)]
        dims = self.opened.factors.dims
        words += ["--dims", ",".join(f"{name}={dims[name]}" for name in self.concepts)] if self.concepts else []
        sigmas = {factor.name: factor.sigma for factor in self.opened.factors if factor.name != RESIDUAL}
        words += ["--sigma", ",".join(f"{name}={sigma:g}" for name, sigma in sigmas.items())] if sigmas else []
        plan = {**training, **self._plan()}
        for option in ("preset", "batch_pairs", "blocks", "hidden", "depth", "feature_noise", "learning_rate"):
            words += [f"--{option.replace('_', '-')}", plan[option]] if plan.get(option) is not None else []
        # Of these the checkpoint holds what was done; only the plan beside it says what was allowed.
        for option in ("steps", "max_seconds"):
            words += [f"--{option.replace('_', '-')}", self._plan()[option]] if self._plan().get(option) else []
        words += ["--seed", training["seed"]] if training.get("seed") is not None else []
        return shlex.join(map(str, words))

    def _plan(self) -> dict[str, Any]:
        """Read the plan beside the checkpoint; nothing where there is none, or it is another's."""
        try:
            plan = json.loads((self.translator.parent / "plan.json").read_text(encoding="utf-8"))
            return dict(plan["plan"]) if plan.get("factors") == self.opened.factors.dims else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


class PartOfData(Dataset):
    """A dataset of which only `count` training items, drawn by `seed`, are used; all else is as it is."""

    def __init__(self, dataset: Dataset, count: int, seed: int) -> None:
        self._whole = dataset
        items = dataset.splits["train"]
        if len(items) > count:
            items = choose_items(dataset, "train", count, seed)
        self.splits = {**dataset.splits, "train": np.sort(items)}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def images(self, indices: np.ndarray, size: int, *interpolation: Any) -> np.ndarray:
        """Return images of the whole dataset."""
        return self._whole.images(indices, size, *interpolation)

    def path(self, index: int) -> str:
        """Return what the whole dataset calls an item."""
        return self._whole.path(index)
