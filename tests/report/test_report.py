"""The report of a run: its lines, its pictures, the document they make, and what each command leaves."""

import io
import json
import shlex
import signal
import subprocess
import sys
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from report_documents import document_in

from gradcam_cli.errors import InputError, OutputError
from gradcam_cli.evaluation.drift import MapChange
from gradcam_cli.images.fit import Box
from gradcam_cli.output.figures import color_table
from gradcam_cli.report.build import build_report, check_not_foreign_page
from gradcam_cli.report.document import build_document
from gradcam_cli.report.entries import build_entries, escape_for_display, shell_quote
from gradcam_cli.report.image_store import ReportImages
from gradcam_cli.report.run_records import merge_runs, read_records, truncate_partial_line
from gradcam_cli.report.thumbnails import encode_map, encode_source_image, encode_thumbnail
from gradcam_cli.report.writer import ReportWriter

RUN = {"status": "run", "command": "explain", "line": "gradcam a", "again": ["--model", "mini"], "inputs": 3}
END = {"status": "end", "seconds": 1.5, "interrupted": None}
OK = {"status": "ok", "input": "a.jpg", "layer": "conv", "method": "gradcam", "class_index": 3, "class_name": "cat"}


# lines


def test_lines_of_a_killed_run(tmp_path):
    """The torn last line is left out, and cut off before another run goes on."""
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"status": "run"}\n{"status": "ok", "input": "a"}\n{"status": "o')
    assert [record["status"] for record in read_records(path)] == ["run", "ok"]
    truncate_partial_line(path)
    assert path.read_bytes().endswith(b'"a"}\n')


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"no": "status"}', b"[" * 100_000, b"\xff"])
def test_invalid_json_lines(tmp_path, line):
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"status": "run"}\n' + line + b'\n{"status": "end"}\n')
    with pytest.raises(InputError, match="line 2: expected"):
        list(read_records(path))


def result(name, status="ok", **own):
    return {"status": status, "input": name, **own}


def test_lines_of_two_runs():
    """A skipped input keeps the lines of the run before; one explained again has only its new ones."""
    first = [{"status": "run"}, result("a", n=1), result("a", n=2), result("b", n=3), {"status": "end"}]
    second = [{"status": "run"}, result("a", "skipped"), result("b", n=4), result("c", n=5)]
    assert [record.get("n") for record in merge_runs(first + second)] == [None, 1, 2, 4, 5]
    ended = merge_runs([*first, {"status": "run"}, result("b", n=6), {"status": "end"}])
    assert [record.get("n") for record in ended] == [None, None, 6]  # a is gone


def test_lines_of_very_many_inputs():
    """The first ones are kept, the others counted, each once however many maps it has."""
    lines = [{"status": "run"}, *(result(str(n), k=k) for n in range(5) for k in range(2)), result("x", "failed")]
    kept = merge_runs([*lines, {"status": "end", "interrupted": None, "seconds": 1}], max_inputs=2)
    assert [record["input"] for record in kept if record["status"] == "ok"] == ["0", "0", "1", "1"]
    document = build_document(kept)
    assert document["counts"] == {"ok": 5, "failed": 1, "skipped": 0}
    assert document["notice"] == "The gallery holds the first 2 of 6 inputs."


def test_a_torn_line_longer_than_a_block(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"status": "run"}\n' + b"x" * 200_000)
    truncate_partial_line(path)
    assert path.read_bytes() == b'{"status": "run"}\n'


def test_lines_of_a_run_that_goes_on():
    """What the second run has not reached yet is still there."""
    lines = [{"status": "run"}, result("a", n=1), result("b", n=2), {"status": "run"}, result("a", n=3)]
    assert [record.get("n") for record in merge_runs(lines)] == [None, 3, 2]


# pictures


def opened(data):
    return Image.open(io.BytesIO(data))


def test_the_map_as_a_picture():
    """Half of the photo seen: there the colours of the map's values, beside it nothing."""
    map_ = np.zeros((40, 80), np.float32)
    map_[:, 60:] = 1
    picture = opened(encode_map(map_, Box(40, 0, 80, 40), "viridis"))
    assert picture.size == (320, 160)
    pixels = np.asarray(picture.convert("RGBA"))
    colours = color_table("viridis")
    np.testing.assert_array_equal(pixels[80, 300], [*colours[255], 255])
    np.testing.assert_array_equal(pixels[80, 200], [*colours[1], 255])
    assert not pixels[:, :160, 3].any()
    assert pixels[:, 160:, 3].all()


