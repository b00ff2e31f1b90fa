"""The command line's promises, in this process, with a small network."""

import io
import json
import os
import re
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from command_tree import commands
from keras import layers as L  # noqa: N812
from PIL import Image
from small_models import small_network

from gradcam_cli.cli import gradcam
from gradcam_cli.engines import explain_job
from gradcam_cli.network.precision import has_bfloat16
from gradcam_cli.pipeline import stages

KEYS = """schema_version input sha256 status error hint model weights preprocess layer method class_index class_name
class_id requested_class logit probability predictions map crop_box score fit interpolation counterfactual aug_smooth
max_channels precision batch_size outputs timings versions""".split()


@pytest.fixture
def small(cli, model_file):
    """Run the command with the small network."""

    def invoke(*arguments, **options):
        return cli(*arguments, "--model", model_file, "--preprocess", "-1..1", **options)

    invoke.here = cli.here
    invoke.model = model_file
    return invoke


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_one_image(small, photo):
    """A figure in the current directory, one line on stdout, nothing on stderr."""
    done = small(photo("cat.jpg"))
    assert done.status == 0
    assert files(small.here) == ["cat_gradcam.png"]
    assert len(done.lines) == 1
    assert done.lines[0].endswith("-> cat_gradcam.png")
    assert done.stderr == ""


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_read_and_draw(small, photo, monkeypatch, workers):
    """Photos are prepared and maps drawn outside the thread that drives the network, by no more threads than asked."""
    threads = {"to_model_input": set(), "run": set(), "make_explanations": set()}

    def watched(stage, own):
        def call(*arguments):
            threads[stage].add(threading.current_thread())
            return own(*arguments)

        return call

    for stage in ("to_model_input", "make_explanations"):
        monkeypatch.setattr(stages, stage, watched(stage, getattr(stages, stage)))
    monkeypatch.setattr(stages, "_run_batch", watched("run", stages._run_batch))
    done = small(*[photo(f"{number}.png", seed=number) for number in range(9)], "--threads", workers, "--batch-size", 2)
    assert done.status == 0
    assert [line.split("/")[-1].split(":")[0] for line in done.lines] == [f"{number}.png" for number in range(9)]
    assert threads["run"] == {threading.current_thread()}
    assert not threads["run"] & (threads["to_model_input"] | threads["make_explanations"])
    assert len(threads["to_model_input"] | threads["make_explanations"]) <= workers


def test_a_map_does_not_depend_on_workers(small, photo):
    """One worker or four: the same bytes."""
    paths = [photo(f"{number}.png", seed=number) for number in range(5)]
    for workers in (1, 4):
        small(*paths, "-o", f"with{workers}", "--threads", workers, "--save", "figure", "--save", "overlay")
    for path in (small.here / "with1").iterdir():
        assert path.read_bytes() == (small.here / "with4" / path.name).read_bytes()


def test_photos_wait_in_small_numbers(small, photo, monkeypatch):
    """Memory does not grow with the number of inputs: few photos are read before the first is done."""
    read, finished = [], []
    own_read, own_explain = explain_job.load_image, stages.make_explanations
    monkeypatch.setattr(explain_job, "load_image", lambda *a: read.append(1) or own_read(*a))
    monkeypatch.setattr(stages, "make_explanations", lambda *a: finished.append(len(read)) or own_explain(*a))
    assert small(*[photo()] * 60, "--threads", 2, "--batch-size", 4).status == 0
    most_waiting = max(count - place for place, count in enumerate(finished))
    assert most_waiting <= 3 * (4 + 2)


