"""Reading the bodies of requests, under limits of size and time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MAX_SECONDS = 120
"""Time that a body may take to arrive."""


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Read a body up to a limit of bytes and of seconds.

    Raises:
        HTTPException: it is larger, or takes too long.
    """
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > max_bytes:
        raise HTTPException(413 if length.isdecimal() else 400, f"expected at most {max_bytes} bytes")
    parts: list[bytes] = []
    total = 0
    try:
        async with asyncio.timeout(MAX_SECONDS):
            async for part in request.stream():
                total += len(part)
                if total > max_bytes:
                    raise HTTPException(413, f"expected at most {max_bytes} bytes")
                parts.append(part)
    except TimeoutError as error:
        raise HTTPException(408, "the upload took too long") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the upload was broken off") from error
    return b"".join(parts)


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the object of a JSON text.

    Raises:
        HTTPException: it is none.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "expected a JSON object") from error
    if not isinstance(value, dict):
        raise HTTPException(400, "expected a JSON object")
    return value
