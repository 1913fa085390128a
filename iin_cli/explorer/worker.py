"""The one thread that computes, and the rule that the newest request of a tab wins.

One thread, since a network uses all cores for one picture already; the server's loop never waits for it. It is a
daemon, so that Ctrl-C ends the program at once, whatever is computed.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["Superseded", "Ticket", "Tickets", "Worker"]

Outcome = TypeVar("Outcome")
# Tabs that are remembered; of one forgotten every request counts as new.
MOST_TABS = 1000


class Superseded(Exception):
    """A newer request of the same tab came, or the page has gone: the answer is no longer wanted."""


class Ticket:
    """One request's right to be computed, until a newer one takes it away."""

    def __init__(self) -> None:
        self.is_void = False

    def go_on(self) -> None:
        """Raise Superseded if the answer is no longer wanted; called between the steps of the work."""
        if self.is_void:
            raise Superseded


class Tickets:
    """The newest request of each tab."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, tuple[int, Ticket]] = OrderedDict()

    def take(self, tab: str, number: int) -> Ticket:
        """Return a ticket for request `number` of `tab`, and void that of an older one. Superseded for an older one.

        >>> tickets = Tickets()
        >>> first, second = tickets.take("a", 1), tickets.take("a", 2)
        >>> first.is_void, second.is_void
        (True, False)
        """
        newest, previous = self._newest.get(tab, (number, None))
        if number < newest:
            raise Superseded
        if previous is not None:
            previous.is_void = True
        ticket = Ticket()
        self._newest[tab] = number, ticket
        self._newest.move_to_end(tab)
        if len(self._newest) > MOST_TABS:
            self._newest.popitem(last=False)
        return ticket


@dataclass(frozen=True)
class _Job:
    work: Callable[[], Any]
    ticket: Ticket
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class Worker:
    """A thread that does one piece of work after the other."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        threading.Thread(target=self._run, name="explorer", daemon=True).start()

    async def do(self, work: Callable[[], Outcome], ticket: Ticket | None = None) -> Outcome:
        """Do `work` in its turn and return its result; raises what it raises, and Superseded for a void ticket."""
        loop = asyncio.get_running_loop()
        job = _Job(work, ticket or Ticket(), loop, loop.create_future())
        self._jobs.put(job)
        return await job.future

    def close(self) -> None:
        """End the thread after the work that waits."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.ticket.go_on()
                self._settle(job, job.work(), None)
            # Whatever fails must reach the request that waits for it.
            except BaseException as error:
                self._settle(job, None, error)

    def _settle(self, job: _Job, result: Any, error: BaseException | None) -> None:
        def settle() -> None:
            if job.future.done():
                return
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)

        try:
            job.loop.call_soon_threadsafe(settle)
        except RuntimeError:
            # The server has ended meanwhile, and nobody waits any more.
            return
