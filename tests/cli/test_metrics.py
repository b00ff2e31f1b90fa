"""`gradcam metrics`: the table of the metrics, which the documentation repeats."""

import json

from doc_blocks import ROOT

from gradcam_cli.evaluation.metrics.registry import METRICS


def test_each_metric_has_a_line_with_family_direction_and_cost(cli):
    done = cli("metrics")
    assert (done.status, done.stderr) == (0, "")
    assert done.lines[0].split() == ["family", "name", "better", "annotations", "cost"]
    assert [line.split()[:3] for line in done.lines[1:]] == [
        [metric.family, name, metric.direction] for name, metric in METRICS.items()
    ]
    assert max(map(len, done.lines)) <= 130


def test_json_lines_have_all_properties(cli):
    records = {record.pop("name"): record for record in map(json.loads, cli("metrics", "--json").lines)}
    assert list(records) == list(METRICS)
    for name, metric in METRICS.items():
        assert records[name].items() >= metric._asdict().items()


def test_the_page_has_the_rows_of_the_table():
    page = (ROOT / "docs/evaluating.md").read_text()
    for name, metric in METRICS.items():
        assert f"\n| `{name}` | {metric.direction} | {metric.cost} |" in page, name