def test_the_map_of_a_photo_seen_wholly_hides_nothing():
    picture = opened(encode_map(np.eye(7, dtype=np.float32), Box(-3, 0, 10, 7)))
    assert "transparency" not in picture.info


def test_large_photos_are_made_smaller_and_small_ones_kept():
    small = np.random.default_rng(0).integers(0, 256, (28, 30, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(opened(encode_source_image(small))), small)
    assert opened(encode_source_image(np.zeros((1000, 500, 3), np.uint8))).size == (320, 640)


def test_the_small_picture_is_photo_and_map():
    """Half black, half the map's colour, of a white photo: 0.5 * 255 + 0.5 * colour."""
    photo, map_ = np.full((100, 400, 3), 255, np.uint8), np.ones((100, 400), np.float32)
    picture = opened(encode_thumbnail(photo, map_, Box(0, 0, 400, 100)))
    assert picture.size == (200, 50)
    expected = (255 + color_table("jet")[255].astype(float)) / 2
    np.testing.assert_allclose(np.asarray(picture)[20, 100], expected, atol=4)


def test_maps_of_a_photo_have_pictures_of_their_own(tmp_path):
    album, map_, view = ReportImages(tmp_path), np.ones((9, 9), np.float32), Box(0, 0, 9, 9)
    photo = np.zeros((9, 9, 3), np.uint8)
    one, other = (album.draw_image("a", which, photo, map_, view) for which in ("x", "y"))
    assert one["photo"] == other["photo"]
    assert one["thumb"] != other["thumb"]
    assert album.draw_map("a", "x", map_, view) != album.draw_map("a", "y", map_, view)
    assert len(list((tmp_path / "report").iterdir())) == 5


# document


def test_the_command_that_makes_a_map_again():
    (entry,) = build_entries([OK], RUN)
    assert entry["maps"][0]["shell"] == "gradcam a.jpg --model mini --layer conv --class 3"
    (entry,) = build_entries([{**OK, "input": "-a b.jpg", "method": "layercam", "layer": "input"}], RUN)
    assert entry["maps"][0]["shell"] == "gradcam './-a b.jpg' --model mini --method layercam --class 3"


def test_the_command_of_a_run_that_says_less():
    """Without the run's own words, the line's settings say what was asked for: not those that are usual anyway."""
    line = {**OK, "model": "mini", "fit": "pad", "score": "logit", "zoom_order": 1, "smooth": True}
    (entry,) = build_entries([line], {})
    assert entry["maps"][0]["shell"] == "gradcam a.jpg --model mini --fit pad --smooth --layer conv --class 3"


@pytest.mark.parametrize(
    "word", ["plain.jpg", "it's", "a\nb", "\u202eright", "back\\slash\n", "$HOME `id`", 'quo"te', "é\n"]
)
def test_words_for_the_shell(word):
    """Bash reads each word as it was, and what a person copies is on one line."""
    shown = shell_quote(word)
    assert shown == escape_for_display(shown)
    read = subprocess.run(["bash", "-c", f"printf %s {shown}"], capture_output=True, check=True)
    assert read.stdout == word.encode()


def test_bytes_that_are_no_text():
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert shell_quote(name) == r"$'caf\xe9.jpg'"
    (entry,) = build_entries([{**OK, "input": name}], RUN)
    assert entry["name"] == r"caf\udce9.jpg"
    json.dumps(entry).encode()


def test_failures_and_skipped_inputs():
    lines = [result("bad\n.jpg", "failed", error="damaged", hint=None), result("old.jpg", "skipped")]
    failed, skipped = build_entries(lines, {})
    assert (failed["name"], failed["status"], failed["error"]) == (r"bad\n.jpg", "failed", "damaged")
    assert (skipped["status"], skipped["maps"]) == ("skipped", [])


def measured(name, method="gradcam", baseline=False, **metrics):
    return {**OK, "input": name, "method": method, "baseline": baseline, "metrics": metrics, "curves": {}, "report": {}}


def test_limits_that_one_photo_misses():
    """By its own maps, not by those that know nothing; a value at the limit keeps it."""
    began = {**RUN, "command": "evaluate", "bounds": [["pointing", "least", 1], ["drop", "most", 20]]}
    rows = [
        measured("a", pointing=0, drop=20),
        measured("a", "random", True, pointing=0, drop=99),
        measured("b", pointing=1, drop=21),
        measured("c", pointing=None, drop=1),
        measured("c", "gradcam without relu", pointing=0, drop=1),
    ]
    entries = build_entries(rows, began)
    assert [entry["missed"] for entry in entries] == [["pointing"], ["drop"], []]
    document = build_document([began, *rows, {**END, "limits": {"--fail-under pointing=1": "missed it"}}])
    assert document["limits"] == [{"text": "--fail-under pointing=1", "missed": "missed it"}]
    assert [metric["name"] for metric in document["metrics"]] == ["pointing", "drop"]
    (means,) = document["tables"]
    assert means["rows"][0] == ["gradcam", "3", "0.500", "14.000"]
    assert means["rows"][-1] == ["random (baseline)", "1", "0.000", "99.000"]


def test_changes_of_a_comparison():
    change = MapChange("a_gradcam.npz", "a.jpg", (1, "dog"), (3, "cat"), 0.25, 0.5, 0.75, 0.125)
    sides = {
        run: {**OK, "class_name": name, "picture": f"{run}.png"} for run, name in (("before", "dog"), ("after", "cat"))
    }
    lines = [
        {**RUN, "command": "compare", "bounds": [["rank", "most", 0.5]]},
        {**change._asdict(), "status": "ok", "report": sides},
    ]
    document = build_document([*lines, {"status": "alone", "name": "b_gradcam.npz"}, END])
    entry, alone = document["entries"]
    before, after = entry["maps"]
    assert (before["run"], before["class"], after["run"], after["class"]) == ("before", "dog", "after", "cat")
    assert after["metrics"] == entry["metrics"] == {"class": 1, "rank": 0.75, "ssim": 0.5, "iou": 0.25, "peak": 0.125}
    assert entry["missed"] == ["rank"]
    assert (alone["status"], alone["error"]) == ("failed", "in one run only")
    assert document["tables"][0]["rows"][1] == [
        "rank",
        "1 less the rank correlation of the maps",
        "0.750",
        "0.750",
        "a.jpg",
    ]


def test_depths_are_maps():
    depths = [{"t": t, "adjoint_norm": 2 * t, "peak": [1, 2], "raw_max": 1.0} for t in (0.0, 0.5)]
    line = {**OK, "depths": depths, "map": None, "report": {"pictures": ["x.png", "y.png"], "photo": "p.png"}}
    (entry,) = build_entries([line], {"again": ["--model", "ode.keras"]})
    assert [(m["t"], m["adjoint_norm"], m["picture"]) for m in entry["maps"]] == [(0, 0, "x.png"), (0.5, 1, "y.png")]
    assert entry["maps"][0]["shell"] == "gradcam neuralode explain a.jpg --model ode.keras"


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ([END], None),
        ([{**END, "interrupted": "interrupted"}], "(interrupted): 1 of 3 inputs"),
        ([], "(it was killed, or is still running): 1 of 3 inputs"),
    ],
)
def test_a_run_that_did_not_come_to_its_end(end, expected):
    partial = build_document([RUN, OK, *end])["partial"]
    assert partial is None if expected is None else expected in partial


