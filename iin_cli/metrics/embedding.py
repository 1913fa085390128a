"""Project rows of many dimensions to a map of one or two: UMAP, or principal components."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any, Literal, Protocol, get_args

import numpy as np

from ..errors import DataError, UsageError, one_of

__all__ = ["FEWEST_ROWS", "Method", "Projection", "project", "require_method"]

Method = Literal["umap", "pca"]
# Fewer points have no neighbourhoods.
FEWEST_ROWS = 4
NEIGHBOURS = 15


class Projection(Protocol):
    """A map fitted to rows (M, D).

    Attributes:
        points: positions of those rows, float32 (M, dims); (M, D) where D is not more than the requested dimensions.
        axes: label of each dimension.
    """

    points: np.ndarray
    axes: tuple[str, ...]

    def place(self, rows: np.ndarray) -> np.ndarray:
        """Return the positions of other rows (B, D) on the same map, (B, dims)."""
        ...


def require_method(method: str) -> None:
    """Raise UsageError unless `method` is known and installed; cheap, so that it can be checked before long work."""
    one_of("--method", method, get_args(Method))
    if method == "umap" and importlib.util.find_spec("umap") is None:
        raise UsageError(
            "--method umap needs umap-learn, which is not installed: pip install 'iin-cli[umap]', or use --method pca"
        )


def project(rows: np.ndarray, dims: int, method: Method, seed: int) -> Projection:
    """Fit a map of `dims` dimensions to `rows` (M, D), deterministically in `seed`.

    Rows that have no more dimensions than the map are their own map. UMAP (McInnes, Healy, Melville 2018) takes the 15
    nearest neighbours, or all where there are fewer. Raises DataError for fewer than 4 rows, for values that are not
    finite, and when the library fails.
    """
    if len(rows) < FEWEST_ROWS:
        raise DataError(f"{len(rows)} images are too few for a map: at least {FEWEST_ROWS} are needed")
    if not np.isfinite(rows).all():
        raise DataError("a map needs finite latents, and some are not finite")
    rows = np.ascontiguousarray(rows, np.float32)
    if rows.shape[1] <= dims:
        return _Plain(rows)
    require_method(method)
    kind = _Umap if method == "umap" else _Components
    try:
        # The libraries warn about what the user cannot change: a disconnected graph, their own deprecations.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return kind(rows, dims, seed % 2**32)
    except (ValueError, TypeError, ArithmeticError, np.linalg.LinAlgError) as error:
        raise DataError(f"{method} cannot map {len(rows)} × {rows.shape[1]} latents: {error}") from error


class _Plain:
    """A map that is the rows themselves."""

    def __init__(self, rows: np.ndarray) -> None:
        self.points = rows
        self.axes: tuple[str, ...] = ("value",) if rows.shape[1] == 1 else ("first value", "second value")

    def place(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows, np.float32)


class _Components:
    """Principal components; the axes say how much of the variance they show."""

    def __init__(self, rows: np.ndarray, dims: int, seed: int) -> None:
        from sklearn.decomposition import PCA

        self.model = PCA(dims, random_state=seed).fit(rows)
        self.points = self.place(rows)
        shares = np.nan_to_num(self.model.explained_variance_ratio_)
        self.axes = tuple(f"PC {number} ({share:.0%} of variance)" for number, share in enumerate(shares, 1))

    def place(self, rows: np.ndarray) -> np.ndarray:
        return self.model.transform(rows).astype(np.float32)


class _Umap:
    """UMAP; other rows are placed among the fitted ones by the library's `transform`."""

    def __init__(self, rows: np.ndarray, dims: int, seed: int) -> None:
        # With a seed UMAP uses a single thread, and warns about that unless n_jobs is 1.
        neighbours = min(NEIGHBOURS, len(rows) - 1)
        self.model: Any = _library().UMAP(
            n_components=dims, n_neighbors=neighbours, random_state=seed, transform_seed=seed, n_jobs=1
        )
        self.points = np.asarray(self.model.fit_transform(rows), np.float32)
        self.axes = tuple(f"UMAP {number}" for number in range(1, dims + 1)) if dims > 1 else ("UMAP",)

    def place(self, rows: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(self.model.transform(np.ascontiguousarray(rows, np.float32)), np.float32)


def _library() -> Any:
    # An optional dependency, which may not be installed.
    import umap  # pyright: ignore[reportMissingImports]

    return umap
