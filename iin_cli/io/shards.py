"""Write shards of images: as files of pictures, or one file of arrays per shard; the manifest records those written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Literal, Self

import numpy as np

from .atomic import as_write_error, write_atomically
from .images import WRITERS, WritingPool, encode_npz, encode_pngs, encode_safetensors, encode_webps, write_image
from .manifest import Manifest, Shard

__all__ = ["PICTURES", "Format", "ShardFiles"]

Format = Literal["png", "webp", "npz", "safetensors"]
PICTURES = {"png": encode_pngs, "webp": encode_webps}
# Submitting small images one by one would cost as much as compressing them.
TOGETHER = 16
SUBFOLDER_SEEDS = 1000


class ShardFiles:
    """Write shards in the background, and record each in `manifest` after its last file.

    Args:
        manifest: the manifest of the folder to write into.
        format: `png` and `webp` (lossless) write `000123.png` for seed 123; `npz` and `safetensors` write
            `images-00007.npz` for shard 7, with `images` uint8 (M, S, S, 3) and `seeds` int64 (M,).
        subdirs: pictures go into folders of a thousand seeds, `000000/000123.png`.
    """

    def __init__(self, manifest: Manifest, format: Format, subdirs: bool = False) -> None:
        self.manifest, self.format, self.subdirs = manifest, format, subdirs
        # Arrays are written a whole shard at a time, while the next shard is collected.
        self._pool = WritingPool(WRITERS, 4 * WRITERS) if format in PICTURES else WritingPool(1, 2)

    def names(self, shard: Shard) -> list[str]:
        """Return the files of a shard, relative to the folder."""
        if self.format in PICTURES:
            return [self._picture(seed) for seed in shard.seeds]
        return [f"images-{shard.number:05d}.{self.format}"]

    def are_complete(self, shard: Shard) -> bool:
        """Say whether an earlier run wrote and recorded the shard, and its files still hold the same bytes."""
        return self.manifest.is_complete(shard, self.names(shard))

    def write(self, shard: Shard, batches: Iterator[np.ndarray]) -> None:
        """Write a shard's images, which come as uint8 (B, S, S, 3) in the order of its seeds.

        Errors of earlier files are raised here too: ResourceError when the disk is full, UsageError if forbidden.
        """
        written: list[Future[dict[str, str]]] = []
        self._make_folders(shard)
        if self.format in PICTURES:
            done = 0
            for pixels in batches:
                for start in range(0, len(pixels), TOGETHER):
                    part = pixels[start : start + TOGETHER]
                    written.append(self._pool.submit(self._write_pictures, shard.seeds[done : done + len(part)], part))
                    done += len(part)
        else:
            written.append(self._pool.submit(self._write_arrays, shard, np.concatenate(list(batches))))
        self._pool.submit(self._record, shard, written)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._pool.__exit__(kind, *rest)

    def _picture(self, seed: int) -> str:
        name = f"{seed:06d}.{self.format}"
        return f"{seed - seed % SUBFOLDER_SEEDS:06d}/{name}" if self.subdirs else name

    def _path(self, name: str) -> Path:
        return self.manifest.folder / name

    def _make_folders(self, shard: Shard) -> None:
        for folder in {self._path(name).parent for name in self.names(shard)}:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise as_write_error(folder, error) from error

    def _write_pictures(self, seeds: Sequence[int], pixels: np.ndarray) -> dict[str, str]:
        digests, folder = {}, str(self.manifest.folder)
        for seed, encoded in zip(seeds, PICTURES[self.format](pixels), strict=True):
            name = self._picture(seed)
            write_image(f"{folder}/{name}", encoded)
            digests[name] = hashlib.sha256(encoded).hexdigest()
        return digests

    def _write_arrays(self, shard: Shard, images: np.ndarray) -> dict[str, str]:
        (name,) = self.names(shard)
        encode = encode_npz if self.format == "npz" else encode_safetensors
        encoded = encode(images, np.asarray(shard.seeds, np.int64))
        with write_atomically(self._path(name)) as temporary:
            temporary.write_bytes(encoded)
        return {name: hashlib.sha256(encoded).hexdigest()}

    def _record(self, shard: Shard, written: Sequence[Future[dict[str, str]]]) -> None:
        digests = {name: digest for future in written for name, digest in future.result().items()}
        self.manifest.record(shard, digests)