# the commands


@pytest.fixture
def explain(cli, photo, model_file):
    """Three photos, one of them damaged, and the command on their folder."""
    photo("in/a.png")
    photo("in/b <b>&.png", seed=1, size=(30, 50))
    (cli.here.parent / "in/c.png").write_bytes(b"no image")

    def call(*options):
        return cli("../in", "--model", model_file, "--preprocess", "-1..1", "--report", *options)

    call.here = cli.here
    call.cli = cli
    return call


def test_explain_leaves_a_report(explain):
    """Beside the results: the page, and pictures for each map; the damaged file is told, too."""
    done = explain("--class", "top2", "--method", "gradcam", "--method", "layercam", "--save", "npz", "--cmap", "gray")
    assert done.status == 1
    out = explain.here / "gradcam_out"
    document = document_in(out / "index.html")
    assert document["counts"] == {"ok": 2, "failed": 1, "skipped": 0}
    assert document["partial"] is None
    assert document["line"].startswith("gradcam ../in ")
    a, b, c = document["entries"]
    assert (b["name"], c["error"]) == ("../in/b <b>&.png", "not an image: its format is not recognised")
    assert a["size"] == [60, 40]
    assert {(m["class"], m["method"]) for m in a["maps"]} == {
        (str(k), m) for k in _classes(a) for m in ("gradcam", "layercam")
    }
    for map_ in a["maps"]:
        assert (out / map_["picture"]).is_file()
        assert (out / map_["files"]["npz"]).is_file()
    assert (out / a["thumb"]).is_file()
    assert ["model", "small"] in document["settings"]
    assert b["top"][0][1] == pytest.approx(b["p"])


def _classes(entry):
    return [name for name, _ in entry["top"][:2]]


