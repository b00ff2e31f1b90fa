"""Records of a run log: killed runs, invalid lines, and runs that are merged."""

import pytest

from gradcam_cli.errors import InputError
from gradcam_cli.reporting.document import build_document
from gradcam_cli.reporting.run_log import RunLog, completed_inputs
from gradcam_cli.reporting.run_records import merge_runs, read_records, truncate_partial_line

START, END = {"status": "run_start"}, {"status": "run_end", "stop_reason": None, "seconds": 1}


def make_result(name, status="ok", **fields):
    return {"status": status, "input": name, **fields}


def test_partial_last_line_is_ignored_and_removed(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"status": "run_start"}\n{"status": "ok", "input": "a"}\n{"status": "o')
    assert [record["status"] for record in read_records(path)] == ["run_start", "ok"]
    with open(path, "a+b") as file:
        truncate_partial_line(file)
    assert path.read_bytes().endswith(b'"a"}\n')


def test_partial_line_longer_than_a_block_is_removed(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"status": "run_start"}\n' + b"x" * 200_000)
    with open(path, "a+b") as file:
        truncate_partial_line(file)
    assert path.read_bytes() == b'{"status": "run_start"}\n'


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"no": "status"}', b"[" * 100_000, b"\xff"])
def test_invalid_lines_are_skipped_with_a_note(tmp_path, line, caplog):
    """The note contains the number of the line; a file with invalid lines only is refused."""
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"status": "run_start"}\n' + line + b'\n{"status": "run_end"}\n')
    assert [record["status"] for record in read_records(path)] == ["run_start", "run_end", "invalid"]
    assert "line 2: " in caplog.text
    path.write_bytes(line + b"\n")
    with pytest.raises(InputError, match="line 1: "):
        list(read_records(path))


def test_merged_runs_keep_the_last_results_of_each_input():
    """A skipped input keeps its earlier results; a recomputed input has only its new results."""
    first = [START, make_result("a", n=1), make_result("a", n=2), make_result("b", n=3), {"status": "run_end"}]
    second = [START, make_result("a", "skipped"), make_result("b", n=4), make_result("c", n=5)]
    assert [record.get("n") for record in merge_runs(first + second)] == [None, 1, 2, 4, 5]


def test_inputs_that_a_completed_run_no_longer_contains_are_dropped():
    records = [START, make_result("a", n=1), make_result("b", n=2), END, START, make_result("b", n=3), END]
    assert [record.get("n") for record in merge_runs(records)] == [None, None, 3]


def test_inputs_that_an_incomplete_run_has_not_reached_are_kept():
    records = [START, make_result("a", n=1), make_result("b", n=2), START, make_result("a", n=3)]
    assert [record.get("n") for record in merge_runs(records)] == [None, 3, 2]


def test_further_inputs_are_counted_once():
    """The first inputs are kept; of the others, each is counted once, however many maps it has."""
    results = [make_result(str(n), n=number) for n in range(5) for number in range(2)]
    merged = merge_runs([START, *results, make_result("x", "failed"), END], max_inputs=2)
    assert [record["input"] for record in merged if record["status"] == "ok"] == ["0", "0", "1", "1"]
    document = build_document(merged)
    assert document["counts"] == {"ok": 5, "failed": 1, "skipped": 0}
    assert "2 of 6" in document["notice"]


def test_completed_inputs_have_a_result_or_were_skipped(tmp_path):
    assert completed_inputs(tmp_path) is None
    log = RunLog(tmp_path)
    log.write(b'{"status": "run_start"}', b'{"status": "ok", "input": "a"}', b'{"status": "failed", "input": "b"}')
    log.write(b'{"status": "skipped", "input": "c"}')
    log.close()
    assert completed_inputs(tmp_path) == {"a", "c"}
