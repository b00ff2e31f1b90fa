"""Write the layer names of the catalog models: gradcam_cli/models/data/layers.json.gz.

Usage: python tools/update_layers.py

Builds every model without weights. Run it after tools/update_catalog.py. The completion of `--layer` reads the file.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import keras

from gradcam_cli.models.catalog import catalog
from gradcam_cli.models.classifier import load_model
from gradcam_cli.models.layer_names import TABLE, iter_layer_names

FILE = Path(__file__).parent.parent / "gradcam_cli/models" / TABLE


def names_of(model: str) -> list[str]:
    """Return the paths of the layers of a catalog model."""
    keras.backend.clear_session()  # resets the numbers in layer names
    config: Any = json.loads(load_model(model, weights="none", offline=True).model.to_json())
    return list(iter_layer_names(config))


def main() -> None:
    """Write the layers of all models, and print their numbers."""
    entries = {}
    for model in catalog():
        entries[model] = names_of(model)
        print(model, len(entries[model]), file=sys.stderr)
    FILE.write_bytes(gzip.compress(json.dumps(entries, separators=(",", ":")).encode(), mtime=0))


if __name__ == "__main__":
    main()