def test_pictures_as_jpeg(small, photo):
    """--image-format, or the name of the file, or both where they agree."""
    path = photo("cat.png", size=(60, 40))
    assert small(path, "--image-format", "jpg", "--save", "overlay", "--save", "npz").status == 0
    assert files(small.here) == ["cat_gradcam.npz", "cat_gradcam_overlay.jpg"]
    with Image.open(small.here / "cat_gradcam_overlay.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (60, 40))
    assert small(path, "-o", "x.jpeg").status == 0
    assert Image.open(small.here / "x.jpeg").format == "JPEG"
    assert small(path, "-o", "x.png", "--image-format", "jpg").status == 2


def test_a_sheet_of_all_maps(small, photo):
    """Two classes in rows, the photo and two methods in columns; every line names the file, which is written once."""
    done = small(
        *[photo("cat.png", size=(60, 40)), "--class", "top2", "--method", "gradcam", "--method", "layercam"],
        *["--save", "grid", "--json", "--dpi", 100],
    )
    entries = [json.loads(line) for line in done.lines]
    assert [entry["outputs"] for entry in entries] == [{"grid": "cat_gradcam_grid.png"}] * 4
    assert files(small.here) == ["cat_gradcam_grid.png"]
    with Image.open(small.here / "cat_gradcam_grid.png") as sheet:
        width, height = sheet.size
    # cells of 2.5 by 1.67 inches with gaps of 0.1 and 0.45 for the label above
    assert (width, height) == (int(100 * (3 * 2.6 + 0.1)), int(100 * (2 * (2.5 * 2 / 3 + 0.45) + 0.1)))
    assert small(photo("cat.png"), "--save", "grid", "-o", "-", "--class", "top2").status == 0


def test_a_sheet_of_several_photos(small, photo, tmp_path):
    """A row a photo, a column a method; a photo that fails is left out, and so is one too many."""
    paths = [photo(f"{name}.png", size=(60, 60), seed=seed) for seed, name in enumerate("abc")]
    (tmp_path / "bad.png").write_bytes(b"no image")
    options = [
        "--method",
        "gradcam",
        "--method",
        "layercam",
        "--save",
        "grid",
        "--dpi",
        100,
        "-o",
        "all.jpg",
        "--json",
    ]
    done = small(*paths, tmp_path / "bad.png", *options)
    assert done.status == 1
    entries = [json.loads(line) for line in done.lines]
    assert [entry["outputs"] for entry in entries] == [{"grid": "all.jpg"}] * 6 + [{}]
    with Image.open(small.here / "all.jpg") as sheet:
        assert sheet.size == (int(100 * (3 * 2.6 + 0.1)), int(100 * (3 * 2.95 + 0.1)))
    done = small(*[photo("a.png")] * 101, "--save", "grid", "-o", "all.jpg")
    assert done.status == 2
    assert "expected at most 100 inputs" in done.stderr


@pytest.mark.skipif(not has_bfloat16(), reason="the processor has no bfloat16")
def test_precision_is_said(small, photo):
    """--precision auto says in the JSON what it took, and computes in it."""
    lines = [small(photo(), "--precision", name, "--json").lines[0] for name in ("float32", "auto")]
    exact, lower = map(json.loads, lines)
    assert (exact["precision"], lower["precision"]) == ("float32", "bfloat16")
    assert 0 < abs(exact["logit"] - lower["logit"]) < 0.05 * max(1, abs(exact["logit"]))


def test_a_precision_that_is_not_there(small, photo):
    done = small(photo(), "--precision", "float16")
    assert done.status == 2
    assert "requires a GPU" in done.stderr


def test_explain_is_the_default_command(small, photo):
    path = photo()
    assert small("explain", path).stdout == small(path).stdout
    assert small("--layer", "conv2", path).status == 0


def test_a_file_that_bears_a_commands_name(small, photo):
    os.rename(photo(), small.here / "layers")
    assert small("./layers").lines[0].endswith("layers_gradcam.png")


def test_directories(small, photo, tmp_path):
    """A mirrored tree, natural order, whatever cannot be read named, the rest written, status 1."""
    for name in ("in/img10.png", "in/img2.png", "in/sub/x.jpg"):
        photo(name)
    (tmp_path / "in/broken.png").write_bytes(b"broken")
    done = small(tmp_path / "in")
    assert done.status == 1
    assert [line.split(":")[0].rpartition("/")[2] for line in done.lines] == ["img2.png", "img10.png", "x.jpg"]
    assert files(small.here / "gradcam_out") == ["img10_gradcam.png", "img2_gradcam.png", "sub/x_gradcam.png"]
    assert done.stderr.count("error:") == 1
    assert "broken.png: not an image" in done.stderr


def test_json(small, photo):
    """One object a line, every key always, failures too."""
    done = small(photo("a.png"), "missing.png", "--json", "--save", "npz")
    good, bad = map(json.loads, done.lines)
    assert list(good) == list(bad) == KEYS
    assert (good["status"], bad["status"]) == ("ok", "failed")
    assert bad["error"] == "cannot be read: No such file or directory"
    assert len(good["sha256"]) == len(good["weights"]["sha256"]) == 64
    assert good["outputs"] == {"npz": "a_gradcam.npz"}
    assert good["model"] == "small"
    assert done.status == 1


def test_json_of_several_maps(small, photo):
    """Two classes at two layers are four lines, each with its own file."""
    done = small(photo("a.png"), "--json", "-c", "0", "-c", "top2", "-l", "conv1", "-l", "conv2", "--save", "npy")
    entries = [json.loads(line) for line in done.lines]
    assert len({tuple(entry["outputs"].values()) for entry in entries}) == len(files(small.here)) == 6
    assert {entry["layer"] for entry in entries} == {"conv1", "conv2"}
    assert "a_gradcam_conv1_top2.npy" in files(small.here)


def test_text_lists_predictions_on_demand(small, photo):
    path = photo()
    assert " | " not in small(path).stdout
    assert small(path, "--top", "2").stdout.count(" | ") == 2


def test_every_kind_of_output(small, photo):
    small(photo("a.png"), *(f"--save={kind}" for kind in ("figure", "overlay", "heatmap", "npy", "npz")))
    with Image.open("a_gradcam_overlay.png") as overlay, Image.open("a_gradcam_heatmap.png") as heatmap:
        assert overlay.size == heatmap.size == (60, 40)
    arrays = np.load("a_gradcam.npz")
    np.testing.assert_array_equal(arrays["heatmap"], np.load("a_gradcam.npy"))


def test_standard_input_and_output(small, photo):
    """Bytes in, PNG bytes out, and not a letter beside them."""
    content = photo().read_bytes()
    from click.testing import CliRunner

    done = CliRunner().invoke(gradcam, ["-", "-o", "-", "--save", "overlay", *_model_of(small)], input=content)
    assert done.exit_code == 0
    with Image.open(io.BytesIO(done.stdout_bytes)) as image:
        assert image.size == (60, 40)
    assert files(small.here) == []


def _model_of(small):
    return ["--model", str(small.model), "--preprocess", "-1..1"]


def test_lists_of_paths(small, photo):
    a, b = photo("a b.png"), photo("c\nd.png")
    done = small("--files-from", "-", stdin=f"{a}\n")
    assert done.lines[0].endswith("a b_gradcam.png")
    done = small("--files-from", "-", "-0", stdin=f"{a}\0{b}\0")
    assert len(done.lines) == 2
    assert "c\\nd_gradcam.png" in done.stdout
    assert "c\nd_gradcam.png" in files(small.here)


def test_batches_do_not_change_maps(small, photo):
    """Batches of one, two and more, the last one padded, give the same maps up to rounding."""
    paths = [photo(f"p{i}.png", seed=i) for i in range(5)]
    for size in (1, 2, 3, 8):
        small(*paths, "--save", "npy", "-o", f"size{size}", "--batch-size", size)
    for i in range(5):
        for size in (2, 3, 8):
            np.testing.assert_allclose(
                np.load(f"size{size}/p{i}_gradcam.npy"), np.load(f"size1/p{i}_gradcam.npy"), atol=1e-5
            )


def test_the_same_run_gives_the_same_bytes(small, photo):
    paths = [photo("a.png"), photo("b.png", seed=1)]
    for folder in ("one", "two"):
        small(*paths, "-o", folder, *(f"--save={kind}" for kind in ("figure", "overlay", "heatmap", "npy", "npz")))
    assert files("one") == files("two")
    for name in files("one"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes(), name


def test_skip_existing(small, photo):
    """What is there stays; the JSON says so; what is missing is made."""
    a, b = photo("a.png"), photo("b.png")
    small(a)
    Path("a_gradcam.png").write_bytes(b"kept")
    done = small(a, b, "--skip-existing", "--json")
    assert [json.loads(line)["status"] for line in done.lines] == ["skipped", "ok"]
    assert json.loads(done.lines[0])["outputs"] == {"figure": "a_gradcam.png"}
    assert Path("a_gradcam.png").read_bytes() == b"kept"
    assert small(a, "--skip-existing").status == 0
    small(a, "--class", "top2")
    entries = [json.loads(line) for line in small(a, "--class", "top2", "--skip-existing", "--json").lines]
    assert [entry["outputs"] for entry in entries] == [{"figure": f"a_gradcam_top{rank}.png"} for rank in (1, 2)]


def test_dry_run_writes_nothing(small, photo, tmp_path):
    photo("in/a.png")
    done = small(tmp_path / "in", "--dry-run")
    assert done.lines == [f"{tmp_path}/in/a.png -> gradcam_out/a_gradcam.png"]
    entries = [json.loads(line) for line in small(tmp_path / "in", "--dry-run", "--json", "--class", "top2").lines]
    assert [list(entry) for entry in entries] == [KEYS, KEYS]
    assert {entry["status"] for entry in entries} == {"dry_run"}
    assert entries[1]["outputs"] == {"figure": "gradcam_out/a_gradcam_top2.png"}
    assert files(small.here) == []


def test_inputs_are_never_overwritten(small, photo):
    path = photo("a.png")
    before = path.read_bytes()
    done = small(path, "-o", path)
    assert done.status == 2
    assert "it would be overwritten" in done.stderr
    assert path.read_bytes() == before


def test_outputs_that_cannot_be_written(small, photo):
    """The other inputs are unharmed, and the JSON says what happened."""
    a, b = photo("a.png"), photo("b.png")
    Path("a_gradcam.png").mkdir()
    done = small(a, b, "--json")
    assert [json.loads(line)["status"] for line in done.lines] == ["failed", "ok"]
    assert "a_gradcam.png cannot be written" in done.stderr
    assert done.status == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.png", "--layer", "conv9"], "conv9"),
        (["a.png", "--layer", "flat"], None),
        (["a.png", "--class", "9"], "expected an index from 0 to 2"),
        (["a.png", "--class", "cat"], "no class names"),
        (["a.png", "--fit", "stretch"], "'squash', 'crop', 'pad'"),
        (["a.png", "--cmap", "rainbows"], "rainbows"),
        (["a.png", "--save", "gif"], "gif"),
        (["a.png", "-o", "-", "--json"], "standard output"),
        (["a.png", "-q", "-v"], "exclude each other"),
        (["a.png", "--nonsense"], "--nonsense"),
        (["a.png", "-0"], "--files-from"),
        (["-", "-"], "only once"),
        (["--files-from", "none.txt"], "none.txt"),
        (["--json"], "no input"),
    ],
)
def test_wrong_usage_is_status_2(small, photo, arguments, words):
    """One line of error, and the rest is left alone (a layer without a plane is the model's: status 3)."""
    os.rename(photo("a.png"), "a.png")
    done = small(*arguments)
    assert done.status == (2 if words else 3)
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert (words or "spatial output") in done.stderr
    assert files(small.here) == ["a.png"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.png"],
        ["here.png", "--model", "vgg18"],
        ["here.png", "--model", "none.keras"],
        ["here.png", "--offline"],
    ],
)
def test_nothing_could_be_done_is_status_3(cli, photo, arguments):
    """No readable input, no such model, no weights."""
    os.rename(photo(), "here.png")
    done = cli(*arguments)
    assert done.status == 3
    assert done.stderr.startswith("error: ")


