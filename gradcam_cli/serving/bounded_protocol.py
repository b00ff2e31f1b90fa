"""HTTP/1.1 for which a request must arrive in bounded time: a connection that waits too long is closed."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20
"""A connection is closed after one to two times this time without a complete head of a request."""


class BoundedProtocol(H11Protocol):
    """The protocol of uvicorn, which by itself waits without end for the rest of a head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to check the connection."""
        super().connection_made(transport)
        self._waiting_for: Any = self
        self._check = self.loop.call_later(HEAD_SECONDS, self._close_if_waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the checks."""
        self._check.cancel()
        super().connection_lost(exc)

    def _close_if_waiting(self) -> None:
        """Close the connection if it has waited since the last check, for its first request or for the next one."""
        is_waiting = self.cycle is None or self.cycle.response_complete
        if is_waiting and self._waiting_for is self.cycle:
            self.transport.close()
            return
        self._waiting_for = self.cycle if is_waiting else self
        self._check = self.loop.call_later(HEAD_SECONDS, self._close_if_waiting)
