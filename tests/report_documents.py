"""Documents of a report: built for tests, and read from a page."""

import base64
import json
import re
from html import unescape

from gradcam_cli.output.colors import color_table

INJECTIONS = [
    "<script>window.pwned=1</script>",
    '"><img src=x onerror=window.pwned=1>',
    "</script><script>window.pwned=1</script>",
    "<!--<script>",
    "'\" onmouseover=window.pwned=1 &amp; {{ 7*7 }} {% raw %} ${1}",
    "</style></title></textarea>",
    "\u05d0\u05d1 \u2028 \udce9",
]
"""Texts that would break a page that does not escape them."""


def make_map(**changes):
    summary = {"zero_reason": None, "peak": None, "box": None, "numbers": [], "metrics": {}, "files": {}}
    images = {"map_image": None, "figure": None}
    size = {"model": "vgg19", "cells": "14x14", "raw_max": 0.25}
    map_ = {"class": "cat", "probability": 0.8, "layer": "conv", "method": "gradcam", **size, **images, **summary}
    return {**map_, "command": "gradcam a.png", **changes}


def make_entry(name="a.png", **changes):
    images = {"thumbnail": None, "image": None, "size": [8, 6]}
    results = {
        "predictions": [["cat", 0.8]],
        "class": "cat",
        "probability": 0.8,
        "failed_thresholds": [],
        "metrics": {},
    }
    maps = [make_map(command=f"gradcam {name}")]
    return {"name": name, "status": "ok", **images, **results, "maps": maps, **changes}


def with_maps(entry, *changes):
    """Return an entry with one map for each dict of changes."""
    fields = {"map_image": "report/map.png", "peak": [9, 14], "box": [10, 6, 30, 24]}
    return {**entry, "maps": [make_map(**{**fields, **change}) for change in changes]}


def make_failure(name, error="cannot be read", hint=None):
    images = {"thumbnail": None, "image": None, "size": None}
    results = {"predictions": [], "class": None, "probability": None, "maps": []}
    return make_entry(name, status="failed", error=error, hint=hint, **images, **results)


def make_document(entries=(), **changes):
    document = {
        "command": "explain",
        "command_line": None,
        "partial": None,
        "notice": None,
        "start": None,
        "verb": "explained",
        "model": None,
        "cmap": "viridis",
        "blend": "opacity",
        "colormaps": {name: base64.b64encode(color_table(name).tobytes()).decode() for name in ("viridis", "gray")},
        "seconds": None,
        "settings": [],
        "versions": [],
        "counts": {"ok": len(entries), "failed": 0, "skipped": 0},
        "threshold_results": [],
        "truth_states": [],
        "confusion": None,
        "only": None,
        "tables": [],
        "plots": [],
        "metrics": [],
        "entries": list(entries),
    }
    return {**document, **changes}


def make_levels(rows, **changes):
    """Return the numbers of a map as a page contains them: levels 0 to 255, row by row."""
    values = base64.b64encode(bytes(level for row in rows for level in row)).decode()
    shape = {"width": len(rows[0]), "height": len(rows), "values": values, "bits": 8}
    return {**shape, "top": 1, "limit": 1, "exact": True, **changes}


def make_plot(text="road", **changes):
    row = {"label": text, "baseline": False, "mean": 0.5, "total": 2, "points": [[0.25, 1], [0.75, 2]]}
    line = {"label": text, "baseline": True, "values": [0.5, 0.25], "area": 0.375}
    texts = {"title": text, "words": text, "direction": "higher", "unit": "image", "axes": [text, text]}
    return {**texts, "rows": [row], "lines": [line], **changes}


def document_with_text(text):
    """Return a document that contains a text in every field that may contain one."""
    results = {"class": text, "predictions": [[text, 0.5]], "failed_thresholds": [text], "metrics": {text: 1.0}}
    fields = {"class": text, "layer": text, "method": text, "zero_reason": text, "command": text}
    map_ = make_map(**fields, numbers=[[text, text]], metrics={text: 1.0}, files={text: "a.png"})
    return make_document(
        [make_entry(text, **results, maps=[map_]), make_failure(text, error=text, hint=text)],
        command_line=text,
        partial=text,
        settings=[[text, text]],
        versions=[[text, text]],
        threshold_results=[{"threshold": text, "failure": text}],
        tables=[{"title": text, "columns": [text, text], "rows": [[text, text]]}],
        plots=[make_plot(text)],
        metrics=[{"name": text, "title": text, "higher_is_better": True}],
    )


def document_in(page):
    """Return the document that a page contains."""
    block = re.search(r'<script type="application/json" id="report">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(unescape(block[1]))
