"""A server that is called in this process, and pictures for it."""

import base64
import io
import shlex
from typing import NamedTuple

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from gradcam_cli.serving.app import Server
from gradcam_cli.serving.http_server import IdleClock
from gradcam_cli.serving.security import Guard
from gradcam_cli.serving.session import Session
from gradcam_cli.serving.worker import Worker

PORT, TOKEN = 8321, "a-token-of-the-tests"
HOST = f"127.0.0.1:{PORT}"


class Served(NamedTuple):
    """A session, its server, and a client at the address of the page."""

    session: Session
    server: Server
    client: TestClient

    def json(self, path, **parameters):
        """The JSON of an answer that must succeed."""
        answer = self.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()


def png(pixels):
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def blocks(seed, H=90, W=120):
    """A picture of random blocks."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((W, H), Image.Resampling.NEAREST))


def served(session, port=PORT):
    """A client of a server in this process."""
    server = Server(session, Worker())
    guard = Guard(IdleClock(server.application()), port, TOKEN)
    client = TestClient(guard, base_url=f"http://127.0.0.1:{port}/{TOKEN}/", raise_server_exceptions=False)
    return Served(session, server, client)


def values(answer):
    """The map of an answer, (h, w)."""
    flat = np.frombuffer(base64.b64decode(answer["values"]), "<f4")
    return flat.reshape(answer["height"], answer["width"])


def arguments_of(command):
    """The arguments of a command, without the program."""
    return shlex.split(command)[1:]
