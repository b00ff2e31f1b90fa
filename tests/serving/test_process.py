"""The command in its own process: it prints its address, serves two clients at once, and leaves nothing behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import psutil
import pytest
from serving_client import blocks, png

START_SECONDS, STOP_SECONDS = 120, 30


class Running:
    """A server in its own process; its temporary files are in a directory of their own."""

    def __init__(self, folder, *options):
        self.folder, self.temporary = folder, folder / "temporary"
        self.temporary.mkdir()
        (folder / "photos").mkdir()
        for i in range(2):
            (folder / "photos" / f"{i}.png").write_bytes(png(blocks(i)))
        command = [sys.executable, "-m", "gradcam_cli", "serve", "photos", "--model", "mini", *options]
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, **streams)
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), self.process.stderr.read()

    def client(self):
        return httpx2.Client(base_url=self.address, timeout=START_SECONDS)

    def end(self, number=None):
        """Send a signal, and return status, the rest of standard output, and standard error."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=STOP_SECONDS)
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        assert not list(self.temporary.iterdir())
        return self.process.returncode, out, err


@pytest.fixture
def start(tmp_path):
    running = []

    def run(*options):
        running.append(Running(tmp_path, *options))
        return running[-1]

    yield run
    for each in running:
        each.process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_server_and_leaves_nothing(start, number, status):
    """Neither while a slow method runs, nor after a report: no process, no temporary file, no traceback."""
    server = start()
    with server.client() as client:
        body = {"image": "0", "maps": [{"model": "m0"}]}
        assert client.post("api/report", json=body).status_code == 200
        slow = {"model": "m0", "image": "1", "method": "occlusion"}
        waiting = threading.Thread(target=_ignore_errors, args=(lambda: client.get("api/map", params=slow),))
        waiting.start()
        time.sleep(0.3)
        ended, out, err = server.end(number)
        waiting.join()
    assert (ended, out) == (status, "")
    assert "Traceback" not in err
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(server.address)


@pytest.mark.slow
def test_the_server_ends_when_no_page_is_open(start):
    """Pages that ask whether it is alive keep it; it ends with status 0 some time after the last request."""
    server = start("--idle-shutdown", "0.05")
    with server.client() as client:
        for _ in range(10):
            assert client.get("api/alive").status_code == 204
            time.sleep(0.5)
    assert server.process.poll() is None
    status, _, err = server.end()
    assert status == 0
    assert "no page was open for 0.05 minutes" in err


@pytest.mark.slow
def test_two_pages_at_once_get_their_own_maps(start):
    """Requests of two clients that overlap: each answer is that of the same request alone."""
    server = start()
    wanted = [
        {"model": "m0", "image": str(i % 2), "class": str(i % 5), "layer": f"block{3 + i % 3}_conv1"} for i in range(12)
    ]
    answers = [{}, {}]

    def ask(k):
        with server.client() as client:
            for i, each in list(enumerate(wanted))[:: 1 if k else -1]:
                answers[k][i] = client.get("api/map", params=each).json()

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, each in enumerate(wanted):
        first, second = (answers[k][i] for k in range(2))
        assert first["values"] == second["values"]
        assert str(first["class"]["index"]) == each["class"]
        assert first["layer"] == each["layer"]
    assert len({answers[0][i]["values"] for i in range(len(wanted))}) == len(wanted)
    with server.client() as client:  # a port of this machine only, and no other server on it
        port = server.address.split(":")[2].split("/")[0]
        assert client.get("api/alive").status_code == 204
    second = [sys.executable, "-m", "gradcam_cli", "serve", "--model", "mini", "--port", port]
    done = subprocess.run(second, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    assert done.returncode == 2
    assert f"--port {port}: " in done.stderr
    listening = {
        each.laddr.ip for each in psutil.Process(server.process.pid).net_connections() if each.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}
    assert server.end(signal.SIGINT)[0] == 130


@pytest.mark.slow
def test_a_page_that_goes_away_leaves_out_its_requests(start):
    """Connections that are closed before their answer, and ones that never send a request, do not stop the others."""
    server = start()
    host, port = server.address.split("/")[2].split(":")
    open_sockets = []

    for i in range(20):
        each = socket.create_connection((host, int(port)))
        if i % 2:
            each.sendall(b"GET / HTTP/1.1\r\nHost: ")
        open_sockets.append(each)
    with server.client() as client:
        assert client.get("api/alive").status_code == 204
        with contextlib.suppress(httpx2.ReadError):  # the server answers 400 and closes, before it has read all
            assert client.get("api/alive", headers={"x": "y" * 100_000}).status_code in (400, 431)
        assert client.get("api/alive").status_code == 204
    for each in open_sockets:
        each.close()
    status, _, err = server.end(signal.SIGINT)
    assert status == 130
    assert "Traceback" not in err


def test_without_the_packages_the_command_says_how_to_install_them(tmp_path):
    (tmp_path / "starlette.py").write_text("raise ImportError('no starlette')")
    command = [sys.executable, "-m", "gradcam_cli", "serve", "--model", "mini"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'gradcam-cli[serve]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_that_does_not_exist_is_a_usage_error(cli):
    assert cli("serve", "nowhere").status == 2
    Path("file.png").write_bytes(b"")
    assert cli("serve", "file.png").status == 2


def _ignore_errors(function):
    with contextlib.suppress(httpx2.HTTPError):
        function()
