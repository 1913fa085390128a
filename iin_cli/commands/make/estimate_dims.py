"""Estimate how many dimensions each concept takes: find → open → score → write; of one latent, or of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...crew import lead
from ...distributed import choose_device
from ...errors import UsageError, one_of
from ...figures.saving import save_figure
from ...interpretation.data_choice import DataChoice
from ...interpretation.grouping import find_providers
from ...interpretation.network_choice import NetworkChoice
from ...io.output import Figures, Output
from ...leading import leaders_first
from ...metrics.bootstrap import Resampling
from ...progress import Reporter, Silent
from ...sizing.estimate import DimsResult, estimate, sample_size
from ...sizing.layer_results import RANDOM_WEIGHTS, LayerSweep
from ...sizing.layers import require_layers, sweep_layers
from ...translator.dims import ESTIMATORS

__all__ = ["estimate_dims", "estimate_layers"]

ITEMS = 2000


def estimate_dims(
    network: NetworkChoice,
    concepts: Sequence[str],
    data: DataChoice,
    out: Path | None = None,
    *,
    estimator: str = "variance",
    device: str = "auto",
    resampling: Resampling | None = None,
    figures: Figures | None = None,
    report: Reporter | None = None,
) -> DimsResult:
    """Find what `concepts` explain of z, on pairs of training items of `data`, and how many dimensions each takes.

    Args:
        data: `n` training images at most are drawn by its seed; None takes 5,000, or 4 for each dimension of z.
        out: new folder, for `dims.png` and `dims.json`, or new file of one of these endings; None writes nothing.
        resampling: of the evidence; None takes what `sizing.estimate` does.

    Raises UsageError, DataError and CheckpointError as what it calls does.
    """
    report, kind, where = report or Silent(), one_of("--estimator", estimator, ESTIMATORS), choose_device(device)
    opened = network.open(where, report)
    with leaders_first():
        dataset = data.open(opened.data, report)

    def work() -> DimsResult:
        providers, available = find_providers(concepts, dataset), len(dataset.splits["train"])
        most = data.n or min(available, sample_size(opened.latent_dim))
        if most < available:
            report.note(f"{most:,} of {available:,} training images, drawn by seed {data.seed}; --n for more")
        found = estimate(opened, dataset, providers, kind, data.seed, report, resampling, most)
        if out is None:
            return found
        with Output.open(out, f"dims-{opened.name}", (".png", ".json"), "a plot", figures) as output:
            found = replace(found, out=str(output.path))
            output.write_json("dims.json", found.as_dict())
            if (picture := output.figure("dims")) is not None:
                save_figure(picture, found.plot(), output.figures.dpi)
            return found

    return lead(work, opened, dataset)


def estimate_layers(
    network: NetworkChoice,
    concepts: Sequence[str],
    data: DataChoice,
    out: Path | None = None,
    *,
    estimator: str = "variance",
    device: str = "auto",
    resampling: Resampling | None = None,
    figures: Figures | None = None,
    report: Reporter | None = None,
    null: str | None = None,
) -> LayerSweep:
    """Score `concepts` at every layer of a network and plot which layer knows what.

    Args:
        data: `n` training items per concept at most, 2,000 by default, are drawn by its seed.
        out: new folder, for `layers.png` and `layers.json`, or new file of one of these endings.
        null: `random-weights` also scores the same architecture with random weights.

    The table is written after every layer. Raises UsageError for a network with one latent only; else as
    `estimate_dims`.
    """
    report, kind, where = report or Silent(), one_of("--estimator", estimator, ESTIMATORS), choose_device(device)
    if null is not None:
        one_of("--null", null, (RANDOM_WEIGHTS,))
    if network.layer is not None:
        raise UsageError(f"--layer {network.layer}: --all-layers looks at every layer; leave one of them out")
    if network.precision == "bfloat16":
        raise UsageError("--precision bfloat16: --all-layers looks at every layer in float32; leave one of them out")
    opened = network.open(where, report)
    require_layers(opened)
    with leaders_first():
        dataset = data.open(opened.data, report)

    def work() -> LayerSweep:
        providers = find_providers(concepts, dataset)
        with Output.open(out, f"layers-{opened.name}", (".png", ".json"), "a plot", figures) as output:

            def placed(sweep: LayerSweep) -> LayerSweep:
                return replace(sweep, out=str(output.path))

            found = sweep_layers(
                opened,
                dataset,
                providers,
                kind,
                data.n or ITEMS,
                data.seed,
                report,
                resampling,
                lambda sweep: output.write_json("layers.json", placed(sweep).as_dict()),
                null,
            )
            if (picture := output.figure("layers")) is not None:
                save_figure(picture, found.plot(), output.figures.dpi)
            return placed(found)

    # Every layer's features come from one pass, which the main process makes alone.
    return lead(work)
