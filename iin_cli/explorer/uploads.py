"""Images that users drop on the page: refused before they are decoded where they are too large, kept as files.

They are files so that the command line that the page shows can name them, and stay in the cache's folder when the
explorer ends; the oldest are removed where they are many.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..errors import DataError
from ..io.atomic import as_write_error, write_atomically

__all__ = ["BYTES", "PIXELS", "Refused", "Upload", "Uploads"]

# An upload has fewer bytes, and fewer pixels, than this.
BYTES = 32 * 2**20
PIXELS = 50_000_000
# Pillow reads many formats that no camera writes; the fewer decoders meet a stranger's bytes, the better.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
PREFIX = "upload:"
NAMED = re.compile(r"upload:([0-9a-f]{16})")
# What is kept at most.
MOST_FILES, MOST_BYTES = 500, 512 * 2**20


class Refused(DataError):
    """An upload that cannot be taken; `status` is HTTP's word for why."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Upload:
    """An image that was dropped: its name for requests, and its size."""

    id: str
    width: int
    height: int


class Uploads:
    """The images dropped on the page, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, content: bytes) -> Upload:
        """Keep an image file; the same bytes have the same name. Refused for no image, and one that is too large."""
        if len(content) >= BYTES:
            raise Refused(f"the file has {len(content) / 2**20:.0f} MiB, and must be below {BYTES >> 20}", 413)
        try:
            # Reads the head alone.
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                width, height, kind = *image.size, (image.format or "png").lower()
        except Image.DecompressionBombError as error:
            raise Refused(f"the image has too many pixels: {error}", 413) from error
        # Pillow's readers raise whatever damage leads them to.
        except Exception as error:
            raise Refused(f"the file is no image that can be read; use {', '.join(FORMATS)}", 415) from error
        if width * height >= PIXELS:
            raise Refused(f"the image has {width} x {height} pixels, and must have fewer than {PIXELS:,}", 413)
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                image.load()
        except Exception as error:
            raise Refused(f"the image is damaged: {error}", 415) from error
        name = hashlib.sha256(content).hexdigest()[:16]
        if self._find(name) is None:
            self._keep(self.folder / f"{name}.{kind}", content)
        return Upload(f"{PREFIX}{name}", width, height)

    def path(self, name: str) -> Path | None:
        """Return the file of the upload `name`; None for another kind of name. DataError where it is gone."""
        match = NAMED.fullmatch(name)
        if match is None:
            if name.startswith(PREFIX):
                raise DataError(f"{name} names no upload")
            return None
        if (found := self._find(match[1])) is None:
            raise DataError(f"{name} is no longer kept: drop the image again")
        return found

    def _find(self, name: str) -> Path | None:
        return next(iter(sorted(self.folder.glob(f"{name}.*"))), None)

    def _keep(self, file: Path, content: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise as_write_error(self.folder, error) from error
        with write_atomically(file) as temporary:
            temporary.write_bytes(content)
        file.chmod(0o600)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        kept = [(file, file.stat()) for file in self.folder.iterdir() if not file.name.startswith(".")]
        kept.sort(key=lambda each: each[1].st_mtime, reverse=True)
        total = 0
        for number, (file, status) in enumerate(kept):
            total += status.st_size
            if number and (number >= MOST_FILES or total > MOST_BYTES):
                file.unlink(missing_ok=True)
