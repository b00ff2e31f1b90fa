"""A connection whose request does not arrive is closed; one whose answer takes long is not."""

import socket
import threading
import time

import pytest
import uvicorn

from gradcam_cli.serving import bounded_protocol
from gradcam_cli.serving.bounded_protocol import BoundedProtocol


async def slow_answer(scope, receive, send):
    import asyncio

    await asyncio.sleep(1.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def address(monkeypatch):
    monkeypatch.setattr(bounded_protocol, "HEAD_SECONDS", 0.3)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(slow_answer, lifespan="off", http=BoundedProtocol, log_config=None, timeout_keep_alive=60)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(30)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
def test_a_connection_without_a_whole_head_is_closed(address, sent):
    """Also if a byte arrives now and then."""
    connection = socket.create_connection(address)
    connection.settimeout(30)
    connection.sendall(sent)
    start = time.monotonic()
    if sent:
        time.sleep(0.2)
        connection.sendall(b"y")
    assert connection.recv(10) == b""
    assert time.monotonic() - start < 10


def test_an_answer_may_take_longer_and_the_connection_closes_after_it(address):
    connection = socket.create_connection(address)
    connection.settimeout(30)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    received = b""
    while part := connection.recv(1000):
        received += part
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"ok")
