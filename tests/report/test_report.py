"""The reports that the commands write."""

import json
import shlex
import signal
import subprocess
import sys
from urllib.parse import unquote

import numpy as np
import pytest
from report_documents import document_in


@pytest.fixture
def explain(cli, photo, model_file):
    """Explain a directory of three images, one of them damaged, with a report."""
    photo("in/a.png")
    photo("in/b <b>&.png", seed=1, size=(30, 50))
    (cli.here.parent / "in/c.png").write_bytes(b"no image")

    def call(*options):
        return cli("../in", "--model", model_file, "--preprocess", "-1..1", "--report", *options)

    call.out = cli.here / "gradcam_out"
    call.page = call.out / "index.html"
    call.cli = cli
    return call


def test_explain_writes_a_report(explain):
    """The page lists all inputs, and every map has its images and files."""
    result = explain(
        "--class", "top2", "--method", "gradcam", "--method", "layercam", "--save", "npz", "--cmap", "gray"
    )
    assert result.status == 1
    document = document_in(explain.page)
    assert document["counts"] == {"ok": 2, "failed": 1, "skipped": 0}
    assert document["partial"] is None
    assert document["command_line"].startswith("gradcam ../in ")
    assert ["model", "small"] in document["settings"]
    first, second, damaged = document["entries"]
    assert (second["name"], damaged["status"]) == ("../in/b <b>&.png", "failed")
    assert damaged["error"]
    assert first["size"] == [60, 40]
    assert (explain.out / first["thumbnail"]).is_file()
    assert second["predictions"][0][1] == pytest.approx(second["probability"])
    expected = {(name, method) for name, _, _ in first["predictions"][:2] for method in ("gradcam", "layercam")}
    assert {(map_["class"], map_["method"]) for map_ in first["maps"]} == expected
    for map_ in first["maps"]:
        assert (explain.out / map_["map_image"]).is_file()
        assert (explain.out / map_["files"]["npz"]).is_file()


def test_rerun_command_recomputes_the_map(explain):
    """Up to rounding, which depends on the batch size."""
    explain("--save", "npz", "--interpolation", "nearest")
    (map_,) = document_in(explain.page)["entries"][1]["maps"]
    program, *arguments = shlex.split(map_["command"])
    assert program == "gradcam"
    assert explain.cli(*arguments, "-o", "rerun.npz").status == 0
    with np.load(explain.out / unquote(map_["files"]["npz"])) as first, np.load("rerun.npz") as second:
        np.testing.assert_allclose(first["heatmap"], second["heatmap"], atol=1e-5)


def test_resumed_run_keeps_the_maps_of_skipped_inputs(explain):
    explain()
    first = document_in(explain.page)["entries"]
    assert explain("--skip-existing").status == 1
    second = document_in(explain.page)["entries"]
    assert [entry["maps"] for entry in second] == [entry["maps"] for entry in first]


def test_resumed_run_recomputes_inputs_missing_from_the_log(explain):
    """A run that is killed before it logs an input leaves files without a log entry."""
    options = ("--method", "gradcam", "--method", "layercam")
    explain(*options)
    complete = document_in(explain.page)["entries"]
    log = explain.out / "report/run.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if "<b>" not in json.loads(line).get("input", "")))
    resumed = explain(*options, "--skip-existing", "--json")
    skipped = {record["input"] for record in map(json.loads, resumed.lines) if record["status"] == "skipped"}
    assert skipped == {"../in/a.png"}
    assert sorted(document_in(explain.page)["entries"], key=str) == sorted(complete, key=str)


def test_existing_files_are_skipped_if_there_is_no_log(explain, model_file):
    """In the first run with a report, and in a run that resumes it."""
    explain.cli("../in", "--model", model_file, "--preprocess", "-1..1", "--save", "overlay")
    for _ in range(2):
        result = explain("--save", "overlay", "--skip-existing", "--json")
        assert {json.loads(line)["status"] for line in result.lines} == {"skipped", "failed"}


def test_report_command_rebuilds_the_page(explain):
    explain()
    first = explain.page.read_bytes()
    explain.page.unlink()
    result = explain.cli("report", "gradcam_out")
    assert (result.status, result.stdout) == (0, "gradcam_out/index.html\n")
    assert explain.page.read_bytes() == first


