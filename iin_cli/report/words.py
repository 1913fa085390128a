"""What a report says of its figures, for a reader who knows neither the paper nor the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..measures.audit.conditions import describe_names
from ..measures.explanation.results import ExplainResult
from ..measures.responses.results import RespondResult
from ..translator.factors import Factors

__all__ = [
    "AUDIT_PARTS",
    "OUTCOME",
    "SIZES",
    "SWAPPED",
    "VERDICT",
    "of_audit_figures",
    "of_explanations",
    "of_glance",
    "of_lessons",
    "of_responses",
    "of_walk",
    "plain",
]

SIZES = (
    "The score is the share of the features’ variance that pairs of the concept have in common, or, where pairs differ "
    "in the concept alone, that they do not. Beside it stand the score of an absent concept, and the dimensions "
    "that Equation 11 gives for the score and for both ends of its 95 % interval. Calibrated sizes leave out what any "
    "concept would get. p is how often an absent concept would score as much, when every direction of the features "
    "counts alike."
)
SWAPPED = (
    "Every image in the left column gets one factor of every image in the top row, and is drawn again; all its other "
    "factors stay."
)
VERDICT = (
    "To read: the factor tells of its concept. To compare: images alike in the concept, and only these, are alike in "
    "the factor. To change: exchanging it changes the concept and no other. To remove: nothing else tells of the "
    "concept. A use is granted where the whole 95 % interval of every figure it rests on is on the good side: at least "
    "half of the concept known from it, pairs that correlate at least half as much as promised, 0.8 of exchanges "
    "followed and 0.9 of the others kept, at most 0.1 known from elsewhere."
)
# Title of a table of the audit -> what its numbers are.
AUDIT_PARTS = {
    "correlation of pairs (expected)": (
        "The correlation of each factor between the two images of a pair of the concept: high where such pairs share "
        "the factor, 0 where they do not. In round brackets what the translator was fitted to."
    ),
    "after a swap of the factor: transfer, preservation": (
        "The factor of the column is taken from another image. In the concept’s own column the figure is how often the "
        "concept becomes the other image’s; elsewhere it is how often the concept stays as it was. Both are divided by "
        "what is recognised without a swap, and should be 1."
    ),
    "information of the factor on the concept": (
        "What a probe learns of the concept from the factor alone: 1 is everything, 0 no more than a guess (a little "
        "below 0 is noise). It should be high in the concept’s own factor and 0 in the others."
    ),
    "distance from N(0, I) (of true samples)": (
        "Each factor should be normal with mean 0 and variance 1, alike in all directions: all three figures are then "
        "0. In round brackets what true samples of the same number give."
    ),
    "figures": "All other figures, under the names that iin audit --fail-if takes.",
    "not measured": "",
}
# What came out of the fit, as its checkpoint remembers it; everything else there went in.
OUTCOME = {
    "steps": "Steps",
    "best_step": "Best step, which was kept",
    "seconds": "Seconds",
    "rows_per_second": "Latents per second",
    "train_nll": "Negative log-likelihood in training, nats per latent",
    "heldout_nll": "The same for held-out pairs",
    "bits_per_dim": "The same in bits per dimension",
    "round_trip_error": "Greatest |T⁻¹(T(z)) − z|, in stds of a component",
    "log_det_error": "Greatest error of log |det T′|",
}


def of_lessons(training: int) -> str:
    """Say from how many training images probes learned; 0 means from the audited images themselves."""
    if training:
        return f"Probes learned from {training:,} training images, and are tested on these."
    return "Probes learned from two thirds of these images, and are tested on the rest, in turn."


def of_glance(drawn: bool, columns: Sequence[str]) -> str:
    """Explain the columns of the summary that are there; empty where none needs it."""
    moved = "how much a drawn image changes (1: from black to white)" if drawn else "how often the prediction changes"
    said = {
        "in the network": "whether the network’s features show the concept at all",
        "absolute change" if drawn else "flip rate": f"{moved} while this factor alone wanders at random",
        "by chance": "the same for as many random directions",
        "really edited": "the same when the images themselves are edited in the factor’s concept",
        "of it reproduced": "the share of that which exchanging this factor alone reproduces",
        "verdict on the answer": "what these figures say together",
        "known from it": "what the factor tells of its concept, from 0 (nothing) to 1 (all)",
        "known from the residual": "what the residual still tells of it, at best 0",
    }
    parts = [f"{column}: {words}" for column, words in said.items() if column in columns]
    if not parts:
        return ""
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}. In square brackets 95 % intervals. The sections below say more."


def of_explanations(result: ExplainResult, predicts: bool) -> str:
    """Say what explanations show of a network that draws nothing; `predicts`: whether it predicts classes."""
    said = (
        f"The network draws nothing: beside each edit stand the {result.k} most similar of {result.searched:,} real "
        f"training images, with their labels. One factor at a time was taken from {result.sources} other images (left, "
        "those of the rows shown), and all others stayed."
    )
    if not predicts:
        return said
    return (
        f"{said} → is what the network predicts for the edit. The bars are the change of the class probabilities, mean "
        "and 95 % interval over all these edits. Neighbours agree: the share of the real images beside edits that are "
        "predicted as the edit is, and what it would be were they searched by z alone."
    )


def of_walk(moved: Sequence[str], drawn: bool) -> str:
    """Say what moves in a walk."""
    if not moved:
        return (
            "Straight lines from one image to another. Interpretable: all factors move evenly; latent: the network’s "
            "own features do, for comparison."
        )
    name = " and ".join(moved)
    if drawn:
        return f"Only {name} moves, at random about its mean (Equation 17); each row starts from another image."
    return (
        f"Log-probabilities of the classes while only {name} moves, at random about its mean (Equation 17); each "
        "panel starts from another image, and the squares below say what is predicted."
    )


def of_responses(result: RespondResult, answers: str) -> str:
    """Say how the response of `answers` to each factor was measured."""
    return (
        f"How far the {answers} move while one factor of {result.images} images wanders ({result.steps - 1} random "
        f"steps of Equation 17 from each, γ = {result.gamma:g}) and all others stay. A larger factor moves them more, "
        f"whatever it means: the control is {result.controls} random subspaces of its size. A real edit changes the "
        "image itself, where that is possible; its share is what the network answers in the same way when only this "
        "factor is taken from the edited image. In square brackets 95 % intervals over images, after a colon the "
        "control."
    )


def of_audit_figures(factors: Factors, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say beside each single figure of an audit what it is."""
    names = describe_names(factors)
    shown = []
    for row in rows:
        interval = " ".join((f"{row['value']:.4g}", f"[{row['low']:.4g}, {row['high']:.4g}]"))
        null = f"{row['null']:.4g}" if row.get("null") is not None else None
        shown.append(
            {"figure": row["figure"], "value [95 %]": interval, "of shuffled pairs": null, "images": row["items"]}
            | {"what it is": names.get(row["figure"])}
        )
    return shown


def plain(value: Any) -> Any:
    """Write lists and mappings of a checkpoint's metadata as a person reads them."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or None
    if isinstance(value, dict):
        return ", ".join(f"{key} {entry}" for key, entry in value.items()) or None
    return value.item() if isinstance(value, np.generic) else value
