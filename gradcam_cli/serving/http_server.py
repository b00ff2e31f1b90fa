"""Running the server on a port of this machine until it is interrupted or no page is open any more."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn

from gradcam_cli.console import ANNOUNCE, log
from gradcam_cli.errors import UsageError
from gradcam_cli.serving.app import Server
from gradcam_cli.serving.bounded_protocol import BoundedProtocol
from gradcam_cli.serving.security import MAX_HEADER_BYTES, Guard
from gradcam_cli.serving.session import Session
from gradcam_cli.serving.worker import Worker

ADDRESS = "127.0.0.1"
TOKEN_BYTES = 32
MAX_CONNECTIONS, KEEP_ALIVE_SECONDS = 100, 15
STOP_SECONDS = 5
"""Time that requests, and then the computation that runs, have to end."""


class IdleClock:
    """An ASGI application that notes when the last request came.

    Args:
        app: the application behind it; requests that it refuses do not count.
    """

    def __init__(self, app: Any) -> None:
        self._app, self._last = app, time.monotonic()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on."""
        self._last = time.monotonic()
        await self._app(scope, receive, send)
        self._last = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the last request."""
        return time.monotonic() - self._last


def open_socket(port: int) -> socket.socket:
    """Return a socket that listens on this machine only; port 0 is a free one.

    Raises:
        UsageError: the port is in use or not allowed.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UsageError(f"--port {port}: {error.strerror}", "leave --port out for a free one") from error
    return listener


def serve(
    session: Session, listener: socket.socket, idle_minutes: float, on_listening: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until SIGINT, SIGTERM, or until no page has sent a request for some minutes.

    Args:
        session: what is served.
        listener: from `open_socket`; it is closed.
        idle_minutes: minutes without a request after which the server ends.
        on_listening: called with the address of the page.
    """
    token, worker = secrets.token_urlsafe(TOKEN_BYTES), Worker()
    try:
        asyncio.run(_serve(session, worker, listener, token, idle_minutes * 60, on_listening))
    finally:
        listener.close()
        worker.stop(STOP_SECONDS)


async def _serve(
    session: Session,
    worker: Worker,
    listener: socket.socket,
    token: str,
    idle_seconds: float,
    on_listening: Callable[[str], None],
) -> None:
    port = listener.getsockname()[1]
    clock = IdleClock(Server(session, worker).application())
    config = uvicorn.Config(
        Guard(clock, port, token),
        lifespan="off",
        ws="none",
        http=BoundedProtocol,
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )
    server = uvicorn.Server(config)
    _prepare_layers(session, worker)
    idle = asyncio.create_task(_stop_when_idle(server, clock, worker, idle_seconds))
    on_listening(f"http://{ADDRESS}:{port}/{token}/")
    try:
        await server.serve(sockets=[listener])
    finally:
        idle.cancel()


def _prepare_layers(session: Session, worker: Worker) -> None:
    """Run the parts of the networks behind the layers that the page shows first, in the background."""
    for model in session.models.values():
        for path in model.shown_first:
            worker.submit(partial(model.prepare, path), background=True)


async def _stop_when_idle(server: uvicorn.Server, clock: IdleClock, worker: Worker, seconds: float) -> None:
    while clock.seconds < seconds or worker.running:
        await asyncio.sleep(min(1.0, seconds / 4))
    log.log(ANNOUNCE, "no page was open for %g minutes: the server ends", seconds / 60)
    server.should_exit = True
