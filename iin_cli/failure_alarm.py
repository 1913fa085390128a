"""How several processes end as one: the first that fails tells why, and no other waits for it in vain."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import dataclass
from datetime import timedelta

__all__ = ["Alarm", "Failure"]

# Between looks at whether another process has failed, and before this one is ended then: gently, and at once.
WATCH_SECONDS, GRACE_SECONDS = 1.0, 5.0
# How long a question to the store may take, on a machine that stands still for a while, or for the last time.
STORE_SECONDS = 60.0


@dataclass(frozen=True)
class Failure:
    """What the first rank that failed told: why, and whether it was a rank of this machine."""

    why: str
    here: bool


class Alarm:
    """What the first rank that fails tells all others, through the store at which they met.

    A rank that waits for a GPU, or is busy on a machine whose own processes are well, would not notice: some seconds
    after the alarm it is asked to end, and some seconds after that it is ended.

    Args:
        rank: number of this process. Where the processes meet is torchrun's to say, by `MASTER_ADDR` and `MASTER_PORT`.
    """

    def __init__(self, rank: int) -> None:
        import torch.distributed as processes

        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self._rank, self._machine = rank, os.environ.get("GROUP_RANK", "0")
        # A connection of its own: one that waits for a value lets nobody else ask.
        # Torch documents the class there, and does not mark it as exported.
        store = processes.TCPStore  # pyright: ignore[reportPrivateImportUsage]
        self._store = store(address, port, is_master=False, timeout=timedelta(seconds=STORE_SECONDS))
        # Torchrun may start all ranks again at the same store.
        self._key = f"iin/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}/failure"
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def sound(self, why: str) -> Failure | None:
        """Tell `why`, and return what was told before; None if nothing was."""
        mine = json.dumps([self._rank, self._machine, why])
        try:
            told = self._store.compare_set(self._key, "", mine).decode()
        except RuntimeError:
            return self.heard()
        return None if told == mine else self._read(told)

    def heard(self) -> Failure | None:
        """Return what was told, None for nothing; a store that is gone tells that its process is."""
        try:
            return self._read(self._store.get(self._key).decode()) if self._store.check([self._key]) else None
        except RuntimeError:
            return Failure("the main process has ended", False)

    def _read(self, told: str) -> Failure:
        _, machine, why = json.loads(told)
        return Failure(why, machine == self._machine)

    def stop(self) -> None:
        """Stop watching; a thread that is inside the store when Python ends aborts the process."""
        self._stopped.set()
        self._watcher.join(STORE_SECONDS)

    def _watch(self) -> None:
        try:
            while not self._store.check([self._key]):
                if self._stopped.wait(WATCH_SECONDS):
                    return
        except RuntimeError:
            # The store went with its process, which may have ended well.
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._stopped.wait(GRACE_SECONDS):
                return
            os.kill(os.getpid(), number)
