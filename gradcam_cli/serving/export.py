"""The static report of maps of one image, as a ZIP archive."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from gradcam_cli.pipeline.json_lines import to_json
from gradcam_cli.reporting.image_store import ReportImages
from gradcam_cli.reporting.rerun import shell_quote
from gradcam_cli.reporting.writer import ReportWriter

if TYPE_CHECKING:
    from gradcam_cli.pipeline.results import Explanation
    from gradcam_cli.serving.requests import MapRequest
    from gradcam_cli.serving.session import Session

FOLDER = "gradcam-report"


def report_zip(session: Session, requests: Sequence[MapRequest]) -> bytes:
    """Return the report of maps of one image.

    All maps are computed before the first file is written, into a temporary directory that is removed.

    Raises:
        GradcamError: a map cannot be computed.
    """
    explanations = [session.explain(request) for request in requests]
    commands = [session.command(request, each) for request, each in zip(requests, explanations, strict=True)]
    start = {
        "command": "explain",
        "command_line": "; ".join(" ".join(map(shell_quote, command)) for command in commands),
        "inputs": 1,
        "thresholds": [],
    }
    with tempfile.TemporaryDirectory(prefix="gradcam-serve-") as folder:
        directory = Path(folder, FOLDER)
        directory.mkdir()
        images = ReportImages(directory)
        with ReportWriter(directory, start, images) as writer:
            drawn = images.report_fields(list(map(_numbered, explanations, count())), [{}] * len(explanations))
            records = [
                {**to_json(each, {}, session.rerun_args(request)), "report": fields}
                for request, each, fields in zip(requests, explanations, drawn, strict=True)
            ]
            writer.write(*records)
        return _zipped(directory)


def _numbered(explanation: Explanation, number: int) -> Explanation:
    """Return a map whose file has its own name: a contrast or another model may have the same layer and class."""
    layer, method, _ = explanation.request_key
    return replace(explanation, request_key=(layer, method, f"{number}"))


def _zipped(directory: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(directory.parent))
    return buffer.getvalue()
