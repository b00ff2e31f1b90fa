"""The run log and the page that a run writes, however it ends."""

import pytest
from report_documents import document_in

from gradcam_cli.errors import OutputError
from gradcam_cli.reporting.build import build_report, check_not_foreign_page
from gradcam_cli.reporting.image_store import ReportImages
from gradcam_cli.reporting.writer import ReportWriter

START = {"command": "explain", "command_line": "gradcam a", "rerun_args": ["--model", "mini"], "inputs": 3}
OK = {"status": "ok", "input": "a.jpg", "layer": "conv", "method": "gradcam", "class_index": 3, "class_name": "cat"}


def test_interrupted_run_writes_its_report(tmp_path):
    def interrupted_run():
        with ReportWriter(tmp_path, START, ReportImages(tmp_path)) as writer:
            writer.write(OK)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_run()
    assert "interrupted" in document_in(tmp_path / "index.html")["partial"]
    check_not_foreign_page(tmp_path)


def test_run_without_results_changes_no_file(tmp_path):
    with ReportWriter(tmp_path, START, ReportImages(tmp_path)) as writer:
        writer.write(OK)
    before = (tmp_path / "report/run.jsonl").read_bytes()
    with ReportWriter(tmp_path, START, ReportImages(tmp_path)) as writer:
        writer.write()
    assert (tmp_path / "report/run.jsonl").read_bytes() == before


def test_report_of_a_killed_run_can_be_built(tmp_path):
    writer = ReportWriter(tmp_path, START, ReportImages(tmp_path)).__enter__()
    writer.write(OK)
    assert not (tmp_path / "index.html").exists()
    assert "killed" in document_in(build_report(tmp_path).path)["partial"]


def test_unwritable_log_is_an_error(tmp_path):
    (tmp_path / "report").write_text("a file instead of a directory")
    with (
        pytest.raises(OutputError, match=r"run\.jsonl cannot be written"),
        ReportWriter(tmp_path, START, ReportImages(tmp_path)) as writer,
    ):
        writer.write(OK)