def test_an_empty_directory_is_status_3(cli, tmp_path):
    (tmp_path / "empty").mkdir()
    done = cli(tmp_path / "empty")
    assert done.status == 3
    assert "no image found" in done.stderr


def test_quiet_and_verbose(small, photo):
    path = photo()
    assert small(path, "-q").stderr == ""
    assert "layer conv2" in small(path, "-v").stderr
    assert small("missing.png", "-q").stderr.startswith("error:")


def test_zero_maps_are_reported(cli, photo, tmp_path):
    """The reason is on stderr and in the JSON; the file is there."""
    model = small_network()
    model.get_layer("conv2").bias.assign([-100] * 5)
    model.save(tmp_path / "dead.keras")
    done = cli(photo(), "--model", tmp_path / "dead.keras", "--json")
    assert done.status == 0
    assert "dead activations" in done.stderr
    assert json.loads(done.stdout)["map"]["zero_reason"].startswith("dead activations")


def test_hostile_names_stay_on_their_line(small, photo):
    done = small(photo("a\n\x1b[31mred\u202e.png"))
    assert len(done.lines) == 1
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


def test_names_that_are_not_unicode(small, photo):
    path = os.fsdecode(os.fsencode(photo("plain.png").parent) + b"/caf\xe9.png")
    photo(os.path.basename(path))
    done = small(path, "--json")
    assert done.status == 0
    assert json.loads(done.stdout)["input"] == path


