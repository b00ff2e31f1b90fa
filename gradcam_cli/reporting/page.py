"""The page of a report: one HTML file that contains its style sheet, its script and the document of the run."""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).parent
_SCRIPTS = (
    *("elements.js", "maps.js", "state.js", "truth.js", "gallery.js", "cards.js", "quick.js", "detail.js", "look.js"),
    *("places.js", "scroll.js", "signal.js", "viewer.js", "details.js", "sparkline.js", "plots.js", "main.js"),
)
"""Scripts in the order of the page; the last one draws the first view."""
_STYLES = ("style.css", "scroll.css", "gallery.css", "summary.css", "print.css")
_MAX_LISTED_FAILURES = 50
"""Failed inputs in the summary; the gallery lists all of them."""


def render(document: dict[str, Any]) -> str:
    """Return the HTML page of a run.

    Texts of the document may contain markup. The page contains them escaped, or in a block of JSON that the script
    inserts as text. Equal documents give equal bytes.

    Args:
        document: the run as JSON values; paths are relative URLs.

    Returns:
        The text of `index.html`, encodable as UTF-8.

    Raises:
        ValueError: a number of the document is NaN or infinite.
    """
    from markupsafe import Markup

    environment = page_environment()
    style = "".join(map(read_asset, _STYLES))
    script = "\n".join(map(read_asset, _SCRIPTS))
    page = environment.get_template("index.html.j2").render(
        document=document,
        failures=_failures(document["entries"]),
        failures_shown=_MAX_LISTED_FAILURES,
        duration=_duration(document["seconds"]),
        version=version("gradcam-cli"),
        policy=content_security_policy(style, script),
        style=Markup(style),  # noqa: S704  # a file of this package
        script=Markup(script),  # noqa: S704
    )
    return page.encode("utf-8", "backslashreplace").decode("utf-8")  # file names may hold lone surrogates


def page_environment(folder: Path = _FOLDER / "templates") -> Environment:
    """Return the environment of a folder of templates: texts are escaped, and a missing value is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # slow to import, and few runs write a report

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(folder),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


def read_asset(name: str) -> str:
    """Return the text of a style sheet or script of the pages."""
    return (_FOLDER / "assets" / name).read_text(encoding="utf-8")


def content_security_policy(style: str, script: str | None = None) -> str:
    """Return a Content-Security-Policy that allows this style sheet, this script and local images only."""
    return "; ".join(
        [
            "default-src 'none'",
            *([] if script is None else [f"script-src '{_hash(script)}'"]),
            f"style-src '{_hash(style)}'",
            "img-src 'self' file: data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _failures(entries: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Return the failed entries with their numbers in links, which start at 1."""
    return [(number, entry) for number, entry in enumerate(entries, start=1) if entry["status"] == "failed"]


def _duration(seconds: float | None) -> str:
    """Format a duration: `9.5 s`, `2 min 5 s`, `1 h 0 min`."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
