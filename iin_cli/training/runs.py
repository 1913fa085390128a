"""`RunChoice`: one training as the user asks for it, with its folder, its seed, and whether it continues another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from ..distributed import from_main, is_main_rank
from ..io.rundir import open_run
from ..progress import Reporter
from .log_files import require_log
from .resuming import seed_of_run

__all__ = ["RunChoice"]


@dataclass(frozen=True)
class RunChoice:
    """How a training is run.

    Attributes:
        out: its folder; None makes a numbered one.
        seed: of everything random; None draws one, or takes that of the run to be resumed.
        device: auto, cpu, cuda, cuda:N or mps.
        dry_run: stop once everything is inferred, and write nothing.
        resume: continue the interrupted run in `out`.
        log: `tensorboard` for TensorBoard's event files, besides the log that is always written.

    Raises UsageError for another log, and one whose package is not installed.
    """

    out: Path | None = None
    seed: int | None = None
    device: str = "auto"
    dry_run: bool = False
    resume: bool = False
    log: str | None = None

    def __post_init__(self) -> None:
        require_log(self.log)

    def final_seed(self, product: str) -> int:
        """Return the seed, the same in every process; errors as `seed_of_run`.

        Args:
            product: name of the file that a finished run has written.
        """
        return seed_of_run(self.out, product, self.seed, self.resume)

    @contextmanager
    def open(self, label: str, report: Reporter) -> Iterator[Path | None]:
        """Yield in every process the folder that the main one opens, None for a dry run; errors as `open_run`."""
        with open_run(self.out, label, self.resume, self.dry_run) if is_main_rank() else nullcontext() as opened:
            folder = from_main(opened)
            if folder is not None:
                report.note(f"run folder {folder}")
            yield folder
