"""Animations: frames as looping GIF or WebP by Pillow, or as MP4 where PyAV is installed."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from ..errors import UsageError
from ..io.atomic import write_atomically

__all__ = ["FORMATS", "require_format", "save_animation", "there_and_back", "tile"]

FORMATS = ("gif", "webp", "mp4")
# The best first; an FFmpeg built without the first two still has its own mpeg4.
MP4_CODECS = ("libx264", "libopenh264", "mpeg4")
MP4_FRAMES_PER_SECOND = 25
# Duration of one direction of a loop; browsers slow down a GIF whose frames last less than 20 ms.
ONE_WAY_MILLISECONDS, SHORTEST, LONGEST = 2000, 40, 250
# The eye needs a moment at each end of the loop.
HOLD = 5
ONE_ROW = 6


def require_format(name: str) -> None:
    """Raise UsageError unless animations of this format (`gif`, `webp`, `mp4`) can be written here."""
    if name not in FORMATS:
        raise UsageError(f"--animate {name!r}: choose from {', '.join(FORMATS)}")
    if name == "webp" and not features.check("webp"):
        raise UsageError(
            "this Pillow was built without WebP: write a GIF with --animate gif or an --out that ends in .gif"
        )
    if name == "mp4":
        _pyav()


def there_and_back(points: int) -> tuple[list[int], list[int]]:
    """Order the points of a walk as a loop that pauses at both ends: frame indices and their milliseconds.

    >>> there_and_back(3)
    ([0, 1, 2, 1], [1250, 250, 1250, 250])
    """
    each = min(LONGEST, max(SHORTEST, ONE_WAY_MILLISECONDS // points))
    order = [*range(points), *range(points - 2, 0, -1)]
    return order, [each * HOLD if point in (0, points - 1) else each for point in order]


def tile(images: np.ndarray) -> np.ndarray:
    """Arrange the images of B walks, K kinds of each, on a page that is not much wider than high.

    Args:
        images: uint8 (K, B, S, S, 3).

    Returns uint8 (R, C, S, S, 3): K rows per C walks, white where there is no walk.
    """
    kinds, walks = images.shape[:2]
    columns = walks if walks <= ONE_ROW else int(np.ceil(np.sqrt(walks * kinds)))
    bands = -(-walks // columns)
    page = np.full((kinds, bands * columns, *images.shape[2:]), 255, np.uint8)
    page[:, :walks] = images
    return page.reshape(kinds, bands, columns, *images.shape[2:]).swapaxes(0, 1).reshape(-1, columns, *images.shape[2:])


def save_animation(path: Path, frames: Iterable[np.ndarray], milliseconds: Sequence[int]) -> None:
    """Write frames uint8 (H, W, 3) as a looping `.gif` or `.webp`, or as `.mp4`, whole or not at all.

    Args:
        path: its ending is the format.
        frames: as many as `milliseconds`, taken one after the other as they are written.
        milliseconds: how long each frame is shown; in an MP4 to the nearest 40.

    Raises the errors of `require_format` and of `write_atomically`.
    """
    kind = path.suffix.lower().removeprefix(".")
    require_format(kind)
    with write_atomically(path) as temporary:
        if kind == "mp4":
            temporary.write_bytes(_mp4(frames, milliseconds))
            return
        pages = _with_palette(frames) if kind == "gif" else map(Image.fromarray, frames)
        # Lossy WebP bleeds colours across edges; lossless WebP is still smaller than the GIF.
        options = {"optimize": False} if kind == "gif" else {"lossless": True}
        next(pages).save(
            temporary,
            format=kind.upper(),
            save_all=True,
            append_images=pages,
            duration=list(milliseconds),
            loop=0,
            **options,
        )


def _with_palette(frames: Iterable[np.ndarray]) -> Iterator[Image.Image]:
    """Give every frame the 256 colours that suit it best; dithering would flicker from frame to frame."""
    for frame in frames:
        yield Image.fromarray(frame).quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _mp4(frames: Iterable[np.ndarray], milliseconds: Sequence[int]) -> bytes:
    av = _pyav()
    codec = next((name for name in MP4_CODECS if name in av.codecs_available), None)
    if codec is None:
        raise UsageError(f"the FFmpeg of this PyAV has none of {', '.join(MP4_CODECS)}: write a .gif or a .webp")
    # Encoded in memory, so that a full disk raises only where the whole file is written.
    film = io.BytesIO()
    with av.open(film, "w", format="mp4") as container:
        stream = None
        for frame, shown in zip(map(_even, frames), milliseconds, strict=True):
            if stream is None:
                stream = container.add_stream(codec, rate=MP4_FRAMES_PER_SECOND)
                stream.height, stream.width, stream.pix_fmt = *frame.shape[:2], "yuv420p"
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            for _ in range(max(1, round(shown * MP4_FRAMES_PER_SECOND / 1000))):
                picture.pts = None
                container.mux(stream.encode(picture))
        if stream is not None:
            container.mux(stream.encode())
    return film.getvalue()


def _even(frame: np.ndarray) -> np.ndarray:
    """Add a white line where a side is odd, since MP4 stores colours at half the resolution."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), constant_values=255)


def _pyav() -> Any:
    try:
        import av  # pyright: ignore[reportMissingImports] an extra, which need not be there
    except ImportError:
        raise UsageError(
            "an MP4 needs PyAV, which is not installed: pip install 'iin-cli[video]', or write a .gif or a .webp"
        ) from None
    return av
