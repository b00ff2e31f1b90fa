"""Fixtures: the documentation site, and the browser that opens it."""

import subprocess
import sys

import chromium
import pytest
from doc_blocks import ROOT

browser = chromium.browser


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Return the directory of the site as `make docs` builds it, without a warning."""
    pytest.importorskip("mkdocs")
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(directory)]
    build = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert build.returncode == 0, build.stderr
    return directory
