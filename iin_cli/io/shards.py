"""Write shards of images: as files of pictures, or one file of arrays per shard; the manifest records those written."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

import numpy as np

from .. import errors
from .atomic import as_write_error, write_atomically
from .images import WRITERS, WritingPool, encode_npz, encode_pngs, encode_safetensors, encode_webps, write_image
from .manifest import Manifest, Shard

__all__ = ["PICTURES", "Format", "ShardFiles", "serve"]

Format = Literal["png", "webp", "npz", "safetensors"]
PICTURES = {"png": encode_pngs, "webp": encode_webps}
# Submitting small images one by one would cost as much as compressing them.
TOGETHER = 64
SUBFOLDER_SEEDS = 1000
# Images from which on a process that writes them saves more time than its start takes (0.3 s).
MANY = 16_384
# Its modules lie where this process found them. It imports no torch.
CHILD = """import sys
sys.path[:] = {path!r}
from iin_cli.io.shards import serve
serve(sys.stdin.buffer, sys.stdout.buffer)"""


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
        self._apart: PictureProcesses | None = None
        # Arrays are written a whole shard at a time, while the next shard is collected.
        self._pool = WritingPool(WRITERS, 4 * WRITERS) if format in PICTURES else WritingPool(1, 2)

    def expecting(self, count: int) -> Self:
        """Be ready for `count` images: many pictures are written by processes of their own, before the first one.

        A thread would stop those that draw, since every file takes Python's lock again and again.
        """
        if self.format in PICTURES and count >= MANY:
            self._apart, threads = PictureProcesses(), max(1, WRITERS // 2)
            self._pool = WritingPool(threads, 4 * threads)
        return self

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
        try:
            self._pool.__exit__(kind, *rest)
        finally:
            if self._apart is not None:
                self._apart.close()

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
        write = write_pictures if self._apart is None else self._apart.write
        return write(str(self.manifest.folder), [self._picture(seed) for seed in seeds], pixels, self.format)

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


def write_pictures(folder: str, names: Sequence[str], pixels: np.ndarray, format: str) -> dict[str, str]:
    """Write images uint8 (B, S, S, 3) as files of `folder`; return the sha256 of each. Errors as `write_image`."""
    digests = {}
    for name, encoded in zip(names, PICTURES[format](pixels), strict=True):
        write_image(f"{folder}/{name}", encoded)
        digests[name] = hashlib.sha256(encoded).hexdigest()
    return digests


class PictureProcesses:
    """Writes pictures by a process for each thread that asks for it, started then."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._all: list[subprocess.Popen[bytes]] = []

    def write(self, folder: str, names: Sequence[str], pixels: np.ndarray, format: str) -> dict[str, str]:
        """As `write_pictures`, in this process where no other starts; ResourceError, too, where the other was ended."""
        try:
            process = self._process()
        except OSError:
            return write_pictures(folder, names, pixels, format)
        # Both are pipes, which their types do not say.
        requests: Any = process.stdin
        answers: Any = process.stdout
        asked = {"folder": folder, "names": names, "shape": pixels.shape, "format": format}
        try:
            requests.write(json.dumps(asked).encode() + b"\n" + pixels.tobytes())
            requests.flush()
        except BrokenPipeError:
            # Its end is seen when no answer comes.
            pass
        answer = answers.readline()
        if not answer:
            status = process.wait()
            raise errors.ResourceError(
                f"the process that writes pictures ended, with status {status}: the system ends processes where memory "
                "is short; the same command goes on where this one stopped"
            )
        found = json.loads(answer)
        if "error" in found:
            raise getattr(errors, found["error"])(found["message"])
        return found

    def close(self) -> None:
        """End the processes, which have written all that they were asked."""
        for process in self._all:
            process.communicate()

    def _process(self) -> subprocess.Popen[bytes]:
        """Return this thread's process."""
        process: subprocess.Popen[bytes] | None = getattr(self._own, "process", None)
        if process is None:
            process = self._own.process = subprocess.Popen(
                [sys.executable, "-c", CHILD.format(path=sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Signals of the terminal are for the command, which then ends its processes in order.
                start_new_session=True,
            )
            self._all.append(process)
        return process


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Write what is asked for until there is no more; the other side of `PictureProcesses`."""
    while line := requests.readline():
        asked = json.loads(line)
        pixels = np.frombuffer(requests.read(int(np.prod(asked["shape"]))), np.uint8).reshape(asked["shape"])
        try:
            answer = write_pictures(asked["folder"], asked["names"], pixels, asked["format"])
        except errors.IinError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
