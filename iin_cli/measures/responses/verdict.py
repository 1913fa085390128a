"""One verdict per factor, from its walks beside chance and from really edited images; the same words everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...editing.real_edits import Reality
from ...interpretation.answers import Effect
from ...metrics.bootstrap import Interval
from ...metrics.reality import RealEffect
from ...metrics.response import LESS, MORE, TOO_FEW, Comparison

__all__ = ["CARRIES", "Verdict", "verdict_of"]

# A factor carries a concept if its exchange reproduces at least so much of what the real edit does.
CARRIES = 0.5
# A cue hardly moves the answer where so few images are called by it, another cue showing something else.
DECIDES = 0.25


@dataclass(frozen=True)
class Verdict:
    """What is known of a factor's hold on the answer.

    Attributes:
        headline: the conclusion in a few words.
        along_walks: the comparison of the factor's walks with chance, in words.
        really: what really edited images do, and how many are called by this cue, in words; empty where there are none.
        could_have_seen: the smallest difference from chance that could have been seen, where none was; else None.
    """

    headline: str
    along_walks: str
    really: str = ""
    could_have_seen: float | None = None

    def __str__(self) -> str:
        """Say it in one line."""
        details = f"{self.along_walks}{self.really}"
        return details if details.startswith(self.headline.removesuffix(" (walk)")) else f"{self.headline}: {details}"

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return {
            "headline": self.headline,
            "along_walks": self.along_walks,
            "really": self.really.lstrip("; ") or None,
            "could_have_seen": self.could_have_seen,
            "text": str(self),
        }


def verdict_of(main: Comparison, reality: Reality | None, effect: Effect, decided: Interval | None = None) -> Verdict:
    """Conclude from a factor's walks and, where there is any, from real edits of its concept.

    Args:
        main: flips, or change, along the walks beside the control's.
        effect: how the network's answers tell an edit's effect.
        decided: fraction of images that are called by this concept though another cue shows something else; None
            where the data has no two such cues.
    """
    said, seen = main.verdict, None
    if said == TOO_FEW:
        walks = f"{said} to tell from chance along its walk"
    elif said in (MORE, LESS):
        walks = f"{said} along its walk"
    else:
        seen = main.resolution
        walks = f"{said} from chance along its walk (could only have seen a difference above {seen:.2g})"
    found = reality.effect if reality is not None else None
    headline, really = f"{said} (walk)", ""
    if reality is not None and found is not None:
        really = _really(said, reality, found, effect)
        # Matched images differ in more than the concept, so no single factor can carry all of it.
        headline = _headline(found, effect) if reality.is_exact else headline
    if decided is not None:
        really += f"; {decided:.2f} of the images whose cues differ are called by this one"
        if reality is None or found is None or not reality.is_exact:
            headline = _deciding(decided)
    return Verdict(headline, walks, really, seen)


def _deciding(decided: Interval) -> str:
    if decided.high < DECIDES:
        return "hardly moves the answer"
    return "moves the answer" if decided.low >= DECIDES else "may move the answer"


def _headline(found: RealEffect, effect: Effect) -> str:
    if found.edited.high < effect.little:
        return "hardly moves the answer"
    moves = "moves the answer" if found.edited.low > effect.little else "may move the answer"
    if found.share is None:
        return moves
    if found.share.low >= CARRIES:
        return f"{moves}, and the factor carries it"
    if found.share.high < CARRIES:
        return f"{moves}, but the factor carries little of it"
    return f"{moves}, and the factor carries part of it"


def _really(said: str, reality: Reality, found: RealEffect, effect: Effect) -> str:
    if not found.moving:
        return f"; {reality.how} moves the answer to none of {reality.images} images"
    # What contradicts the walk is not just added to it.
    joined = "; but" if (said == MORE) != (found.edited.low > effect.little) else "; and"
    text = f"{joined} {reality.how} {effect.verb} {found.edited:{effect.digits}}"
    if found.share is None:
        return f"{text}, in too few images ({found.moving}) to say what share exchanging this factor reproduces"
    alone = f"exchanging this factor alone {effect.verb} {found.exchanged.value:{effect.digits}}"
    return f"{text}; {alone} and reproduces {found.share:.2f} of the real {effect.noun}"
