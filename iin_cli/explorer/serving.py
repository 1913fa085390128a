"""The server's life: a token, a port that is free, a thread that serves, and an end at once."""

from __future__ import annotations

import errno
import os
import re
import secrets
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ..errors import IinError, NotInstalledError, UsageError
from ..io.atomic import as_write_error
from ..progress import Reporter
from .app import make_app
from .explorer import Explorer
from .guard import hosts_of
from .worker import Worker

__all__ = ["PORT", "Served", "is_loopback", "keep_token", "read_token", "require_installed", "serve"]

PORT = 8420
# Ports tried after the first.
MORE_PORTS = 20
TOKEN = re.compile(r"[\w-]{16,256}")
START_SECONDS = 20


@dataclass(frozen=True)
class Served:
    """Where the page is.

    Attributes:
        url: its address, with the token.
    """

    url: str
    port: int


def require_installed() -> None:
    """Raise NotInstalledError where what serves pages is not installed."""
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise NotInstalledError(f'iin explore needs {error.name}: pip install "iin-cli[explore]"') from error
    del starlette, uvicorn


def is_loopback(host: str) -> bool:
    """Say whether `host` is this machine alone.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(file: Path | None) -> str:
    """Return the token of `file`, or a new one where there is none, for `keep_token`.

    Raises UsageError for a file that others can read, that holds no token, or that cannot be made.
    """
    if file is not None and os.path.lexists(file):
        return _kept_token(file)
    if file is not None and not os.access(file.absolute().parent, os.W_OK | os.X_OK):
        there = file.absolute().parent.is_dir()
        raise UsageError(f"cannot write {file}: {'no permission' if there else 'there is no such folder'}")
    return secrets.token_urlsafe(24)


def keep_token(file: Path | None, token: str) -> None:
    """Make `file` with the token, readable by its owner alone, where it is not there; UsageError where it cannot be."""
    if file is None:
        return
    if os.path.lexists(file):
        if _kept_token(file) != token:
            raise UsageError(f"--token-file {file} was made by another explorer just now: start this one again")
        return
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as opened:
            opened.write(f"{token}\n")
    except OSError as error:
        raise as_write_error(file, error) from error


@contextmanager
def serve(explorer: Explorer, host: str, port: int, token: str, report: Reporter) -> Iterator[Served]:
    """Serve the page of `explorer` in a thread while the body runs.

    Args:
        port: the first that is tried; the next free one is taken, and `report` is told.

    Raises UsageError for a host that is not this machine's, and where no port is free.
    """
    import uvicorn

    listening = _listen(host, port, report)
    own, worker, reader = listening.getsockname()[1], Worker(), Worker()
    app = make_app(explorer, token, hosts_of(_names_of(host), own), own, worker, reader)
    config = uvicorn.Config(
        app, log_level="critical", access_log=False, server_header=False, lifespan="off", ws="none", http="h11",
        timeout_graceful_shutdown=1, limit_concurrency=256,
    )  # fmt: skip
    server: Any = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="server", daemon=True)
    thread.start()
    try:
        _await_start(server, thread)
        shown = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        yield Served(f"http://{shown}:{own}/?token={token}", own)
    finally:
        server.should_exit = server.force_exit = True
        worker.close()
        reader.close()
        thread.join(1)
        listening.close()


def _listen(host: str, port: int, report: Reporter) -> socket.socket:
    """Return a socket at the first free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for tried in range(port, min(port + MORE_PORTS, 65535) + 1) if port else [0]:
        # Named TCP, so that asyncio sends each part of an answer at once: else the second waits 40 ms for the first.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, tried))
            # Another program may have bound it, too, and only the first to listen has it.
            listening.listen(128)
        except OSError as error:
            listening.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            raise UsageError(f"--host {host}: {error.strerror or error}; give an address of this machine") from error
        if port and tried != port:
            report.note(f"port {port} is taken: serving at {tried}")
        return listening
    raise UsageError(f"--port {port}: this port and the next {MORE_PORTS} are taken; give another one")


def _names_of(host: str) -> list[str]:
    """Return what browsers may call a server at `host`; of one at all addresses, this machine's names too."""
    names = [host]
    if not is_loopback(host):
        names += [socket.gethostname(), socket.getfqdn()]
        try:
            names += [str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None)]
        except OSError:
            return names
    return names


def _await_start(server: Any, thread: threading.Thread) -> None:
    end = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise IinError("the server did not start; run again with --debug")
        time.sleep(0.01)


def _kept_token(file: Path) -> str:
    try:
        mode = file.stat().st_mode
        token = file.read_text(encoding="utf-8").strip() if stat.S_ISREG(mode) else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {file} cannot be read: {error}") from error
    if mode & 0o077:
        raise UsageError(f"--token-file {file} can be read by others: type chmod 600 {file}")
    if TOKEN.fullmatch(token) is None:
        raise UsageError(
            f"--token-file {file} holds no token of 16 letters and digits or more: remove it, or name another"
        )
    return token
