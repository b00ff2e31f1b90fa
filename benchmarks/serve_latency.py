"""Measure the answers of `gradcam serve` over HTTP on loopback: a new class, method or layer of an image.

    python benchmarks/serve_latency.py --model lite0 --image sample_images/chelsea.png
    python benchmarks/serve_latency.py --model vgg19 --weights FILE --layers block5_conv4,block5_conv3 --image FILE

The server runs in a process of its own. `first use` is the first request for a layer, before the part of the network
behind it was used; all other requests are for an image whose pass is kept. A request counts from its first byte to the
last byte of its JSON. Prints a row for each kind of request: median, 95th percentile, maximum, number of requests.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

from hardware import describe_hardware

METHODS = ("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "eigencam", "segeigencam")
"""The methods that are computed from one pass."""


class Page:
    """A connection to a server, as the page keeps it open."""

    def __init__(self, address: str) -> None:
        url = urllib.parse.urlsplit(address)
        self.path, self.connection = url.path, http.client.HTTPConnection(url.netloc)

    def get(self, path: str, **parameters: str | int) -> tuple[float, dict]:
        """Return milliseconds and the JSON of an answer."""
        start = time.perf_counter()
        self.connection.request("GET", f"{self.path}{path}?{urllib.parse.urlencode(parameters)}")
        answer = self.connection.getresponse()
        data = answer.read()
        milliseconds = 1000 * (time.perf_counter() - start)
        if answer.status != 200:
            sys.exit(f"{path} {parameters}: {data.decode()}")
        return milliseconds, json.loads(data)


def measure(page: Page, layers: list[str], requests: int, seed: int = 0) -> dict[str, list[float]]:
    """Return the milliseconds of each kind of request.

    Args:
        page: the connection.
        layers: the requested layers; empty for all.
        requests: number of requests of each kind.
        seed: of the order.
    """
    rng = random.Random(seed)
    model = page.get("api/session")[1]["models"][0]
    layers = layers or [layer["path"] for layer in model["layers"]]
    classes = model["classes"]

    def map_of(**parameters: str | int) -> float:
        return page.get("api/map", model=model["id"], image="0", **{"class": rng.randrange(classes)}, **parameters)[0]

    measured = {"first prediction of the image": [page.get("api/predictions", model=model["id"], image="0")[0]]}
    measured["first use of a layer"] = [map_of(layer=layer) for layer in layers]
    measured["new class"] = [map_of(layer=layers[-1]) for _ in range(requests)]
    measured["new method"] = [map_of(layer=layers[-1], method=METHODS[i % len(METHODS)]) for i in range(requests)]
    measured["new layer"] = [map_of(layer=layers[i % len(layers)]) for i in range(requests)]
    everything = [map_of(layer=rng.choice(layers), method=rng.choice(METHODS)) for _ in range(requests)]
    measured["class, method and layer at random"] = everything
    return measured


def row(name: str, milliseconds: list[float]) -> str:
    """Return a row of the table."""
    ordered = sorted(milliseconds)
    p50, p95 = (ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.5, 0.95))
    return f"| {name} | {p50:.0f} | {p95:.0f} | {ordered[-1]:.0f} | {len(ordered)} |"


def main() -> None:
    """Start a server, measure it, and stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lite0")
    parser.add_argument("--weights")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--layers", default="", help="paths, separated by commas [default: all]")
    parser.add_argument("--requests", type=int, default=200, help="of each kind")
    parser.add_argument("--precision", default="float32")
    options = parser.parse_args()
    hardware = describe_hardware()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(options.image, folder)
        command = [sys.executable, "-m", "gradcam_cli", "serve", folder, "--model", options.model]
        command += ["--precision", options.precision, *(["--weights", options.weights] if options.weights else [])]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert server.stdout
            address = server.stdout.readline().strip()
            if not address:
                sys.exit("the server did not start")
            measured = measure(Page(address), [layer for layer in options.layers.split(",") if layer], options.requests)
        finally:
            server.terminate()
            server.wait()
    print(f"{hardware}; load {os.getloadavg()[0]:.1f} after it; {options.model}, {options.precision}\n")
    print("| request | median ms | 95th percentile ms | maximum ms | requests |\n| --- | ---: | ---: | ---: | ---: |")
    for name, milliseconds in measured.items():
        print(row(name, milliseconds))


if __name__ == "__main__":
    main()
