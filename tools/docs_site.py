"""What MkDocs builds beside docs/: the README as front page, the other pages of the repository, and linked files.

Links are written as they work in the repository (`../gradcam_cli/cam.py` from a page in docs/). Here they become links
within the site, and the files that they name are laid beside its pages.
"""

from __future__ import annotations

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
"""Pages outside docs/, and their names in the site where these differ."""

LINK = re.compile(r"(?<=\]\()(?!#|[a-z]+:)([^)#\s]+)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages and files that stand outside docs/."""
    from mkdocs.structure.files import File

    for path in sorted(outside()):
        files.append(File.generated(config, PAGES.get(path) or path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of the repository into those of the site."""
    here = posixpath.dirname(page.file.src_uri)
    path = next(
        (path for path, name in PAGES.items() if page.file.src_uri in (path, name)), f"docs/{page.file.src_uri}"
    )

    def rewritten(link: re.Match[str]) -> str:
        return posixpath.relpath(in_site(target_of(path, link[1])), here or ".")

    return LINK.sub(rewritten, markdown)


def outside() -> set[str]:
    """Return the paths of all files outside docs/ that belong to the site."""
    pages = [*PAGES, *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
    linked = {target_of(page, link) for page in pages for link in links(ROOT / page)}
    return {path for path in linked | set(PAGES) if not path.startswith("docs/") and (ROOT / path).is_file()}


def links(page: Path) -> Iterator[str]:
    """Yield the relative links of a page, without their anchors."""
    yield from (link[1] for link in LINK.finditer(page.read_text()))


def target_of(page: str, link: str) -> str:
    """Return the path in the repository that a link of a page names."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def in_site(path: str) -> str:
    """Return the path in the site of a path in the repository."""
    return PAGES.get(path) or path.removeprefix("docs/")
