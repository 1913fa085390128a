"""Joint end of several processes: the first that fails reports why, and the others are ended instead of waiting."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import dataclass
from datetime import timedelta

__all__ = ["Alarm", "Failure"]

# Seconds between checks for another process's failure, and before SIGTERM, and then SIGKILL, ends this one.
WATCH_SECONDS, GRACE_SECONDS = 1.0, 5.0
# Longest time of a request to the store, on a machine that is stalled for a while, or at the end.
STORE_SECONDS = 60.0


@dataclass(frozen=True)
class Failure:
    """The report of the first rank that failed: why, and whether the rank is on this machine."""

    why: str
    here: bool


class Alarm:
    """Tells all ranks about the first failure, through the store at which torchrun's processes meet.

    A rank that waits for a GPU, or is busy on a machine without failures, would not notice. It therefore receives
    SIGTERM some seconds after the alarm, and SIGKILL some seconds later.

    Args:
        rank: number of this process. Torchrun gives the store's address as `MASTER_ADDR` and `MASTER_PORT`.
    """

    def __init__(self, rank: int) -> None:
        import torch.distributed as processes

        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self._rank, self._machine = rank, os.environ.get("GROUP_RANK", "0")
        # A connection of its own, since one that waits for a value blocks all other requests.
        # Torch documents the class there, and does not mark it as exported.
        store = processes.TCPStore  # pyright: ignore[reportPrivateImportUsage]
        self._store = store(address, port, is_master=False, timeout=timedelta(seconds=STORE_SECONDS))
        # Torchrun may restart all ranks with the same store.
        self._key = f"iin/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}/failure"
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def sound(self, why: str) -> Failure | None:
        """Report the failure `why`; return the failure reported before, or None."""
        mine = json.dumps([self._rank, self._machine, why])
        try:
            told = self._store.compare_set(self._key, "", mine).decode()
        except RuntimeError:
            return self.heard()
        return None if told == mine else self._read(told)

    def heard(self) -> Failure | None:
        """Return the reported failure, or None; a store that is gone means that the main process has ended."""
        try:
            return self._read(self._store.get(self._key).decode()) if self._store.check([self._key]) else None
        except RuntimeError:
            return Failure("the main process has ended", False)

    def _read(self, told: str) -> Failure:
        _, machine, why = json.loads(told)
        return Failure(why, machine == self._machine)

    def stop(self) -> None:
        """Stop watching; a thread that is still inside the store when Python exits would abort the process."""
        self._stopped.set()
        self._watcher.join(STORE_SECONDS)

    def _watch(self) -> None:
        try:
            while not self._store.check([self._key]):
                if self._stopped.wait(WATCH_SECONDS):
                    return
        except RuntimeError:
            # The store ended with its process, which may have succeeded.
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._stopped.wait(GRACE_SECONDS):
                return
            os.kill(os.getpid(), number)
