"""Downloads over HTTP and HTTPS with limits: bytes, silence, speed, total time and the hosts of redirects."""

from __future__ import annotations

import base64
import contextlib
import errno
import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator
from typing import IO, Any, BinaryIO
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

TIMEOUT = 30
"""Seconds without data after which a download is aborted; also the limit of connecting and of all headers."""
MIN_BYTES_PER_SECOND = 1000
"""Average speed below which a download is aborted, after the first `TIMEOUT` seconds."""


class DownloadError(OSError):
    """A download that was refused or aborted; `strerror` is one line, and a retry would not help."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EIO, reason)


def download(
    url: str,
    file: BinaryIO,
    max_bytes: int,
    *,
    hosts: Collection[str] = (),
    max_seconds: float | None = None,
    started: Callable[[int | None], Callable[[int], None]] = lambda length: lambda count: None,
) -> bool:
    """Write the body of a URL to a file.

    Args:
        url: an address of HTTP or HTTPS.
        file: receives the body.
        max_bytes: limit of the body's size.
        hosts: hosts to which the server may redirect, besides its own.
        max_seconds: limit of the whole download, or None.
        started: called with the declared size or None; returns a function that is called with the size of each block.

    Returns:
        Whether the server declared where the body ends. If not, an interrupted download looks complete.

    Raises:
        DownloadError: the body is too large, too slow or incomplete, or a redirect is refused.
        OSError, http.client.HTTPException: network errors; `urllib.error.HTTPError` for an error status.
    """
    start = time.monotonic()
    request = _request(url)
    redirects = _Redirects({*hosts_of([url]), *hosts}, start + TIMEOUT)
    opener = urllib.request.build_opener(_Handler(), _SecureHandler(), redirects)
    with opener.open(request, timeout=TIMEOUT) as response:
        header = response.headers.get("Content-Length") or ""
        length = int(header) if header.isdecimal() else None
        if length and length > max_bytes:
            raise DownloadError(f"expected at most {max_bytes:,} bytes, got {length:,}")
        advance, received = started(length), 0
        while block := response.read1(1 << 20):
            received += file.write(block)
            advance(len(block))
            if received > max_bytes:
                raise DownloadError(f"expected at most {max_bytes:,} bytes, got more")
            elapsed = time.monotonic() - start
            too_slow = elapsed > TIMEOUT and received < MIN_BYTES_PER_SECOND * elapsed
            if too_slow or (max_seconds and elapsed > max_seconds):
                raise DownloadError(f"download too slow: {received:,} bytes in {elapsed:.0f} s")
        if length and received != length:
            raise OSError(errno.EIO, f"incomplete download: expected {length} bytes, got {received}")
        return bool(length) or "chunked" in (response.headers.get("Transfer-Encoding") or "").lower()


def _request(url: str) -> urllib.request.Request:
    """Return the request of a URL; its special characters are quoted, and its user name becomes a header.

    Raises:
        DownloadError: the URL is not a valid address of HTTP or HTTPS.
    """
    try:
        parts = urlsplit(url)
        user, _, host = parts.netloc.rpartition("@")
        path, query = (quote(part, safe="/%:@!$&'()*+,;=~?") for part in (parts.path, parts.query))
        request = urllib.request.Request(  # noqa: S310  # the scheme is checked below
            urlunsplit((parts.scheme, host.encode("idna").decode(), path, query, ""))
        )
        if user:
            token = base64.b64encode(unquote(user).encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {token}")
        if parts.scheme.lower() in ("http", "https") and parts.hostname and parts.port != 0:
            return request
    except ValueError as error:  # a port that is no number, an unclosed bracket
        raise DownloadError(f"not a valid address: {error}") from error
    raise DownloadError("expected an address of HTTP or HTTPS")


def hosts_of(urls: Collection[str]) -> list[str]:
    """Return the hosts of valid addresses, as `download` compares them: with a port unless it is 80 or 443."""
    hosts = []
    for url in urls:
        with contextlib.suppress(ValueError):
            parts = urlsplit(url)
            hosts.append((parts.hostname or "") + (f":{parts.port}" if parts.port not in (None, 80, 443) else ""))
    return hosts


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to some hosts only, and never from HTTPS to HTTP."""

    def __init__(self, hosts: Collection[str], deadline: float) -> None:
        self._hosts, self._deadline = hosts, deadline

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        target = _request(urljoin(req.full_url, newurl))
        (host,) = hosts_of([target.full_url])
        if host not in self._hosts:
            raise DownloadError(f"redirected to another host, {host}")
        if time.monotonic() > self._deadline:
            raise DownloadError("download too slow: redirects only")
        if req.type == "https" and target.type == "http":
            raise DownloadError("redirected from HTTPS to HTTP")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Connection(http.client.HTTPConnection):
    """A connection whose request and headers, however slowly they arrive, take at most `TIMEOUT` seconds."""

    def connect(self) -> None:
        with _deadline(self):
            super().connect()

    def getresponse(self) -> http.client.HTTPResponse:
        with _deadline(self):
            return super().getresponse()


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    """The same over TLS."""


class _Handler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req)


@contextlib.contextmanager
def _deadline(connection: http.client.HTTPConnection) -> Iterator[None]:
    """Shut the socket down after `TIMEOUT` seconds; the timeout of a socket restarts with every byte."""
    expired = threading.Event()

    def shut_down() -> None:
        expired.set()
        with contextlib.suppress(OSError, AttributeError):  # closed, or not connected
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    timer = threading.Timer(TIMEOUT, shut_down)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if expired.is_set():
            raise TimeoutError("timed out") from error
        raise
    finally:
        timer.cancel()
    if expired.is_set():
        raise TimeoutError("timed out")
