"""Who may ask: the right token once, then its cookie; the right host and origin always; and headers that allow no more.

Pages of other sites can make a browser send requests here, and a name of theirs can be made to mean 127.0.0.1: the
first have another `Origin`, the second another `Host`, and neither has the cookie.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any, Protocol
from urllib.parse import parse_qs

__all__ = ["HEADERS", "Guard", "cookie_name", "fault", "hosts_of"]

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
NO_TOKEN = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>iin explore</title><h1>This page needs its token</h1>"
    "<p>Open the address that <code>iin explore</code> printed in the terminal: it ends in "
    "<code>?token=…</code>. If it was started again since, it has printed a new one; with "
    "<code>--token-file</code> the token stays the same.</p></html>"
)
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class App(Protocol):
    """An ASGI application."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        ...


def hosts_of(names: Iterable[str], port: int) -> frozenset[str]:
    """Return what a browser may call this server: `names`, or this machine, with the port.

    >>> sorted(hosts_of(["gpu1"], 8420))
    ['127.0.0.1:8420', '[::1]:8420', 'gpu1:8420', 'localhost:8420']
    """
    written = {*LOOPBACK, *(f"[{name}]" if ":" in name else name.lower() for name in names)}
    # Browsers leave out the port that they would take anyway.
    return frozenset(f"{name}:{port}" for name in written) | (written if port == 80 else frozenset())


def cookie_name(port: int) -> str:
    """Return the cookie's name; cookies know no port, and two explorers on one machine must not share one."""
    return f"iin-explore-{port}"


def fault(what: str, why: str, fix: str) -> dict[str, dict[str, str]]:
    """Return an error as the page shows it.

    >>> fault("superseded", "a newer request came", "")["error"]["what"]
    'superseded'
    """
    return {"error": {"what": what, "why": why, "fix": fix}}


class Guard:
    """An ASGI application before another one that lets through only the requests of its own page.

    Args:
        app: what answers.
        token: what the page's address holds; whoever knows it may ask.
        hosts: what the server may be called, `127.0.0.1:8420`.
        cookie: the name of the cookie that holds the token.
    """

    def __init__(self, app: App, token: str, hosts: Iterable[str], cookie: str) -> None:
        self.app, self.token, self.hosts, self.cookie = app, token, frozenset(hosts), cookie

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message.get("headers", [])}
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in known]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        answer = self._refusal(scope, headers)
        await (answer or self.app)(scope, receive, guarded)

    def _refusal(self, scope: Any, headers: dict[str, str]) -> App | None:
        """Return what answers instead of the application; None where it may."""
        from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

        host = headers.get("host", "")
        if host.lower() not in self.hosts:
            why = f"the request names the host {host!r}, and this server is {min(self.hosts)}"
            return JSONResponse(fault("wrong host", why, "open the address that `iin explore` printed"), 403)
        if scope["method"] not in ("GET", "HEAD") and headers.get("origin", "").lower() != f"http://{host.lower()}":
            why = f"the request comes from {headers.get('origin') or 'no page'}, and not from this server's own"
            return JSONResponse(fault("wrong origin", why, "open the address that `iin explore` printed"), 403)
        if scope["path"] == "/" and (given := parse_qs(scope["query_string"].decode("latin-1")).get("token")):
            if not secrets.compare_digest(given[0].encode(), self.token.encode()):
                return HTMLResponse(NO_TOKEN, 403)
            response = RedirectResponse("/", 303)
            response.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")
            return response
        if not secrets.compare_digest(self._cookie(headers).encode(), self.token.encode()):
            if scope["path"] == "/":
                return HTMLResponse(NO_TOKEN, 403)
            return JSONResponse(
                fault("no token", "the request has not this server's cookie", "open the address with ?token= again"),
                403,
            )
        return None

    def _cookie(self, headers: dict[str, str]) -> str:
        from starlette.requests import cookie_parser

        # Not Python's own parser, which drops all cookies behind one that other programs on this machine wrote badly.
        return cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
