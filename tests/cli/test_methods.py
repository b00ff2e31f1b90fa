"""`gradcam methods`: the table of the methods, which the documentation repeats."""

import json
import re

import pytest
from doc_blocks import ROOT

from gradcam_cli.methods.registry import LAYER_METHODS, METHODS, SHARED_PASS, names_of_kind


def test_each_method_has_a_line_with_cost_and_description(cli):
    done = cli("methods")
    assert (done.status, done.stderr) == (0, "")
    assert done.lines[0].split() == ["name", "cost", "description"]
    cells = [re.split(r"  +", line) for line in done.lines[1:]]
    assert cells == [[name, method.cost, method.description] for name, method in METHODS.items()]
    assert max(map(len, done.lines)) <= 130


def test_json_lines_name_kind_and_command(cli):
    """Only `flow` is for the depth of an ODE; the counterfactual exists for methods of signed gradients."""
    records = {record["name"]: record for record in map(json.loads, cli("methods", "--json").lines)}
    assert list(records) == list(METHODS)
    assert [name for name in records if records[name]["command"] == "neuralode explain"] == ["flow"]
    assert records["gradcam"]["counterfactual"]
    assert not records["eigencam"]["counterfactual"]
    assert not records["occlusion"]["uses_layer"]


@pytest.mark.parametrize("name", METHODS)
def test_descriptions_are_short_and_different(name):
    method = METHODS[name]
    assert 10 < len(method.description) <= 65
    assert [other for other in METHODS if METHODS[other].description == method.description] == [name]
    assert (method.cost == SHARED_PASS) == (method.kind in ("cam", "layers", "baseline"))


def test_the_page_has_the_rows_of_the_table():
    """Baselines are described below the table."""
    page = (ROOT / "docs/choosing.md").read_text()
    for name in set(LAYER_METHODS) - set(names_of_kind("baseline")):
        assert f"\n| `{name}` | {METHODS[name].cost} | {METHODS[name].description} |\n" in page
