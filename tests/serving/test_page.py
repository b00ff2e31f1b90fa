"""The page of `gradcam serve` as text: its policy, no other servers, and its keys in the documentation."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from pathlib import Path

import pytest

from gradcam_cli.serving.page import render_page

DOCS = Path(__file__).parents[2] / "docs/explorer.md"


@pytest.fixture(scope="module")
def page():
    return render_page()


def test_policy_allows_exactly_the_style_and_the_script_of_the_page(page):
    text, policy = page
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy


def test_page_names_no_other_server(page):
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.[\w/]+", page[0])
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}  # the name of a kind of elements


def test_documentation_lists_the_keys_of_the_page(page):
    """Each line of the page's list of keys is a row of the table, with the same words."""
    rows = re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", page[0], re.DOTALL)
    documented = re.findall(
        r"^\| (.+) \| (.+) \|$", DOCS.read_text(encoding="utf-8").split("## Keys")[1], re.MULTILINE
    )[1:]
    assert [action for _, action in documented] == [
        unescape(action).replace("this list", "list the keys") for _, action in rows
    ]
    for (keys, _), (shown, _) in zip(rows, documented, strict=True):
        names = [unescape(key) for key in re.findall(r"<kbd>(.*?)</kbd>", keys)]
        assert shown == "arrows" or re.findall(r"`(.+?)`", shown) == names
