"""Fixtures of the tests of evaluation."""

import json

import pytest


@pytest.fixture
def write(tmp_path):
    """Write text, bytes or JSON to a file and return its path."""

    def to(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, (bytes, str)):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to