def test_the_command_of_a_map_makes_it_again(explain):
    """What a person copies from the report gives the same map, but for rounding in a batch of another size."""
    explain("--save", "npz", "--interpolation", "0")
    out = explain.here / "gradcam_out"
    (map_,) = document_in(out / "index.html")["entries"][1]["maps"]
    words = shlex.split(map_["shell"])
    assert words[0] == "gradcam"
    assert explain.cli(*words[1:], "-o", "again.npz").status == 0
    with np.load(out / unquote(map_["files"]["npz"])) as first, np.load(explain.here / "again.npz") as again:
        np.testing.assert_allclose(first["map"], again["map"], atol=1e-5)


def test_resumed_runs_keep_the_maps_they_skip(explain):
    explain()
    first = document_in(explain.here / "gradcam_out/index.html")["entries"]
    assert explain("--skip-existing").status == 1
    again = document_in(explain.here / "gradcam_out/index.html")["entries"]
    assert [entry["maps"] for entry in again] == [entry["maps"] for entry in first]


def test_what_a_killed_run_did_not_tell_of_is_done_again(explain):
    """Its files are there, its line is not: the resumed report shows it nevertheless, and skips the others."""
    explain("--method", "gradcam", "--method", "layercam")
    out = explain.here / "gradcam_out"
    whole = document_in(out / "index.html")["entries"]
    lines = (out / "report/run.jsonl").read_text().splitlines(keepends=True)
    inputs = [json.loads(line).get("input") for line in lines]
    (gone,) = {name for name in inputs if name and "<b>" in name}
    left = [line for line, name in zip(lines, inputs, strict=True) if name != gone]
    (out / "report/run.jsonl").write_text("".join(left))
    done = explain("--method", "gradcam", "--method", "layercam", "--skip-existing", "--json")
    skipped = {json.loads(line)["input"] for line in done.lines if json.loads(line)["status"] == "skipped"}
    assert gone not in skipped
    assert skipped
    again = document_in(out / "index.html")["entries"]
    assert sorted(again, key=str) == sorted(whole, key=str)


def test_files_of_runs_without_a_report_are_skipped(explain, model_file):
    """A report that begins now does not do again what lies there."""
    explain.cli("../in", "--model", model_file, "--preprocess", "-1..1", "--save", "overlay")
    for _ in range(2):  # a report that begins, and one that goes on
        done = explain("--save", "overlay", "--skip-existing", "--json")
        assert {json.loads(line)["status"] for line in done.lines} == {"skipped", "failed"}


def test_reports_are_made_again_from_what_lies_there(explain):
    explain()
    page = explain.here / "gradcam_out/index.html"
    first = page.read_bytes()
    page.unlink()
    done = explain.cli("report", "gradcam_out")
    assert (done.status, done.stdout) == (0, "gradcam_out/index.html\n")
    assert page.read_bytes() == first


def test_reports_of_runs_that_kept_no_pictures(cli, photo, model_file):
    """Drawn from arrays and photos: by the lines of --json, or by the arrays alone."""
    photo("in/a.png")
    done = cli("../in", "--model", model_file, "--save", "npz", "--save", "figure", "-o", "maps", "--json")
    (cli.here / "lines.jsonl").write_text(done.stdout)
    for options in (["--lines", "lines.jsonl"], []):
        assert cli("report", "maps", *options).status == 0
        (entry,) = document_in(cli.here / "maps/index.html")["entries"]
        (map_,) = entry["maps"]
        assert (cli.here / "maps" / map_["picture"]).is_file()
        assert (cli.here / "maps" / entry["thumb"]).is_file()
        assert map_["files"]["npz"] == "a_gradcam.npz"


def test_a_folder_without_results(cli):
    (cli.here / "maps").mkdir()
    done = cli("report", "maps")
    assert done.status == 3
    assert "maps holds no results" in done.stderr


def test_a_page_that_is_no_report_stays(explain):
    out = explain.here / "gradcam_out"
    out.mkdir()
    (out / "index.html").write_text("<h1>my own page</h1>")
    done = explain()
    assert done.status == 3
    assert "is no report of gradcam: it would be overwritten" in done.stderr
    assert (out / "index.html").read_text() == "<h1>my own page</h1>"
    assert list(out.iterdir()) == [out / "index.html"]


@pytest.mark.parametrize("output", ["-", "x.png"])
def test_a_report_needs_a_folder(explain, output):
    done = explain("-o", output)
    assert done.status == 2
    assert "--report with -o" in done.stderr


def test_mistakes_leave_an_earlier_report_alone(explain):
    explain()
    lines = (explain.here / "gradcam_out/report/run.jsonl").read_bytes()
    assert explain("--class", "no such class").status == 2
    assert (explain.here / "gradcam_out/report/run.jsonl").read_bytes() == lines


