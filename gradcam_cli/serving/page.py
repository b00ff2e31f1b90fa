"""The page of `gradcam serve`: one HTML text with its style sheets and scripts, which request all contents."""

from __future__ import annotations

from pathlib import Path

from gradcam_cli.reporting import page as report_page

_FOLDER = Path(__file__).parent
_REPORT_SCRIPTS = ("elements.js", "maps.js", "places.js", "signal.js")
_SCRIPTS = (
    *("view.js", "server.js", "status.js", "scrolling.js", "models.js", "images.js", "upload.js", "class_search.js"),
    *("predictions.js", "methods.js", "look.js", "requests.js", "panels.js", "pointer.js", "slices.js", "signals.js"),
    *("strip.js", "export.js", "explorer.js"),
)
"""Scripts in the order of the page; the last one starts it."""


def render_page() -> tuple[str, str]:
    """Return the page and its Content-Security-Policy, which also belongs into a header of the answer.

    The page contains no value of a session: its scripts fetch them from relative addresses.
    """
    from markupsafe import Markup

    style = "".join(map(report_page.read_asset, ("style.css", "scroll.css"))) + _read_asset("explorer.css")
    script = "\n".join([*map(report_page.read_asset, _REPORT_SCRIPTS), *map(_read_asset, _SCRIPTS)])
    policy = report_page.content_security_policy(style, script) + "; connect-src 'self'"
    page = report_page.page_environment(_FOLDER / "templates").get_template("explorer.html.j2")
    return page.render(style=Markup(style), script=Markup(script), policy=policy), policy  # noqa: S704  # own files


def _read_asset(name: str) -> str:
    return (_FOLDER / "assets" / name).read_text(encoding="utf-8")
