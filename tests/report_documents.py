"""Documents of a report: hand-made ones, and the one embedded in a written page."""

import json
import re
from html import unescape

HOSTILE = [
    "<script>window.pwned=1</script>",
    '"><img src=x onerror=window.pwned=1>',
    "</script><script>window.pwned=1</script>",
    "<!--<script>",
    "'\" onmouseover=window.pwned=1 &amp; {{ 7*7 }} {% raw %} ${1}",
    "</style></title></textarea>",
    "\u05d0\u05d1 \u2028 \udce9",
]


def make_entry(name="a.png", **changes):
    plain = {"class": "cat", "p": 0.8, "layer": "conv", "method": "gradcam", "picture": None, "drawn": None}
    known = {
        "zero": None,
        "peak": None,
        "box": None,
        "numbers": [],
        "metrics": {},
        "files": {},
        "shell": f"gradcam {name}",
    }
    entry = {"name": name, "status": "ok", "thumb": None, "photo": None, "size": [8, 6], "top": [["cat", 0.8]]}
    return {**entry, "class": "cat", "p": 0.8, "missed": [], "metrics": {}, "maps": [{**plain, **known}], **changes}


def make_failure(name, error="cannot be read", hint=None):
    nothing = {"thumb": None, "photo": None, "size": None, "top": [], "class": None, "p": None, "maps": []}
    return make_entry(name, status="failed", error=error, hint=hint, **nothing)


def make_document(entries=(), **changes):
    document = {
        "command": "explain",
        "line": None,
        "partial": None,
        "notice": None,
        "started": None,
        "seconds": None,
        "settings": [],
        "versions": [],
        "counts": {"ok": len(entries), "failed": 0, "skipped": 0},
        "limits": [],
        "tables": [],
        "plots": [],
        "metrics": [],
        "entries": list(entries),
    }
    return {**document, **changes}


def document_in(page):
    """Return the document that a page contains."""
    block = re.search(r'<script type="application/json" id="report">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(unescape(block[1]))