def test_layers(cli, model_file):
    """Every plane with its shape, kernel and parameters, the default marked; no weights are fetched."""
    done = cli("layers", model_file)
    assert done.status == 0
    assert done.lines[0].split() == [
        "path",
        "layer_type",
        "shape",
        "kernel_size",
        "strides",
        "padding",
        "num_params",
        "default",
    ]
    assert done.lines[1].split() == ["conv1", "Conv2D", "10x10x4", "3x3", "1x1", "valid", str(3 * 3 * 3 * 4 + 4)]
    assert done.lines[2].split() == ["conv2", "Conv2D", "10x10x5", "3x3", "1x1", "same", "185", "<-", "auto"]
    entries = [json.loads(line) for line in cli("layers", model_file, "--json").lines]
    assert [entry["default"] for entry in entries] == [False, True, False]
    assert entries[2]["layer_type"] == "MaxPooling2D"


def test_models(cli, tmp_path, monkeypatch):
    """Every application, and whether its weights are here."""
    lines = cli("models").lines
    assert len(lines) == 42
    assert lines[1].split() == ["mini", "32", "block5_conv4", "5", "yes"]
    assert next(line for line in lines if line.startswith("vgg19")).split() == [
        "vgg19",
        "224",
        "block5_conv4",
        "575",
        "no",
    ]
    (tmp_path / "vgg19_weights_tf_dim_ordering_tf_kernels.h5").touch()
    monkeypatch.setenv("GRADCAM_WEIGHTS", str(tmp_path))
    here = [json.loads(line)["name"] for line in cli("models", "--json").lines if json.loads(line)["cached"]]
    assert here == ["mini", "vgg19"]


