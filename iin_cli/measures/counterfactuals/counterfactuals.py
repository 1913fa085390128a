"""Find for images the smallest edit of each factor, and of all, with which a class is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ...figures.explanations import Look, Neighbour
from ...interpretation.network import Network
from ...interpretation.reading import Inputs, Reading
from ...progress import Reporter, Silent
from ..explanation.library import Library
from .reals import Reals
from .results import FREE, Counterfactual, CounterfactualResult, Way, borders_of
from .saying import Saying
from .search import Problems, smallest_edits

__all__ = ["find_counterfactuals"]

# Images and targets whose edits are searched together.
TOGETHER = 8
APART = 0.99

Save = Callable[[CounterfactualResult], None]


def find_counterfactuals(
    library: Library,
    reading: Reading,
    inputs: Inputs,
    targets: Sequence[str],
    factors: Sequence[str] = (),
    judge: Network | None = None,
    report: Reporter | None = None,
    save: Save | None = None,
) -> CounterfactualResult:
    """Find for each image and target the smallest ‖Δz̃_k‖ with which G(T⁻¹(z̃)) says the target.

    Args:
        library: real images among which those nearest to an edit are searched.
        reading: real images that T was best not fitted to: what is likely, and what factors of each class are like.
        targets: names of classes, or `all` alone: every class but the image's own.
        factors: to edit, one at a time; all where none is named. An edit of all dimensions always comes last.
        judge: a classifier of what the network draws.
        save: called with the result so far after every few images.

    Raises UsageError for an unknown class or factor, and for a network that names no class without a judge.
    """
    report, opened = report or Silent(), library.opened
    saying = Saying.of(opened, judge)
    wanted, chosen = saying.numbers(targets), opened.choose_factors(factors)
    reals = Reals.of(reading, saying)
    for name in (saying.names[number] for number in wanted if not (reals.says == number).any()):
        report.note(f"none of {len(reading)} real images is called {name}: only the image itself shows the way there")
    finder = _Finder(library, reals, saying, chosen, inputs.pixels)
    result = CounterfactualResult(
        out="",
        targets=tuple(saying.names[number] for number in wanted),
        factors=chosen,
        translator=opened.called,
        data=library.dataset.name,
        real=len(reading),
        band=reals.band,
        searched=len(library),
        space=library.space,
        seed=library.seed,
    )
    z_tilde = opened.transform(inputs.latents(library.network))
    said = saying.of_edits(z_tilde).exp()
    tasks = [
        _Task(image, inputs.names[image], z_tilde[image], said[image], target)
        for image in range(len(inputs))
        for target in wanted
    ]
    already = tuple(dict.fromkeys(task.name for task in tasks if task.is_there)) if len(wanted) == 1 else ()
    tasks = [task for task in tasks if not task.is_there]
    result = replace(result, already=already)
    with report.task("searching edits", len(tasks), "targets") as progress:
        for start in range(0, len(tasks), TOGETHER):
            for found, look in finder.find(tasks[start : start + TOGETHER]):
                result = replace(result, found=(*result.found, found), looks=(*result.looks, look))
                progress.advance()
            result = replace(result, borders=borders_of(result.found))
            if save is not None:
                save(result)
    return result


@dataclass(frozen=True)
class _Task:
    """An image, what is said of it (C,), z̃ (N,), and the class that is to be said."""

    image: int
    name: str
    z_tilde: Tensor
    said: Tensor
    target: int

    @property
    def is_there(self) -> bool:
        """Whether the target is said already."""
        return int(self.said.argmax()) == self.target


@dataclass(frozen=True)
class _Finder:
    """What is the same for all images of a call."""

    library: Library
    reals: Reals
    saying: Saying
    factors: tuple[str, ...]
    pixels: np.ndarray

    def find(self, tasks: Sequence[_Task]) -> Iterator[tuple[Counterfactual, Callable[[], list[Look]]]]:
        """Yield what is found of each task, and what makes the rows of its figure."""
        count = len(self.factors)
        problems = self._problems(tasks, self.factors)
        edits, found = smallest_edits(problems, self.saying, self._guesses(problems))
        # What a factor alone does, all factors do, too: from there the free search goes on.
        everything = self._problems(tasks, (FREE,))
        alone = (problems.start + edits).view(len(tasks), count, -1)
        free, free_found = smallest_edits(everything, self.saying, torch.cat((self._guesses(everything), alone), 1))
        edited = torch.cat((alone, (everything.start + free)[:, None]), 1)
        found = torch.cat((found.view(len(tasks), count), free_found[:, None]), 1)
        radius = torch.cat((problems.radius.view(len(tasks), count), everything.radius[:, None]), 1)
        for row, task in enumerate(tasks):
            yield self._described(task, edited[row], found[row], radius[row])

    def _guesses(self, problems: Problems) -> Tensor:
        return self.reals.guesses(problems.start, problems.free, problems.target)

    def _problems(self, tasks: Sequence[_Task], ways: Sequence[str]) -> Problems:
        """Return one problem for each task and way, the ways of a task together."""
        from scipy.stats import chi2

        layout = self.library.opened.factors
        free = torch.zeros(len(ways), layout.dim, dtype=torch.bool)
        for row, name in enumerate(ways):
            free[row, slice(None) if name == FREE else layout.slice(name)] = True
        radius = torch.tensor([(2 * chi2.ppf(APART, int(size))) ** 0.5 for size in free.sum(1)], dtype=torch.float32)
        rows = torch.arange(len(tasks)).repeat_interleave(len(free))
        return Problems(
            torch.stack([task.z_tilde for task in tasks])[rows],
            free.repeat(len(tasks), 1),
            torch.tensor([task.target for task in tasks])[rows],
            radius.repeat(len(tasks)),
        )

    def _described(
        self, task: _Task, edited: Tensor, found: Tensor, radius: Tensor
    ) -> tuple[Counterfactual, Callable[[], list[Look]]]:
        opened, names = self.library.opened, self.saying.names
        z, said = opened.inverse_transform(edited), self.saying.of_edits(edited).exp()
        # An edit that does not hold once it is computed as everything else is computed is none.
        found = found & (said.argmax(1) == task.target)
        itself = opened.inverse_transform(task.z_tilde[None])
        near = self.library.nearest(z, itself)
        described, percentile, inside = self.library.describe(near), self.reals.percentile(z), self.reals.inside(z)
        ways = []
        for row, name in enumerate((*self.factors, FREE)):
            if not found[row]:
                ways.append(Way(name, False, float(radius[row])))
                continue
            size = opened.factors.dim if name == FREE else opened.factors.dims[name]
            cost = float((edited[row] - task.z_tilde).norm())
            likely, is_inside = float(percentile[row]), bool(inside[row])
            probability = float(said[row, task.target])
            typical = cost / (2 * size) ** 0.5
            ways.append(
                Way(name, True, float(radius[row]), cost, typical, probability, likely, is_inside, described[row])
            )
        there = [way for way in ways if way.cost is not None and way.factor != FREE]
        cheapest = min(there, key=lambda way: way.cost or 0.0).factor if there else None
        own = int(task.said.argmax())
        result = Counterfactual(task.name, names[own], float(task.said[own]), names[task.target], cheapest, tuple(ways))
        return result, partial(self._looks, task, result, z, near.numbers)

    def _looks(self, task: _Task, result: Counterfactual, z: Tensor, numbers: Tensor) -> list[Look]:
        """Return the rows of the figure: the image as it is, then each way that exists."""
        itself = self.library.opened.inverse_transform(task.z_tilde[None])
        near = self.library.nearest(itself, itself)
        looks = [self._look("as it is", task, itself, near.numbers[0], f"{result.predicted} {result.probability:.2f}")]
        for row, way in enumerate(result.ways):
            if way.exists:
                says = f"{result.target} {way.probability:.2f}"
                name = f"{way.factor}: {way.cost:.1f} σ"
                looks.append(self._look(name, None, z[row : row + 1], numbers[row], says))
        return looks

    def _look(self, name: str, task: _Task | None, z: Tensor, numbers: Tensor, says: str) -> Look:
        library = self.library
        drawn = None if library.network.answer.kind != "images" else library.network.draw(z)
        items = library.items[numbers.numpy()]
        pictures = zip(library.pictures(numbers), items.tolist(), strict=True)
        near = [Neighbour(pixels, library.naming.name(item) or "") for pixels, item in pictures]
        return Look(name, None if task is None else self.pixels[task.image], drawn, near, says=says)