@pytest.mark.parametrize("options", [["--from-jsonl", "lines.jsonl"], []])
def test_report_command_draws_missing_images(cli, photo, model_file, options):
    """From the JSON lines of a run without a report, or from its saved maps alone."""
    photo("in/a.png")
    result = cli("../in", "--model", model_file, "--save", "npz", "--save", "figure", "-o", "maps", "--json")
    (cli.here / "lines.jsonl").write_text(result.stdout)
    assert cli("report", "maps", *options).status == 0
    (entry,) = document_in(cli.here / "maps/index.html")["entries"]
    (map_,) = entry["maps"]
    assert (cli.here / "maps" / map_["map_image"]).is_file()
    assert (cli.here / "maps" / entry["thumbnail"]).is_file()
    assert map_["files"]["npz"] == "a_gradcam.npz"


def test_report_command_requires_results(cli):
    (cli.here / "maps").mkdir()
    result = cli("report", "maps")
    assert result.status == 3
    assert "maps" in result.stderr


def test_other_web_pages_are_not_overwritten(explain):
    explain.out.mkdir()
    explain.page.write_text("<h1>my own page</h1>")
    result = explain()
    assert result.status == 3
    assert "index.html" in result.stderr
    assert explain.page.read_text() == "<h1>my own page</h1>"
    assert list(explain.out.iterdir()) == [explain.page]


@pytest.mark.parametrize("output", ["-", "x.png"])
def test_report_requires_a_directory(explain, output):
    result = explain("-o", output)
    assert result.status == 2
    assert "--report" in result.stderr


def test_usage_error_keeps_an_earlier_report(explain):
    explain()
    log = explain.out / "report/run.jsonl"
    before = log.read_bytes()
    assert explain("--class", "no such class").status == 2
    assert log.read_bytes() == before


def test_evaluate_writes_a_report(cli, photo, model_file):
    """With the values of every map, the means, the plots and the threshold results."""
    for number in range(2):
        photo(f"in/{number}.png", seed=number)
    options = ("--metric", "road", "--metric", "deletion", "--steps", "3", "--fail-under", "deletion=1")
    result = cli("evaluate", "../in", "--model", model_file, "--preprocess", "-1..1", "--report", "--json", *options)
    assert result.status == 4
    assert not any("report" in json.loads(line) for line in result.lines)
    directory = cli.here / "gradcam_evaluation"
    document = document_in(directory / "index.html")
    assert {"road", "deletion"} <= {plot["title"] for plot in document["plots"]}
    linked = {number for plot in document["plots"] for row in plot["rows"] for _, number in row["points"]}
    assert linked == {1, 2}
    assert all(map_["levels"] for entry in document["entries"] for map_ in entry["maps"])
    assert not list(directory.glob("report/*plot*"))
    (threshold,) = document["threshold_results"]
    assert threshold["threshold"] == "--fail-under deletion=1"
    assert threshold["failure"]
    assert document["tables"][0]["rows"][0][:2] == ["gradcam", "2"]
    assert [len(entry["maps"]) for entry in document["entries"]] == [1, 1]  # without the baselines
    assert [entry["failed_thresholds"] for entry in document["entries"]] == [["deletion"], ["deletion"]]


def test_compare_writes_a_report(cli, photo, model_file):
    photo("in/a.png")
    for directory in ("before", "after"):
        cli("../in", "--model", model_file, "--save", "npz", "-o", directory)
    result = cli("compare", "before", "after", "--report", "-o", "pages", "--max-drift", "rank=0.1")
    assert result.status == 0
    document = document_in(cli.here / "pages/index.html")
    (entry,) = document["entries"]
    before, after = entry["maps"]
    assert before["map_image"] != after["map_image"]
    assert after["metrics"]["rank"] == pytest.approx(0)
    assert document["threshold_results"] == [{"threshold": "--max-drift rank=0.1", "failure": None}]
    assert document["command_line"] == "gradcam compare before after --max-drift rank=0.1 --report --output pages"


def test_building_a_report_does_not_import_tensorflow(explain):
    explain()
    check = "import sys; from pathlib import Path; from gradcam_cli.reporting.build import build_report; "
    check += "build_report(Path(sys.argv[1])); assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", check, explain.out], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run_ended_by_a_signal_writes_its_report(tmp_path, photo, model_file, number, status):
    """In a separate process, while it explains two hundred images."""
    for seed in range(20):
        photo(f"in/{seed}.png", seed=seed)
    (tmp_path / "list").write_text("".join(f"in/{seed}.png\n" for seed in range(20)) * 10)
    arguments = ["--files-from", "list", "--model", str(model_file), "--batch-size", "2", "-o", "maps", "--report"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gradcam_cli", *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(4):
        process.stdout.readline()
    process.send_signal(number)
    process.stdout.read()
    assert process.wait(60) == status
    document = document_in(tmp_path / "maps/index.html")
    assert "interrupted" in document["partial"]
    assert document["counts"]["ok"] >= 4
