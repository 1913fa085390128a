"""`iin translate`: a file of latents z into z̃, or back."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import DebugOpt, DeviceOpt, JsonOpt, LatentsOpt, NewFileOpt, QuietOpt, TranslatorOpt
from ..output import print_result, reporter

__all__ = ["translate"]

InverseOpt = Annotated[bool, typer.Option("--inverse", help="Read z_tilde and write z.")]
RowsOpt = Annotated[int, typer.Option("--batch", help="Rows at a time; changes no result.", min=1)]


def translate(
    translator: TranslatorOpt,
    latents: LatentsOpt,
    out: NewFileOpt = None,
    inverse: InverseOpt = False,
    batch: RowsOpt = 1000,
    device: DeviceOpt = "auto",
    json: JsonOpt = False,
    quiet: QuietOpt = False,
    debug: DebugOpt = False,
) -> None:
    """Translate a file of latents z to z_tilde, or back.

    Reads z (M, N) and writes z_tilde (M, N) and log_det (M,); with --inverse it reads z_tilde and writes z. The other
    tensors of the file are passed through. No backbone is needed.

    Examples:

      iin translate --translator t.safetensors --latents z.safetensors --out z_tilde.safetensors

      iin translate -t t.safetensors -l edited.safetensors --inverse --out z_star.safetensors
    """
    from ...commands.files.translate import translate as run

    result = run(translator, latents, out, inverse=inverse, batch=batch, device=device, report=reporter(quiet))
    print_result(result, json)
