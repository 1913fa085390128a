"""`Interpretation`: a network read through a translator, with a verb for everything a command does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from ..editing.erasing import Erasing, erase
from ..editing.leftovers import learn_leftovers
from ..editing.recipe import Recipe
from ..editing.samples import Samples, draw_samples
from ..editing.swap import SwapResult
from ..editing.swap import swap as swap_inputs
from ..editing.walk import WalkResult, show
from ..editing.walk_paths import GridWalk, LinearWalk, Wandering
from ..errors import DataError, UsageError
from ..fitting.pairs import GivenPairs, Pairs
from ..interpretation.data_choice import DataChoice
from ..interpretation.memory import MemoryDataset
from ..interpretation.network import Network
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.opening import FEATURE_NOISE
from ..interpretation.pictures import count_of
from ..interpretation.reading import ChosenData, Inputs, Reading
from ..io import checkpoint
from ..io.atomic import write_text
from ..latents.arrays import as_latents
from ..measures.audit.auditing import AuditResult
from ..measures.audit.auditing import audit as audit_reading
from ..measures.counterfactuals.counterfactuals import find_counterfactuals
from ..measures.counterfactuals.results import CounterfactualResult
from ..measures.edited.follow import follow_in_memory
from ..measures.edited.results import EditResult
from ..measures.embedding.embed import EmbedResult, MapChoice, embed_items
from ..measures.explanation.edits import Edits
from ..measures.explanation.explain import explain_images
from ..measures.explanation.library import Library
from ..measures.explanation.results import ExplainResult
from ..measures.responses.measure import measure_responses
from ..measures.responses.results import RespondResult
from ..measures.responses.walks import WalkDesign
from ..metrics.bootstrap import Resampling
from ..report.making import ReportResult, make_report
from ..translator import edit
from ..translator.edit import OUWalk
from .exploring import explore
from .listening import Progress, listen

__all__ = ["Interpretation"]

CHECKPOINT = "translator.safetensors"
# Edits of each factor that an explanation makes where the user names no sources.
EDITS = 16


@dataclass(frozen=True, repr=False)
class Interpretation(OpenTranslator):
    """A network with a translator T between its latents z and named factors z̃.

    Made by `iin_cli.fit` or `iin_cli.load`. Images are given as `Network.encode` takes them; nothing is printed, and
    nothing is written but by `save` and `report`.

    Attributes:
        plan: how T is built and was fitted.
        history: the figures of every validation of the fit, oldest first; empty for a loaded one.
        warnings: what the fit warned of.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    explore = explore

    @property
    def plan(self) -> dict[str, Any]:
        """How T is built and was fitted, with the figures measured of it."""
        return {**self.metadata.get("config", {}), **self.metadata.get("training", {})}

    def __repr__(self) -> str:
        listed = ", ".join(f"{name} {size}" for name, size in self.factors.dims.items())
        network = "latents alone" if self.network is None else self.network.name
        return f"Interpretation({network}: {listed})"

    def _repr_html_(self) -> str:
        from ..results import as_html

        rows = [
            {"factor": each.name, "dimensions": each.dim, "sigma": each.sigma, "pairs": each.relation}
            for each in self.factors
        ]
        warned = [{"warning": text} for text in self.warnings]
        return as_html([(repr(self), rows), *([("warnings", warned)] if warned else [])])

    @overload
    def transform(self, z: Tensor, report: Any = None) -> Tensor: ...
    @overload
    def transform(self, z: np.ndarray, report: Any = None) -> np.ndarray: ...
    def transform(self, z: Any, report: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """T: z (…, N) -> z̃ (…, N), as the kind of array that was given.

        Raises DataError for another N, values that are not finite, or whole numbers.
        """
        found = super().transform(self._checked(z, "z"), report)
        return found.numpy() if isinstance(z, np.ndarray) else found

    @overload
    def inverse_transform(self, z_tilde: Tensor, report: Any = None) -> Tensor: ...
    @overload
    def inverse_transform(self, z_tilde: np.ndarray, report: Any = None) -> np.ndarray: ...
    def inverse_transform(self, z_tilde: Any, report: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """T⁻¹: z̃ (…, N) -> z (…, N), as the kind of array that was given; errors as `transform`."""
        found = super().inverse_transform(self._checked(z_tilde, "z_tilde"), report)
        return found.numpy() if isinstance(z_tilde, np.ndarray) else found

    def swap(self, x: Any, y: Any, factor: str | Sequence[str]) -> SwapResult:
        """Give images `x` one or several factors of images `y` (Fig 2): row by row, or each of each.

        Raises UsageError for an unknown factor, DataError for images that cannot be read.
        """
        return swap_inputs(self, self._inputs(x), self._inputs(y), _names(factor))

    def walk(self, x: Any, walk: OUWalk | LinearWalk | GridWalk, *, to: Any = None, seed: int = 0) -> WalkResult:
        """Walk from images `x`: at random (`OUWalk`, Eq 17), to images (`LinearWalk`), or between four (`GridWalk`).

        Args:
            to: where a linear walk ends, one image for each of `x`.
            seed: of a random walk.

        Raises UsageError for an unknown factor, and for `to` with any other walk.
        """
        starts = self._inputs(x)
        if isinstance(walk, LinearWalk):
            if to is None:
                raise UsageError("a linear walk needs images to end at: give to=…")
            return show(self, walk, walk.between(self, starts, self._inputs(to)), seed)
        if to is not None:
            raise UsageError("only a linear walk ends at images: leave to out, or walk with LinearWalk()")
        if isinstance(walk, OUWalk):
            wandering = Wandering(ou=walk, steps=walk.steps)
            return show(self, wandering, wandering.wander(self, starts, seed), seed)
        return show(self, walk, walk.spread(self, starts), seed)

    def edit(
        self,
        x: Any,
        recipe: Recipe,
        *,
        sources: Mapping[str, Any] | None = None,
        among: Any = None,
        labels: Mapping[str, Any] | None = None,
        progress: Progress = None,
    ) -> EditResult:
        """Follow `recipe` from the image `x`: what the network then answers, and which images are near.

        Args:
            sources: name -> the image that the recipe calls so; other names are files, or items of the own data.
            among: images that the edit is compared with, and axes are measured on; None takes the translator's own
                data, where it knows any. `labels` are theirs.

        Raises UsageError for an unknown factor, DataError for an image that is not there.
        """
        recipe.require(self.factors)
        known = {name: self.read(image).z_tilde for name, image in (sources or {}).items()}
        reading = None if among is None else self.read(among, labels)
        return follow_in_memory(self.read(x), recipe, known, reading, listen(progress))

    def axis(self, x: Any, has: Any) -> Tensor:
        """Eq 14: mean z̃ of the images `x` without an attribute minus that of those with it, (N,).

        Args:
            has: one value per image, true where it has the attribute.

        >>> # t.transform(z) - 2 * t.axis(x, smiling) adds twice the difference: the axis points away from it.
        """
        z_tilde = super().transform(self.require_network().encode(x))
        flags = torch.as_tensor(np.asarray(has)).bool()
        if flags.shape != (len(z_tilde),):
            raise DataError(
                f"has is of shape {tuple(flags.shape)}, and there are {len(z_tilde)} images: one value each"
            )
        return edit.attribute_axis(z_tilde, flags)

    def erase(
        self,
        factors: str | Sequence[str],
        *,
        pairs: Pairs | GivenPairs | None = None,
        draws: int = 0,
        seed: int = 0,
        progress: Progress = None,
    ) -> Network:
        """Return the network without some factors: neither its latents nor its answers depend on them.

        Args:
            pairs: whose members differ in the factors alone: what the other factors keep of them is learned from these,
                and taken out as well. None takes T at its word.
            draws: over how many draws of the factors answers are averaged; 0 sets the factors to their mean.

        Raises DataError for pairs of which none differs in the factors alone.
        """
        names, report, learned = _names(factors), listen(progress), None
        self.require_factors(names)
        if pairs is not None:
            latents = pairs.material(report).paired_latents(seed)
            learned = learn_leftovers(self, names, latents.fit, latents.held_out, seed, report)
        return erase(self, Erasing(names, draws, seed), None if learned is None else learned.leftovers)

    def sample(self, seeds: Sequence[int], truncation: float = 1.0) -> Samples:
        """Draw z̃ ~ N(0, ψ²) for each seed, and let the network answer T⁻¹(z̃) (Eq 13); a sample depends on its seed."""
        return draw_samples(self, seeds, truncation)

    def respond(
        self,
        x: Any,
        walk: OUWalk | None = None,
        *,
        walks: int = 1,
        controls: int = 3,
        labels: Mapping[str, Any] | None = None,
        seed: int = 0,
        progress: Progress = None,
    ) -> RespondResult:
        """Measure how much the network's answer to `x` depends on each factor, beside random subspaces (Fig 9).

        Beside it stands what really editing the images does, where their concept can be drawn or labels tell of it.

        Args:
            labels: column -> one label per image: how well the network does, and pairs that differ in one label alone.
            walk: Eq 17, and which factors; None walks each factor in turn.
            walks: walks from each image; `controls`: random subspaces beside each factor.
        """
        design = WalkDesign(walk or OUWalk(), walks, controls, seed)
        return measure_responses(self.read(x, labels), design, listen(progress))

    def audit(
        self,
        x: Any,
        labels: Mapping[str, Any],
        *,
        training: Any = None,
        resampling: Resampling | None = None,
        progress: Progress = None,
    ) -> AuditResult:
        """Measure whether each factor holds its concept, all of it and nothing else.

        Args:
            labels: concept -> one label or measurement per image; concepts without labels are skipped by name.
            training: rows of `x`, numbers (L,), a mask (M,) or a slice, from which probes learn; the others are
                audited. None audits all, and probes learn from the audited ones, in turn.

        Raises UsageError for rows that `x` does not have, and where they leave none to audit.
        """
        reading, report = self.read(x, labels), listen(progress)
        if training is None:
            return audit_reading(reading, resampling=resampling, report=report)
        taught = _rows(training, len(reading))
        audited = np.setdiff1d(np.arange(len(reading)), taught)
        if not len(taught) or not len(audited):
            raise UsageError(f"training names {len(taught)} of {len(reading)} images: some to learn from, not all")
        pool = reading.rows(audited)
        return audit_reading(pool, training=reading.rows(taught), resampling=resampling, report=report)

    def explain(
        self,
        x: Any,
        *,
        among: Any = None,
        labels: Mapping[str, Any] | None = None,
        sources: Any = None,
        factors: Sequence[str] = (),
        k: int = 5,
        seed: int = 0,
        progress: Progress = None,
    ) -> ExplainResult:
        """Change each factor of each image, and see what is predicted and which images are nearest.

        Args:
            among: images among which the nearest are searched; None takes `x` itself. `labels` are theirs.
            sources: images to take factors from; None takes 16 of `among`, drawn by `seed`.
            factors: those to change; all where none is named.
            k: nearest images of each edit.
        """
        reading = self.read(x if among is None else among, labels)
        given = self._inputs(sources) if sources is not None else self._drawn(reading, EDITS, seed)
        edits = Edits.of_sources(self, factors, given)
        return explain_images(Library.of(reading, k), self._inputs(x), edits, report=listen(progress))

    def counterfactual(
        self,
        x: Any,
        target: str | Sequence[str],
        *,
        factors: Sequence[str] = (),
        among: Any = None,
        labels: Mapping[str, Any] | None = None,
        oracle: Network | None = None,
        k: int = 5,
        progress: Progress = None,
    ) -> CounterfactualResult:
        """Find the smallest ‖Δz̃_k‖, factor by factor and for all at once, with which G(T⁻¹(z̃)) says `target`.

        Args:
            target: a class, several, or `all`: every class but the image's own.
            factors: those to edit, one at a time; all where none is named.
            among: real images, best some that T was not fitted to: they say what is likely, what the factors of a class
                are like, and what is nearest to an edit; None takes `x` itself. `labels` are theirs.
            oracle: a classifier of the images that the network draws.
            k: nearest images of each edit.

        Raises UsageError for an unknown class or factor, and for a network that names no class without an oracle.
        """
        reading = self.read(x if among is None else among, labels)
        library, given = Library.of(reading, k), self._inputs(x)
        return find_counterfactuals(library, reading, given, _names(target), factors, oracle, report=listen(progress))

    def embed(
        self,
        x: Any,
        *,
        labels: Mapping[str, Any] | None = None,
        maps: MapChoice | None = None,
        walk: OUWalk | None = None,
        seed: int = 0,
        progress: Progress = None,
    ) -> EmbedResult:
        """Draw maps of the latents and factors of `x`, with walks on them (Figs 10, 13, 14)."""
        choice = maps or MapChoice(method="pca")
        return embed_items(self.read(x, labels), choice, walk or OUWalk(steps=50), seed, listen(progress))

    def report(
        self,
        x: Any,
        path: str | Path,
        *,
        labels: Mapping[str, Any] | None = None,
        seed: int = 0,
        progress: Progress = None,
    ) -> ReportResult:
        """Write everything that can be measured on `x` as one HTML page, a new file `path`."""
        file, choice = Path(path).expanduser(), DataChoice(n=count_of(x), seed=seed)
        if file.exists():
            raise UsageError(f"{file} exists already: choose another name or remove it")
        data = ChosenData.in_memory(self, MemoryDataset(x, labels), choice, listen(progress))
        return replace(make_report(data, save=lambda page: write_text(file, page)), out=str(file))

    def save(self, path: str | Path) -> Path:
        """Write the checkpoint: a file that ends in .safetensors, or a folder that gets `translator.safetensors`.

        `iin_cli.load(path, network=…)` and every `iin` command open it. Returns the file.
        """
        file = Path(path).expanduser()
        if file.suffix.lower() != ".safetensors":
            file.mkdir(parents=True, exist_ok=True)
            file = file / CHECKPOINT
        noise = {FEATURE_NOISE: self.noise.std} if self.noise else {}
        checkpoint.save(file, {**self.translator.state_dict(), **noise}, self.metadata)
        return file

    def read(self, x: Any, labels: Mapping[str, Any] | None = None) -> Reading:
        """Encode images `x` and translate them, with columns of labels: what every measurement starts from."""
        network, dataset = self.require_network(), MemoryDataset(x, labels)
        z = dataset.latents(network)
        return Reading(self, network, dataset, np.arange(len(z)), z, super().transform(z))

    def _checked(self, values: Any, name: str) -> Tensor:
        """Check rows (…, N) of any number of axes."""
        shape = np.shape(values)
        flat = values.reshape(-1, shape[-1]) if len(shape) > 2 else values
        return as_latents(flat, name, self.factors.dim).reshape(shape)

    def _inputs(self, x: Any) -> Inputs:
        return _of_reading(self.read(x))

    def _drawn(self, reading: Reading, count: int, seed: int) -> Inputs:
        return _of_reading(reading.rows(np.random.default_rng(seed).permutation(len(reading))[:count]))


def _of_reading(reading: Reading) -> Inputs:
    names = tuple(reading.dataset.path(int(item)) for item in reading.items)
    return Inputs(reading.images, names, reading.z)


def _rows(chosen: Any, count: int) -> np.ndarray:
    """Return the numbers of rows, each once, that numbers (L,), a mask (count,) or a slice choose; else UsageError."""
    if not isinstance(chosen, slice):
        chosen = np.asarray(chosen.detach().cpu() if isinstance(chosen, Tensor) else chosen)
    try:
        return np.unique(np.arange(count)[chosen])
    except IndexError as error:
        raise UsageError(f"training: {error}; give row numbers below {count}, or a mask of {count}") from error


def _names(factor: str | Sequence[str]) -> tuple[str, ...]:
    return (factor,) if isinstance(factor, str) else tuple(factor)