@pytest.mark.parametrize("command", [[], ["explain"], ["layers"], ["models"]])
def test_help(cli, command):
    """Help goes to stdout with status 0; the main help has examples, exit statuses and the commands."""
    done = cli(*command, "--help")
    assert done.status == 0
    assert done.stderr == ""
    if not command:
        for word in ("Examples:", "Exit status:", "130  interrupted; 143 terminated", "layers ", "models "):
            assert word in done.stdout
        for status in range(4):
            assert f"\n  {status}    " in done.stdout


COMMANDS = [(), ("neuralode",), *(path for path, _ in commands(gradcam, ()))]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_a_terminal(cli, path):
    """In 80 columns no line is too long but where choices are listed, and no summary of a command is cut."""
    lines = cli(*path, "--help").stdout.splitlines()
    assert not [line for line in lines if len(line) > 80 and not re.match(r"  -.*\[[^ ]+\|", line)]
    assert not [line for line in lines if line.endswith("...") and not line.startswith("Usage: ")]


def test_no_arguments_show_the_help(cli):
    done = cli()
    assert done.status == 2
    assert "Usage: gradcam" in done.stderr
    assert done.stdout == ""


def models_of_all_kinds():
    """Classifiers that other tools stumble over, by name."""
    inner = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(96, 96, 3))
    pooled = [L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")]
    return {
        "nested": keras.Sequential([keras.Input((96, 96, 3)), inner, *pooled]),
        "sigmoid": small_network(classes=1, activation="sigmoid"),
        "gray": small_network(channels=1),
        "logits": small_network(activation=None),
        "flat": keras.Sequential([keras.Input((12, 12, 3)), L.Flatten(), L.Dense(3)]),
    }


@pytest.mark.parametrize(
    ("kind", "layer", "classes"),
    [
        ("nested", "mobilenetv2_1.00_96/out_relu", 3),
        ("sigmoid", "conv2", 2),
        ("gray", "conv2", 3),
        ("logits", "conv2", 3),
        ("flat", None, None),
    ],
)
def test_models_of_all_kinds(cli, photo, kind, layer, classes):
    """From a file through the whole command: layer, classes and probabilities are right, or the error is clear."""
    models_of_all_kinds()[kind].save("model.keras")
    done = cli(photo("a.png"), "--model", "model.keras", "--preprocess", "-1..1", "--json", "--class", "top2")
    if layer is None:
        assert done.status == 3
        assert "no layer" in done.stderr
        return
    first, second = map(json.loads, done.lines)
    assert (done.status, first["layer"], len(first["predictions"])) == (0, layer, classes)
    assert sum(one["probability"] for one in first["predictions"]) == pytest.approx(1, rel=1e-5)
    assert first["logit"] >= second["logit"]
    assert sorted(files(".")) == ["a_gradcam_top1.png", "a_gradcam_top2.png", "model.keras"]
    if kind == "sigmoid":
        assert first["logit"] == -second["logit"]


def test_labels_and_softmax_score(cli, photo, model_file):
    """Class names come from the file, and the older article's score is recorded."""
    Path("names.txt").write_text("ant\nbee\nwasp\n")
    options = ["--model", model_file, "--preprocess", "none", "--labels", "names.txt", "--json"]
    entry = json.loads(cli(photo(), *options, "--class", "bee", "--score", "probability").stdout)
    assert (entry["class_index"], entry["class_name"], entry["score"]) == (1, "bee", "probability")
    assert cli(photo(), *options, "--class", "fly").status == 2
