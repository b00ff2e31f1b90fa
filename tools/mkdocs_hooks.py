"""MkDocs hooks: pages and files outside docs/, links between them, equations, and search from disk.

Links are written for the repository (`../gradcam_cli/methods/cam.py` in a page of docs/). The hooks convert them to
links within the site and copy the linked files into it. Equations are converted to MathML, which browsers display
without a script.

The theme searches in a worker, and browsers start no worker from a file on disk. The hooks put the worker's source into
a script, which starts it from memory.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "",
    "CHANGELOG.md": "",
    "SECURITY.md": "",
    "benchmarks/README.md": "",
}
"""Pages outside docs/, and their names in the site if these differ."""

LINK = re.compile(r"(?<=\]\()(?!#|[a-z]+:)([^)#\s]+)")
DOTTED_NAME = re.compile(r"(?<!<pre>)<code>(\w+(?:\.\w+)+(?:\(\))?)</code>")
EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


SEARCH_SCRIPT = "search/worker.js"


def on_config(config: Any) -> Any:
    """Load the script of the search worker, in place of one from another server."""
    config.extra["polyfills"] = [SEARCH_SCRIPT]
    return config


def on_post_build(config: Any) -> None:
    """Write the script that starts the search worker on pages opened from disk."""
    site = Path(config.site_dir)
    (worker,) = site.glob("assets/javascripts/workers/search.*.js")
    source = json.dumps(worker.read_text()).replace("</", "<\\/")
    (site / SEARCH_SCRIPT).write_text(
        f"""if (location.protocol === "file:") {{
  const source = {source}
  const FileWorker = window.Worker
  window.Worker = function () {{
    return new FileWorker(URL.createObjectURL(new Blob([source], {{type: "text/javascript"}})))
  }}
}}
"""
    )


def on_files(files: Any, config: Any) -> Any:
    """Add the pages and files outside docs/."""
    from mkdocs.structure.files import File

    for path in sorted(files_outside_docs()):
        files.append(File.generated(config, PAGES.get(path) or path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Convert links of the repository to links of the site."""
    directory = posixpath.dirname(page.file.src_uri)
    source = next(
        (path for path, name in PAGES.items() if page.file.src_uri in (path, name)), f"docs/{page.file.src_uri}"
    )

    def site_link(link: re.Match[str]) -> str:
        return posixpath.relpath(site_path(link_target(source, link[1])), directory or ".")

    return LINK.sub(site_link, markdown)


def on_page_content(content: str, **_: Any) -> str:
    r"""Convert the equations that arithmatex has marked, `\(...\)` and `\[...\]`, to MathML; break names after dots."""
    from latex2mathml.converter import convert

    def mathml(equation: re.Match[str]) -> str:
        tag, bracket, latex = equation.groups()
        display = "block" if bracket == "[" else "inline"
        return f'<{tag} class="equation">{convert(html.unescape(latex), display=display)}</{tag}>'

    content = DOTTED_NAME.sub(lambda code: f"<code>{code[1].replace('.', '.<wbr>')}</code>", content)
    return EQUATION.sub(mathml, content)


def files_outside_docs() -> set[str]:
    """Return the paths of all files outside docs/ that belong to the site."""
    pages = [*PAGES, *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
    linked = {link_target(page, link) for page in pages for link in links(ROOT / page)}
    return {path for path in linked | set(PAGES) if not path.startswith("docs/") and (ROOT / path).is_file()}


def links(page: Path) -> Iterator[str]:
    """Yield the relative links of a page, without their anchors."""
    yield from (link[1] for link in LINK.finditer(page.read_text()))


def link_target(page: str, link: str) -> str:
    """Return the path in the repository of a link on a page."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def site_path(path: str) -> str:
    """Return the path in the site of a path in the repository."""
    return PAGES.get(path) or path.removeprefix("docs/")
