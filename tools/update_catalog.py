"""Write the data of `keras.applications`: gradcam_cli/models/data/applications.json and backbones.json.

Usage: python tools/update_catalog.py [--download] [--fingerprint NAME=FILE.keras]...

Builds every classifier without weights, and records the download that Keras would start, and the shapes of its
kernels. Run it after an update of Keras.

backbones.json also has fingerprints of trained weights: those of the built-in models, and those of the weights in
$GRADCAM_WEIGHTS and in Keras's cache; with --download those of all models. --fingerprint adds those of a model file,
such as a MobileNet of another width. Fingerprints of other models are kept.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.utils import file_utils

from gradcam_cli.errors import WeightsError
from gradcam_cli.models.backbone import fingerprint, structure_digests
from gradcam_cli.models.catalog import BUILT_IN, catalog
from gradcam_cli.models.classifier import load_model
from gradcam_cli.models.input_shape import DEFAULT_INPUT_SIZE
from gradcam_cli.models.loading import build_model, skip_weight_init
from gradcam_cli.models.model_files import load_model_file
from gradcam_cli.models.weights import ensure_weights

DATA = Path(__file__).parent.parent / "gradcam_cli/models/data"
CATALOG, BACKBONES = DATA / "applications.json", DATA / "backbones.json"
WIDTHS = {"MobileNet": (0.25, 0.5, 0.75, 1.0), "MobileNetV2": (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)}
"""Values of `alpha` for which Keras has weights."""


class _DownloadRequested(Exception):  # noqa: N818  # not an error
    """Raised instead of a download, with (file name, url, hash)."""


def weights_of(build: Any) -> dict[str, str | None]:
    """Return `weights_file`, `url` and `hash` of the weights that Keras would download."""

    def get_file(fname: str, origin: str, file_hash: str | None = None, **_: Any) -> None:
        raise _DownloadRequested(fname, origin, file_hash)

    original, file_utils.get_file = file_utils.get_file, get_file
    try:
        build(weights="imagenet")
    except _DownloadRequested as request:
        return dict(zip(("weights_file", "url", "hash"), request.args, strict=True))
    finally:
        file_utils.get_file = original
    raise RuntimeError("Keras requested no download")


def preprocess_of(build: Any) -> str:
    """Return the mode of `imagenet_utils.preprocess_input` that equals the model's `preprocess_input`, or `none`."""
    preprocess_input = inspect.getmodule(inspect.unwrap(build)).preprocess_input  # type: ignore[union-attr]
    pixels = np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3) * 5
    for mode in ("caffe", "tf", "torch"):
        expected = keras.applications.imagenet_utils.preprocess_input(pixels.copy(), mode=mode)
        if np.allclose(preprocess_input(pixels.copy()), expected):
            return mode
    if np.array_equal(preprocess_input(pixels.copy()), pixels):
        return "none"
    raise RuntimeError("unknown preprocessing")


def describe(function: str) -> dict[str, Any]:
    """Return the fields of the `ModelSpec` of a function in `keras.applications`."""
    build = getattr(keras.applications, function)
    weights = weights_of(build)
    keras.backend.clear_session()  # resets the numbers in layer names
    model = build(weights=None)
    size = model.input_shape[1] or DEFAULT_INPUT_SIZE  # MobileNetV3 has a variable input size
    return {
        "name": function.lower(),
        "keras_function": function,
        "input_size": size,
        "num_params": model.count_params(),
        "default_layer": load_model(model, preprocess="none", input_size=(size, size)).find_layer("auto").path,
        "preprocess": preprocess_of(build),
        **weights,
    }


def structures_of(function: str) -> list[dict[str, Any]]:
    """Return the digests of the convolutions of a function in `keras.applications`, for each width."""
    build, structures = getattr(keras.applications, function), []
    for options in [{"alpha": alpha} for alpha in WIDTHS.get(function, ())] or [{}]:
        with skip_weight_init():
            digests = list(structure_digests(build(weights=None, include_top=False, **options)))
        structures.append({"model": function.lower(), "layers": len(digests), "digest": digests[-1]})
    return structures


def fingerprint_of(name: str, file: Path | None, *, download: bool) -> dict[str, Any] | None:
    """Return the fingerprint of a model with trained weights, or None if they are not on this machine."""
    spec = catalog()[name]
    try:
        if file:
            model = load_model_file(file, allow_unsafe=False)
        else:
            model = build_model(spec, ensure_weights(spec, None, offline=not download))
    except WeightsError:
        return None
    found = fingerprint(model)
    return {"model": name, **found} if found else None


def write_backbones(functions: list[str], files: dict[str, Path], *, download: bool) -> None:
    """Write the structures of all functions, and the fingerprints of all models whose weights there are."""
    kept = json.loads(BACKBONES.read_text())["fingerprints"] if BACKBONES.exists() else []
    names = [*(function.lower() for function in functions), *(spec.name for spec in BUILT_IN)]
    requests: list[tuple[str, Path | None]] = [*files.items(), *((name, None) for name in names)]
    added = [fingerprint_of(name, file, download=download) for name, file in requests]
    by_kernel = {(entry["model"], *entry["kernel"]): entry for entry in [*kept, *filter(None, added)]}
    structures = [structure for function in functions for structure in structures_of(function)]
    lines = {"fingerprints": [by_kernel[key] for key in sorted(by_kernel)], "structures": structures}
    texts = [f'"{key}": [\n' + ",\n".join(map(json.dumps, entries)) + "\n]" for key, entries in lines.items()]
    BACKBONES.write_text("{" + ",\n".join(texts) + "}\n")


def main() -> None:
    """Describe all classifiers, and print the name and default layer of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--download", action="store_true")
    parser.add_argument("--fingerprint", action="append", default=[], metavar="NAME=FILE")
    options = parser.parse_args()
    functions = [name for name, build in vars(keras.applications).items() if inspect.isfunction(build)]
    entries = []
    for function in functions:
        entries.append(describe(function))
        print(entries[-1]["name"], entries[-1]["default_layer"], file=sys.stderr)
    entries.sort(key=lambda entry: entry["name"])
    CATALOG.write_text(json.dumps(entries, indent=1) + "\n")
    files = {name: Path(file) for name, _, file in (text.partition("=") for text in options.fingerprint)}
    write_backbones(sorted(functions), files, download=options.download)


if __name__ == "__main__":
    main()