def test_an_interrupted_run_has_its_report(tmp_path):
    """Written while the exception passes, and marked as partial."""

    def interrupted():
        with ReportWriter(tmp_path, RUN, ReportImages(tmp_path)) as recorder:
            recorder.write(OK)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "(interrupted): 1 of 3" in document_in(tmp_path / "index.html")["partial"]
    check_not_foreign_page(tmp_path)


def test_to_write_nothing_leaves_all_as_it_was(tmp_path):
    with ReportWriter(tmp_path, RUN, ReportImages(tmp_path)) as recorder:
        recorder.write(OK)
    before = (tmp_path / "report/run.jsonl").read_bytes()
    with ReportWriter(tmp_path, RUN, ReportImages(tmp_path)) as recorder:
        recorder.write()
    assert (tmp_path / "report/run.jsonl").read_bytes() == before


def test_a_killed_run_has_its_report_afterwards(tmp_path):
    recorder = ReportWriter(tmp_path, RUN, ReportImages(tmp_path)).__enter__()
    recorder.write(OK)
    assert not (tmp_path / "index.html").exists()
    assert "it was killed" in document_in(build_report(tmp_path))["partial"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "report").write_text("a file in the way")
    with (
        pytest.raises(OutputError, match=r"run.jsonl cannot be written"),
        ReportWriter(tmp_path, RUN, ReportImages(tmp_path)) as one,
    ):
        one.write(OK)


def test_evaluate_leaves_a_report(cli, photo, model_file):
    """Every map with its values, the means, the plots and the limits."""
    for number in range(2):
        photo(f"in/{number}.png", seed=number)
    options = ("--metric", "drop", "--metric", "deletion", "--steps", "3", "--fail-over", "drop=0.001", "--sanity")
    done = cli("evaluate", "../in", "--model", model_file, "--preprocess", "-1..1", "--report", "--json", *options)
    assert done.status == 4
    assert not any("report" in json.loads(line) for line in done.lines)
    out = cli.here / "gradcam_evaluation"
    document = document_in(out / "index.html")
    assert [plot["title"] for plot in document["plots"]] == ["drop", "deletion", "sanity"]
    assert all((out / plot["src"]).is_file() for plot in document["plots"])
    assert document["limits"][0]["missed"].startswith("drop: expected at most 0.001")
    means = json.loads(done.lines[-1])["means"]
    assert document["tables"][0]["rows"][0][2] == f"{means[0]['drop']:.3f}"
    assert len(document["entries"]) == 2
    assert [len(entry["maps"]) for entry in document["entries"]] == [1, 1]  # without those that know nothing
    assert "drop" in {name for entry in document["entries"] for name in entry["missed"]}


def test_compare_leaves_a_report(cli, photo, model_file):
    photo("in/a.png")
    for folder, method in (("before", "gradcam"), ("after", "gradcam")):
        cli("../in", "--model", model_file, "--save", "npz", "-o", folder, "--method", method)
    done = cli("compare", "before", "after", "--report", "-o", "pages", "--max-drift", "rank=0.1")
    assert done.status == 0
    document = document_in(cli.here / "pages/index.html")
    (entry,) = document["entries"]
    before, after = entry["maps"]
    assert before["picture"] != after["picture"]
    assert after["metrics"]["iou"] == 0
    assert document["limits"] == [{"text": "--max-drift rank=0.1", "missed": None}]
    assert document["line"] == "gradcam compare before after --max-drift rank=0.1 --report --output pages"


def test_no_network_runs_for_a_report(explain):
    explain()
    check = "import sys; from pathlib import Path; from gradcam_cli.report.build import build_report; "
    check += "build_report(Path(sys.argv[1])); assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", check, explain.here / "gradcam_out"], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_told_to_end_has_its_report(tmp_path, photo, model_file, number, status):
    """As a process of its own, in the middle of two hundred photos."""
    for seed in range(20):
        photo(f"in/{seed}.png", seed=seed)
    (tmp_path / "list").write_text("".join(f"in/{seed}.png\n" for seed in range(20)) * 10)
    words = ["--files-from", "list", "--model", str(model_file), "--batch-size", "2", "-o", "maps", "--report"]
    run = subprocess.Popen(
        [sys.executable, "-m", "gradcam_cli", *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    for _ in range(4):
        run.stdout.readline()
    run.send_signal(number)
    run.stdout.read()
    assert run.wait(60) == status
    document = document_in(tmp_path / "maps/index.html")
    assert "(interrupted): " in document["partial"]
    assert document["counts"]["ok"] >= 4
