"""What a folder of images may hold: 60 kinds of files, some of them no images, and what commands must make of them.

Each kind is put among good images, several times over, and the folder is opened as every command opens it. A kind is
either readable, and then every pixel is there, or every file of it is named, with exit status 3, before anything else;
with `--skip-bad` the rest must open. Nothing may hang, and what Pillow does not read must not be taken for an image.

    uv run python benchmarks/trust_images.py [--copies 8] [--work runs/trust-images]
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from stages import machine

from iin_cli.data import open_dataset
from iin_cli.errors import DataError
from iin_cli.progress import Silent

LIMIT_SECONDS = 20
Make = Callable[[Path, np.random.Generator], Any]


def pixels(generator: np.random.Generator, mode: str = "RGB", side: int = 24) -> Image.Image:
    return Image.fromarray(generator.integers(0, 256, (side, side, 3), np.uint8)).convert(mode)


def saved(kind: str, mode: str = "RGB", **options: Any) -> Make:
    return lambda path, generator: pixels(generator, mode).save(path, kind, **options)


def deep(kind: str, dtype: Any, high: float) -> Make:
    def make(path: Path, generator: np.random.Generator) -> None:
        Image.fromarray((generator.random((24, 24)) * high).astype(dtype)).save(path, kind)

    return make


def content(kind: str, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    pixels(np.random.default_rng(0), mode).save(stream, kind)
    return stream.getvalue()


def cut(kind: str, share: float) -> Make:
    return lambda path, _: path.write_bytes(content(kind)[: int(share * len(content(kind)))])


def data(text: bytes) -> Make:
    return lambda path, _: path.write_bytes(text)


def huge(path: Path, _: Any) -> None:
    """Write the header of an image of 10^10 pixels."""
    chunk = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    head = b"IHDR" + chunk
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)))


def link(target: str) -> Make:
    return lambda path, _: path.symlink_to(target)


def listening(path: Path, _: Any) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        here = Path.cwd()
        os.chdir(path.parent)
        try:
            opened.bind(path.name)
        finally:
            os.chdir(here)


def animated(kind: str) -> Make:
    def make(path: Path, generator: np.random.Generator) -> None:
        first, *more = (pixels(generator) for _ in range(3))
        first.save(path, kind, save_all=True, append_images=more)

    return make


def turned(path: Path, generator: np.random.Generator) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels(generator).save(path, "JPEG", exif=exif)


# Ending and maker of files that must be read.
GOOD: dict[str, tuple[str, Make]] = {
    "PNG": ("png", saved("PNG")),
    "PNG, capitals": ("PNG", saved("PNG")),
    "PNG, grey": ("png", saved("PNG", "L")),
    "PNG, one bit": ("png", saved("PNG", "1")),
    "PNG, palette": ("png", saved("PNG", "P")),
    "PNG, RGBA": ("png", saved("PNG", "RGBA")),
    "PNG, grey with alpha": ("png", saved("PNG", "LA")),
    "PNG, transparent colour": ("png", saved("PNG", "RGB", transparency=(0, 0, 0))),
    "PNG, 16 bits": ("png", deep("PNG", np.uint16, 65535)),
    "PNG, 12 of 16 bits": ("png", deep("PNG", np.uint16, 4095)),
    "PNG, animated": ("png", animated("PNG")),
    "JPEG": ("jpg", saved("JPEG")),
    "JPEG, .jpeg": ("jpeg", saved("JPEG")),
    "JPEG, grey": ("jpg", saved("JPEG", "L")),
    "JPEG, CMYK": ("jpg", saved("JPEG", "CMYK")),
    "JPEG, progressive": ("jpg", saved("JPEG", progressive=True)),
    "JPEG, turned by EXIF": ("jpg", turned),
    "JPEG called .png": ("png", saved("JPEG")),
    "BMP": ("bmp", saved("BMP")),
    "GIF": ("gif", saved("GIF", "P")),
    "GIF, animated": ("gif", animated("GIF")),
    "WebP": ("webp", saved("WEBP")),
    "WebP, lossless": ("webp", saved("WEBP", lossless=True)),
    "WebP, RGBA": ("webp", saved("WEBP", "RGBA")),
    "TIFF": ("tiff", saved("TIFF")),
    "TIFF, .tif": ("tif", saved("TIFF")),
    "TIFF, LZW": ("tiff", saved("TIFF", compression="tiff_lzw")),
    "TIFF, CMYK": ("tiff", saved("TIFF", "CMYK")),
    "TIFF, 16 bits": ("tiff", deep("TIFF", np.uint16, 65535)),
    "TIFF, 32 bits": ("tiff", deep("TIFF", np.int32, 2**30)),
    "TIFF, floats": ("tiff", deep("TIFF", np.float32, 1)),
    "PPM": ("ppm", saved("PPM")),
    "PGM": ("pgm", saved("PPM", "L")),
    "a linked image": ("png", link("../good/0.png")),
    "an image of one pixel": ("png", lambda path, _: Image.new("RGB", (1, 1)).save(path)),
    "an image 1 high": ("png", lambda path, _: Image.new("RGB", (500, 1)).save(path)),
}
# What must be named, or left out by name.
BAD: dict[str, tuple[str, Make]] = {
    "empty": ("png", data(b"")),
    "text": ("png", data(b"no image")),
    "HTML of a failed download": ("jpg", data(b"<html><title>404</title></html>")),
    "zeros": ("jpg", data(bytes(4096))),
    "PNG, header alone": ("png", data(b"\x89PNG\r\n\x1a\n")),
    "PNG, cut at a half": ("png", cut("PNG", 0.5)),
    "PNG, cut at the end": ("png", cut("PNG", 0.95)),
    "PNG, a byte of data": ("png", lambda path, _: path.write_bytes(flipped(content("PNG")))),
    "PNG of 10^10 pixels": ("png", huge),
    "JPEG, cut at a half": ("jpg", cut("JPEG", 0.5)),
    "JPEG, header alone": ("jpg", cut("JPEG", 0.1)),
    "JPEG, zeros at the end": ("jpg", lambda path, _: path.write_bytes(content("JPEG")[:400] + bytes(400))),
    "GIF, cut": ("gif", cut("GIF", 0.5)),
    "WebP, cut": ("webp", cut("WEBP", 0.5)),
    "BMP, cut": ("bmp", cut("BMP", 0.5)),
    "TIFF, cut": ("tiff", cut("TIFF", 0.5)),
    "PPM, cut": ("ppm", cut("PPM", 0.5)),
    "TIFF whose directory is itself": ("tiff", data(b"II*\0\x08\0\0\0" + bytes(6) + b"\x08\0\0\0")),
    "a zip": ("png", data(b"PK\x03\x04" + bytes(200))),
    "a pickle": ("jpg", data(b"\x80\x04\x95" + bytes(50))),
    "a link to nowhere": ("png", link("nowhere.png")),
    "a link to itself": ("png", lambda path, _: path.symlink_to(path.name)),
    "a named pipe": ("png", lambda path, _: os.mkfifo(path)),
    "a socket": ("png", listening),
    "a link to a device": ("png", link("/dev/zero")),
}


def flipped(whole: bytes) -> bytes:
    place = whole.index(b"IDAT") + 40
    return whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]


class Heard(Silent):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        """Remember a note."""
        self.said.append(text)

    def warn(self, text: str) -> None:
        """Remember a warning."""
        self.said.append(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--work", type=Path, default=Path("runs/trust-images"))
    options = parser.parse_args()
    began, work = time.monotonic(), options.work.resolve()
    os.environ["IIN_CACHE"] = str(work / "cache")
    signal.signal(signal.SIGALRM, hung)
    wrong, slowest = [], 0.0
    for readable, kinds in ((True, GOOD), (False, BAD)):
        for kind, (ending, make) in kinds.items():
            started = time.monotonic()
            signal.alarm(LIMIT_SECONDS)
            try:
                verdict = tried(work, ending, make, options.copies, readable)
            except Exception as error:
                verdict = f"{type(error).__name__}: {str(error)[:200]}"
            signal.alarm(0)
            slowest = max(slowest, time.monotonic() - started)
            if verdict is not None:
                wrong.append(f"{kind}: {verdict}")
    files = options.copies * (len(GOOD) + len(BAD))
    print("| kinds that are images | kinds that are not | files | not as they must be | slowest kind |")
    print("|--:|--:|--:|--:|--:|")
    print(f"| {len(GOOD)} | {len(BAD)} | {files} | {len(wrong)} | {slowest:.1f} s |\n")
    for line in wrong:
        print(f"- {line}")
    print(f"{machine(time.monotonic() - began)}.")
    sys.exit(bool(wrong))


def hung(*_: Any) -> None:
    raise TimeoutError(f"it hangs for {LIMIT_SECONDS} s")


def tried(work: Path, ending: str, make: Make, copies: int, readable: bool) -> str | None:
    """Open a folder with some files of one kind; return what is not as it must be."""
    folder, generator = work / "folder", np.random.default_rng(0)
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("good", "odd"):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            pixels(generator).save(folder / name / f"{number}.png")
    for number in range(copies):
        make(folder / "odd" / f"x{number}.{ending}", generator)
    names = [f"x{number}.{ending}" for number in range(copies)]
    if readable:
        dataset = open_dataset(str(folder))
        images = dataset.images(np.arange(len(dataset.sources)), 16)
        return None if len(images) == 12 + copies else f"{len(images)} images of {12 + copies}"
    heard = Heard()
    try:
        dataset = open_dataset(str(folder), None, heard)
    except DataError as error:
        if missing := [name for name in names if name not in str(error)]:
            return f"{missing[0]} is not named: {str(error)[:200]}"
        dataset = open_dataset(str(folder), None, heard, skip_bad=True)
    # Links and pipes are left out as no files, and counted.
    if len(dataset.sources) != 12:
        return f"{len(dataset.sources)} images of 12 are left"
    return None if heard.said else "not a word of what is left out"


if __name__ == "__main__":
    main()
