"""The addresses of the explorer: the page's files, and JSON for what it asks."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ..errors import IinError, UsageError, reason
from ..measures.edited.items import SAMPLE
from .explorer import Explorer
from .guard import Guard, cookie_name, fault
from .uploads import BYTES, Refused
from .worker import Superseded, Ticket, Tickets, Worker

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["make_app"]

TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
}
FILE = re.compile(r"(?=.{1,200}$)(?:[\w-]+/)*[\w-]+(?:\.[\w-]+)*\.(\w+)")
# The longest request but an upload: 64 points and 16 images are 4 KiB.
MOST_JSON = 256 * 1024


def make_app(explorer: Explorer, token: str, hosts: frozenset[str], port: int, worker: Worker, reader: Worker) -> Guard:
    """Return the ASGI application that serves the page of `explorer` to those who have the token.

    Args:
        worker: computes; `reader`: reads images meanwhile.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    api = _Api(explorer, worker, reader)
    routes = [
        Route("/", api.page, methods=["GET"]),
        Route("/page/{file:path}", api.page, methods=["GET"]),
        Route("/favicon.ico", _nothing, methods=["GET"]),
        Route("/api/health", api.health, methods=["GET"]),
        Route("/api/translator", api.translator, methods=["GET"]),
        Route("/api/shelf", api.shelf, methods=["GET"]),
        Route("/api/image/{name:path}", api.image, methods=["GET"]),
        Route("/api/upload", api.upload, methods=["POST"]),
        Route("/api/edit", partial(api.computed, explorer.edit), methods=["POST"]),
        Route("/api/grid", partial(api.computed, explorer.grid), methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={Exception: _failed, IinError: _failed, HTTPException: _failed})
    return Guard(app, token, hosts, cookie_name(port))


class _Api:
    """What is answered; all that takes time is done by the worker and the reader."""

    def __init__(self, explorer: Explorer, worker: Worker, reader: Worker) -> None:
        self.explorer, self.worker, self.reader, self.tickets = explorer, worker, reader, Tickets()

    async def page(self, request: Request) -> Response:
        """Send a file of the page."""
        from starlette.responses import Response

        name = request.path_params.get("file", "index.html")
        match = FILE.fullmatch(name)
        source = files("iin_cli.explorer").joinpath("page", *name.split("/"))
        if match is None or match[1] not in TYPES or not source.is_file():
            return _answer(fault("no such file", f"the page has no file {name!r}", ""), 404)
        return Response(source.read_bytes(), media_type=TYPES[match[1]], headers={"cache-control": "no-cache"})

    async def health(self, request: Request) -> Response:
        """Say that the server is there; answered at once, whatever is computed."""
        return _answer(self.explorer.health())

    async def translator(self, request: Request) -> Response:
        """Say what the translator is."""
        return _answer(await self.worker.do(self.explorer.translator))

    async def shelf(self, request: Request) -> Response:
        """List items of the data."""
        offset, count = (
            _whole(request.query_params.get(name, usual), name) for name, usual in (("offset", "0"), ("n", "24"))
        )
        ticket = Ticket()
        work = partial(self.explorer.shelf, offset, min(count, 96))
        return _answer(await self._while_there(request, self.worker.do(work, ticket), ticket))

    async def image(self, request: Request) -> Response:
        """Send an image of the data, or an upload."""
        from starlette.responses import Response

        name = request.path_params["name"]
        # A draw has to be drawn; all other images are read.
        worker = self.worker if name.startswith(f"{SAMPLE}:") else self.reader
        content = await worker.do(partial(self.explorer.image, name))
        # The same name is another image where another explorer served at this address before.
        is_own = request.query_params.get("run") == self.explorer.run
        kept = "private, max-age=86400, immutable" if is_own else "no-store"
        return Response(content, media_type="image/png", headers={"cache-control": kept})

    async def upload(self, request: Request) -> Response:
        """Keep an image that was dropped on the page."""
        content = await _body(request, BYTES)
        kept = await self.reader.do(partial(self.explorer.uploads.add, content))
        return _answer(vars(kept))

    async def computed(self, work: Callable[[dict[str, Any], Ticket], dict[str, Any]], request: Request) -> Response:
        """Do what a request's JSON says, until a newer one of the same tab comes."""
        body = _json(await _body(request, MOST_JSON))
        tab, number = body.get("tab", ""), body.get("number", 0)
        if not isinstance(tab, str) or not isinstance(number, int):
            raise UsageError('"tab" must be a text, and "number" a whole number')
        ticket = self.tickets.take(tab[:64], number) if tab else Ticket()
        return _answer(await self._while_there(request, self.worker.do(partial(work, body, ticket), ticket), ticket))

    async def _while_there(self, request: Request, work: Awaitable[Any], ticket: Ticket) -> Any:
        """Wait for `work`; if the browser gives the request up meanwhile, the work is ended after its present step."""
        leaving = asyncio.ensure_future(_left(request))
        doing = asyncio.ensure_future(work)
        try:
            await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                ticket.is_void = True
            return await doing
        finally:
            leaving.cancel()


async def _left(request: Request) -> None:
    """Return when the browser has given the request up."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


async def _body(request: Request, most: int) -> bytes:
    """Read the body of a request; Refused as soon as it is known to be too long."""
    said = request.headers.get("content-length", "0")
    if not said.isdecimal() or int(said) >= most:
        raise Refused(f"the request has {said} bytes, and must have fewer than {most:,}", 413)
    parts, read = [], 0
    async for part in request.stream():
        read += len(part)
        if read >= most:
            raise Refused(f"the request has {most:,} bytes or more", 413)
        parts.append(part)
    return b"".join(parts)


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the request is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError("the request must be a JSON object")
    return found


def _whole(text: str, name: str) -> int:
    if not (text.isdecimal() and len(text) < 10):
        raise UsageError(f"{name}={text}: give a whole number")
    return int(text)


def _answer(value: Any, status: int = 200) -> Response:
    from starlette.responses import Response

    # NaN is no JSON, and a page that reads it shows nothing at all.
    content = json.dumps(_finite(value), allow_nan=False).encode()
    return Response(content, status, media_type="application/json", headers={"cache-control": "no-store"})


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and value - value != 0 else value


async def _nothing(request: Request) -> Response:
    from starlette.responses import Response

    return Response(status_code=204)


async def _failed(request: Request, error: Exception) -> Response:
    """Turn what went wrong into JSON that the page shows."""
    if isinstance(error, Superseded):
        return _answer(fault("superseded", "a newer request of the same tab came", ""), 409)
    if isinstance(error, Refused):
        fix = f"choose {'a smaller' if error.status == 413 else 'another'} image file"
        return _answer(fault("the image cannot be taken", str(error), fix), error.status)
    if isinstance(error, UsageError):
        return _answer(fault("this cannot be done", str(error), ""), 422)
    if isinstance(error, IinError):
        return _answer(fault("something is missing", str(error), ""), 404)
    status = getattr(error, "status_code", 500)
    if status < 500:
        what = "no such address" if status == 404 else "this cannot be asked so"
        return _answer(fault(what, f"the explorer answers no {request.method} {request.url.path}", ""), status)
    return _answer(fault("this failed", reason(error), ""), status)
