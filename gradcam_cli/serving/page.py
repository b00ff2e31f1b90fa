"""The page of `gradcam serve`."""

from __future__ import annotations

from gradcam_cli.report.page import content_security_policy


def render_page() -> tuple[str, str]:
    """Return the page and its Content-Security-Policy."""
    return "<!doctype html><title>gradcam</title>", content_security_policy("") + "; connect-src 'self'"
