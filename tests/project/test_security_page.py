"""SECURITY.md and the table of kinds of models promise only what a test holds: every named test exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROW = re.compile(r"^\|[^|]+\|[^|]+\| `([\w/]+\.py)(?:::(\w+))?` \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "SECURITY.md").read_text())
KINDS = ROW.findall((ROOT / "docs" / "models.md").read_text())


def test_every_row_of_the_table_names_a_test():
    table = (ROOT / "SECURITY.md").read_text().partition("| kind |")[2].partition("\n\n")[0]
    assert len(ROWS) == len(table.splitlines()) - 2 > 40


@pytest.mark.parametrize(("path", "name"), ROWS + KINDS)
def test_named_tests_exist(path, name):
    source = (ROOT / "tests" / path).read_text()
    assert not name or f"def {name}(" in source
