"""SECURITY.md promises only what a test holds: every test that its table names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROWS = re.findall(r"^\|[^|]+\|[^|]+\| `([\w/]+\.py)(?:::(\w+))?` \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)


def test_every_row_of_the_table_names_a_test():
    table = (ROOT / "SECURITY.md").read_text().partition("| kind |")[2].partition("\n\n")[0]
    assert len(ROWS) == len(table.splitlines()) - 2 > 40


@pytest.mark.parametrize(("path", "name"), ROWS)
def test_named_tests_exist(path, name):
    source = (ROOT / "tests" / path).read_text()
    assert not name or f"def {name}(" in source
