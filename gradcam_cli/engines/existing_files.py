"""The files that an earlier run left: `--skip-existing` keeps those of the same image, model and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gradcam_cli.engines.job import ExplainTask
from gradcam_cli.errors import InputError
from gradcam_cli.images.source import Source
from gradcam_cli.models.weights import UNTRAINED
from gradcam_cli.output.destination import DRAWN
from gradcam_cli.output.naming import OutputFile
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig
from gradcam_cli.pipeline.origin import (
    Origin,
    differences,
    origin_in,
    origin_of_file,
    origin_of_run,
    read_origin,
    read_record,
)
from gradcam_cli.storage.files import exists

NAMES = {
    "sha256": "image",
    "weights_sha256": "weights",
    "maps": "layer, method or class",
    "truth": "true class",
    "origin": "origin, or none",
}
"""How messages call the values of an origin; others by their keys."""


@dataclass(frozen=True)
class RunOrigins:
    """The origins of the files of a run.

    Attributes:
        model: the model to load.
        config: the maps to compute.
        render: how pictures are drawn.
        weights_hash: SHA-256 of the weights before the model is loaded, or None if it is not known.
    """

    model: ModelConfig
    config: ExplainConfig
    render: RenderOptions
    weights_hash: str | None = None

    @cached_property
    def _shared(self) -> dict[bool, Origin]:
        """The part that all pictures share, and that of arrays."""
        return {
            picture: origin_of_run(self.model, self.config, self.render if picture else None)
            for picture in (True, False)
        }

    def origin(
        self, source: str, outputs: Sequence[OutputFile], path: Path, image_hash: str | None, weights_hash: str | None
    ) -> Origin:
        """Return the origin of one of an input's files."""
        own = [output for output in outputs if output.path == path]
        shared = self._shared[own[0].kind in DRAWN]
        if self.config.truth:
            shared = {**shared, "truth": self.config.truth.label(source)}
        return origin_of_file(shared, [output.request_key for output in own], image_hash, weights_hash)

    def current_record(self, task: ExplainTask) -> Origin | None:
        """Return what a file of a task carries, or None unless all its files exist and have the origin of this run."""
        paths = {output.path for output in task.outputs}
        if self.model.weights == UNTRAINED or task.source.name == "-" or not all(map(exists, paths)):
            return None
        records = {path: read_record(path) for path in paths}
        saved = {path: origin_in(record) for path, record in records.items()}
        hashes = {
            origin["sha256"] if origin and isinstance(origin.get("sha256"), str) else "" for origin in saved.values()
        }
        image_hash = hashes.pop()
        if hashes or any(
            differences(saved[path], self.origin(task.source.name, task.outputs, path, image_hash, self.weights_hash))
            for path in paths
        ):
            return None
        return next(iter(records.values())) if _hash_of(task.source) == image_hash else None


def replacement(path: Path, origin: Origin) -> str | None:
    """Return a message if a file exists that has another origin than the one to be written, or None."""
    if not exists(path) or not (names := differences(read_origin(path), origin)):
        return None
    return f"{path}: replaced, it had another {' and '.join(NAMES.get(name, name) for name in names)}"


def _hash_of(source: Source) -> str | None:
    """Return the SHA-256 of a source, or None if it cannot be read."""
    try:
        return source.sha256()
    except InputError:
        return None
