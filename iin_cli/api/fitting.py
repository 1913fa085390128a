"""`fit` a translator to pairs in memory, and `load` one from a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..distributed import choose_device, draw_seed
from ..errors import CheckpointError, UsageError
from ..fitting.extending import Base
from ..fitting.fit import fit_material
from ..fitting.inference import infer
from ..fitting.pairs import GivenPairs, Pairs
from ..hub.fetching import local
from ..interpretation.network import Network
from ..interpretation.open_translator import OpenTranslator
from ..interpretation.opening import open_translator
from ..plan import Method, Wishes
from .interpretation import Interpretation
from .listening import Progress, listen

__all__ = ["fit", "load"]


def fit(
    pairs: Pairs | GivenPairs,
    *,
    network: Network | None = None,
    start: OpenTranslator | None = None,
    seed: int | None = None,
    dims: Mapping[str, int] | None = None,
    sigma: float | Mapping[str, float] | None = None,
    method: Method = "auto",
    gaussianise: bool = False,
    steps: int | None = None,
    max_seconds: float | None = None,
    blocks: int | None = None,
    hidden: int | None = None,
    compile: bool = False,
    device: str = "auto",
    progress: Progress = None,
) -> Interpretation:
    """Fit a translator to pairs of latents by maximum likelihood (Eqs 4–10); without any concept by Eq 12.

    Args:
        network: whose latents they are; verbs that need an answer need it.
        start: a translator to which the concepts are added: cut out of its residual, its own factors stay as they are.
        seed: of everything random; None draws one, which `plan["seed"]` keeps.
        dims: concept -> dimensions; None infers them (the pair spectrum).
        method: `flow` starts from the closed form and improves on it, `linear` is the closed form alone, in seconds;
            `auto` is a flow unless latents are wide and fewer than 10·N.
        gaussianise: with `linear`, map every dimension to a Gaussian one.
        sigma: correlation of pairs that share a factor, one number or concept -> number, in [0, 1).
        steps, max_seconds: bounds of the fit; None infers them.
        blocks, hidden: size of the translator; None infers it.
        compile: run each step as `torch.compile` makes it (CUDA graphs on a GPU), where that works.
        device: auto, cpu, cuda, cuda:1 or mps.
        progress: a function (what, done, total, figures), or a class like `tqdm.auto.tqdm`; None is silent.

    Raises DataError for latents that cannot be fitted, UsageError for settings that cannot be used, DivergedError when
    the fit leaves the finite numbers.

    >>> import numpy as np
    >>> side = np.arange(400) % 2
    >>> z = np.random.default_rng(0).normal(size=(400, 4)) + 3 * side[:, None]
    >>> t = fit(Pairs(z).share("side", side), seed=0, steps=20, blocks=2, hidden=16)
    >>> t.factors.names, t.transform(z).shape, bool(np.allclose(t.inverse_transform(t.transform(z)), z, atol=1e-4))
    (('side', 'residual'), (400, 4), True)
    """
    network = network if start is None or network is not None else start.network
    listener, where, seed = listen(progress), choose_device(device), draw_seed(seed)
    if network is not None and network.latent_dim != pairs.dim:
        raise UsageError(f"the pairs have latents of {pairs.dim} dimensions, {network.name} of {network.latent_dim}")
    wishes = Wishes(
        method=method,
        dims=dims,
        sigma=sigma,
        steps=steps,
        max_seconds=max_seconds,
        blocks=blocks,
        hidden=hidden,
        gaussianise=gaussianise or None,
        compile=compile or None,
    )
    material, base = pairs.material(listener), None if start is None else Base.of(start)
    started = time.monotonic()
    if base is None:
        inferred = infer(material, wishes, seed, where, listener)
    else:
        base.require_new(list(material.relations))
        inferred = infer(base.seen(material), wishes, seed, where, listener).behind(base)
    fitted = fit_material(material, inferred, where, listener, started=started)
    provenance: dict[str, Any] = {} if network is None else {"backbone": network.provenance, "data": network.data}
    return Interpretation(
        path=None,
        translator=fitted.translator,
        factors=fitted.factors,
        metadata={**fitted.metadata(), **provenance},
        network=network,
        device=where,
        noise=fitted.noise,
        history=fitted.history,
        warnings=tuple(listener.warnings),
    )


def load(
    path: str | Path,
    *,
    network: Network | None = None,
    backbone: str | Path | None = None,
    device: str = "auto",
) -> Interpretation:
    """Open a translator by its checkpoint, the folder that holds it, or its address on the Hub, `hf:owner/name`.

    Args:
        network: the network it was fitted to, where that was given from Python.
        backbone: where the checkpoint of its network lies now, if it was moved.

    Raises CheckpointError for a damaged file, and for a network that is not the one it was fitted to.
    """
    given = None if backbone is None else local(backbone).expanduser()
    opened = open_translator(local(path).expanduser(), choose_device(device), given, with_network=network is None)
    if network is not None:
        _require_same(opened.metadata, network, opened.factors.dim, Path(path))
    return Interpretation(
        path=opened.path,
        translator=opened.translator,
        factors=opened.factors,
        metadata=opened.metadata,
        network=network or opened.network,
        device=opened.device,
        noise=opened.noise,
    )


def _require_same(metadata: Mapping[str, Any], network: Network, dim: int, path: Path) -> None:
    described: dict[str, str | None] = metadata.get("backbone") or {}
    recorded = described.get("sha256")
    if recorded and network.sha256 and recorded != network.sha256:
        raise CheckpointError(
            f"{network.name} is not the network {path} was fitted to: sha256 {network.sha256[:12]}…, "
            f"expected {recorded[:12]}…"
        )
    try:
        own = network.latent_dim
    except UsageError:
        # A network from Python that has encoded nothing yet; its first encoding tells.
        return
    if own != dim:
        raise CheckpointError(f"{network.name} has latents of {own} dimensions, {path} translates {dim}")
