"""Who may talk to the server: only a page from its own address, on this machine, with the token.

A page of another site, opened in the same browser, can send requests to this machine. It does not know the token, its
requests carry the origin of that site, and a name of that site that points to this machine is not in `Host`.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

Scope = dict[str, Any]
HOSTS = ("127.0.0.1", "localhost")
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
MAX_HEADER_BYTES = 1 << 14
"""Limit of the headers of a request; the parser has one only for headers that arrive in parts."""
NOT_FOUND = 404, "not found"


class Guard:
    """An ASGI application that passes on only requests from the server's own page, without the token in their path.

    Args:
        app: the application behind it.
        port: of the server.
        token: the first segment of all paths.
    """

    def __init__(self, app: Any, port: int, token: str) -> None:
        self._app, self._token = app, token.encode()
        self._hosts = {f"{host}:{port}".encode() for host in HOSTS}

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a request, or pass it on; all answers get the security headers."""
        if scope["type"] != "http":
            return
        refused = self._refusal(scope)

        async def send_with_headers(message: Scope) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                added = ((name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items())
                message["headers"] = [*message["headers"], *((n, v) for n, v in added if n not in given)]
            await send(message)

        if refused:
            await _send_error(send_with_headers, *refused)
            return
        path = scope["path"].split("/", 2)[2]
        await self._app({**scope, "path": f"/{path}", "raw_path": None, "root_path": ""}, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return status and reason of a request that is refused, or None."""
        headers = scope["headers"]
        if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
            return 431, f"expected headers of at most {MAX_HEADER_BYTES} bytes"
        hosts, origins, sites = (
            [value for name, value in headers if name == wanted] for wanted in (b"host", b"origin", b"sec-fetch-site")
        )
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "this server does not answer under this host name"
        if any(origin.lower() != b"http://" + hosts[0].lower() for origin in origins):
            return 403, "requests of other sites are refused"
        if any(site.lower() not in (b"same-origin", b"none") for site in sites):
            return 403, "requests of other sites are refused"
        start, _, rest = scope["path"].partition("/")
        token, slash, _ = rest.partition("/")
        matches = hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self._token)
        return None if matches and slash and not start else NOT_FOUND


async def _send_error(send: Any, status: int, reason: str) -> None:
    body = json.dumps({"error": reason, "hint": None}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
