"""The page of an audit: its marks, and the concepts of each class."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image

from gradcam_cli.auditing.effect import Effect
from gradcam_cli.auditing.records import Audit, ClassAudit, ConceptRecord, MarkRecord
from gradcam_cli.output.naming import safe_filename
from gradcam_cli.pipeline.json_lines import versions
from gradcam_cli.reporting.audit_images import encode_crops, encode_marked
from gradcam_cli.reporting.build import PAGE_NAME, check_not_foreign_page
from gradcam_cli.reporting.page import content_security_policy, page_environment, read_asset
from gradcam_cli.reporting.run_log import REPORT_FOLDER
from gradcam_cli.storage.files import write_output

MAX_CLASSES = 200
"""Number of classes on the page: those with marks, then those with the most images."""
MAX_FAILURES, MAX_FILES = 50, 8
BAR_WIDTH = 120
"""Width in pixels of the bar of the most important concept of a class."""


def write_audit_page(audit: Audit, directory: Path, command_line: str | None = None) -> Path:
    """Write `index.html` and its pictures into a directory; return the path of the page.

    Raises:
        OutputError: `index.html` was not written by gradcam, or a file cannot be written.
    """
    check_not_foreign_page(directory)
    document = audit_document(audit, directory)
    page = render_audit({**document, "command_line": command_line})
    return write_output(directory / PAGE_NAME, page.encode(), directory)


def render_audit(document: dict[str, Any]) -> str:
    """Return the HTML page of an audit; texts of the document are escaped."""
    from markupsafe import Markup

    style = "".join(map(read_asset, ("style.css", "audit.css", "print.css")))
    page = (
        page_environment()
        .get_template("audit.html.j2")
        .render(
            document=document,
            version=version("gradcam-cli"),
            policy=content_security_policy(style),
            style=Markup(style),  # noqa: S704  # files of this package
        )
    )
    return page.encode("utf-8", "backslashreplace").decode("utf-8")  # file names may hold lone surrogates


def audit_document(audit: Audit, directory: Path) -> dict[str, Any]:
    """Write the pictures of an audit, and return the document of its page."""
    audited = [each for each in audit.classes if each.concepts]
    shown = sorted(audited, key=lambda each: (-len(each.marks), -each.images))[:MAX_CLASSES]
    shown.sort(key=lambda each: each.index)
    return {
        "model": audit.model,
        "layer": audit.layer,
        "images": audit.images,
        "left_out": audit.left_out,
        "classes": [_class_of(each, directory) for each in shown],
        "num_audited": len(audited),
        "small": [{"label": each.label, "images": each.images} for each in audit.classes if not each.concepts],
        "marks": [_mark_of(each, number, directory) for each in shown for number in range(len(each.marks))],
        "failures": [{"name": each.source, "error": each.error} for each in audit.failures[:MAX_FAILURES]],
        "num_failures": len(audit.failures),
        "versions": list(versions().items()),
    }


def _class_of(each: ClassAudit, directory: Path) -> dict[str, Any]:
    largest = max(concept.importance.mean for concept in each.concepts)
    return {
        "id": f"class-{each.index}",
        "label": each.label,
        "images": each.images,
        "concepts": [_concept_of(each, concept, largest, directory) for concept in each.concepts],
    }


def _concept_of(each: ClassAudit, concept: ConceptRecord, largest: float, directory: Path) -> dict[str, Any]:
    crops = [example.crop for example in concept.examples]
    name = f"class{each.index}_concept{concept.number}_gradcam_crops.png"
    return {
        "number": concept.number,
        "importance": _effect_text(concept.importance),
        "bar": round(BAR_WIDTH * max(concept.importance.mean, 0) / largest) if largest > 0 else 0,
        "picture": _write_picture(directory, name, encode_crops(crops)) if crops else None,
        "files": _first_names([example.source for example in concept.examples]),
        "mark": any(mark.concept == concept.number for mark in each.marks),
    }


def _mark_of(each: ClassAudit, number: int, directory: Path) -> dict[str, Any]:
    mark, name = each.marks[number], f"class{each.index}_mark{number + 1}_gradcam.png"
    picture = encode_marked([mark.mean_image, *mark.examples[: MAX_FILES - 2]], mark.box)
    return {
        "class_id": f"class-{each.index}",
        "label": each.label,
        "concept": mark.concept,
        **_mark_texts(mark, each.images),
        "picture": _write_picture(directory, name, picture),
        "files": _first_names(mark.sources),
    }


def _mark_texts(mark: MarkRecord, class_size: int) -> dict[str, Any]:
    return {
        "box": f"columns {mark.box.x0} to {mark.box.x1}, rows {mark.box.y0} to {mark.box.y1} of the model input",
        "count": f"{len(mark.sources)} of {class_size} images of the class, {mark.others} of other classes",
        "p_value": f"{mark.p_value:.2g}",
        "effect": _effect_text(mark.effect),
        "is_used": mark.is_used,
    }


def _effect_text(effect: Effect) -> str:
    return f"{effect.mean:.3f} ({effect.low:.3f} to {effect.high:.3f})"


def _first_names(names: Sequence[str]) -> str:
    more = len(names) - MAX_FILES
    return ", ".join(dict.fromkeys(names[:MAX_FILES])) + (f" and {more} more" if more > 0 else "")


def _write_picture(directory: Path, name: str, data: bytes) -> dict[str, Any]:
    """Write a PNG file; return its relative URL and its size."""
    path = f"{REPORT_FOLDER}/{safe_filename(name)}"
    write_output(directory / path, data, directory)
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
    return {"src": path, "width": width, "height": height}
