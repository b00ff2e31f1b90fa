"""Options that are typed once: [tool.gradcam] in pyproject.toml, GRADCAM_* variables, and `gradcam config`."""

import json
import re

import click
import numpy as np
import pytest
from command_tree import commands
from PIL import Image

from gradcam_cli.cli import gradcam
from gradcam_cli.cli.option_defaults import ONLY_TYPED


def rows(cli, *arguments):
    done = cli("config", *arguments, "--json")
    assert done.status == 0, done.stderr
    return {row["option"]: (row["value"], row["from"]) for row in map(json.loads, done.lines)}


def write(directory, text):
    file = directory / "pyproject.toml"
    file.write_text(text)
    return str(file)


def test_precedence(cli, monkeypatch):
    """Command line, variable, file, default: each hides the next."""
    file = write(cli.here, '[tool.gradcam]\nlayer = ["b"]\ntop = 3\nopacity = 0.25\n')
    monkeypatch.setenv("GRADCAM_LAYER", "c d")
    monkeypatch.setenv("GRADCAM_TOP", "4")
    found = rows(cli)
    assert found["--layer"] == ("c d", "$GRADCAM_LAYER")
    assert found["--top"] == ("4", "$GRADCAM_TOP")
    assert found["--opacity"] == ("0.25", file)
    assert found["--fit"] == ("auto", "default")


def test_settings_reach_a_run(cli, model_file, photo, monkeypatch):
    """The JSON line has the values of the file and of the variable, and the command line wins."""
    write(cli.here, f'[tool.gradcam]\nmodel = "{model_file}"\nfit = "pad"\ninterpolation = "cubic"\nlayer = "conv1"\n')
    monkeypatch.setenv("GRADCAM_METHOD", "layercam")
    done = cli(photo(), "--json", "--interpolation", "nearest", "--preprocess", "0..1")
    assert done.status == 0, done.stderr
    entry = json.loads(done.lines[0])
    settings = {key: entry[key] for key in ("layer", "method", "fit", "interpolation")}
    assert settings == {"layer": "conv1", "method": "layercam", "fit": "pad", "interpolation": "nearest"}
    again = cli(photo(), *entry["rerun_args"], "--json")
    assert json.loads(again.lines[0])["map"] == entry["map"]


def test_the_nearest_file_counts_and_its_paths_are_its_own(cli, monkeypatch):
    (cli.here / "names.txt").write_text("a\nb\n")
    write(cli.here, '[tool.gradcam]\nlabels = "names.txt"\nmodel = "mini"\nsave = "npz"\n')
    below = cli.here / "a/b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    found = rows(cli)
    assert found["--labels"][0] == str(cli.here / "names.txt")
    assert found["--model"][0] == "mini"  # no file of this name is there
    assert found["--save"][0] == "npz"
    write(cli.here / "a", "[tool.other]\nmodel = 1\n")
    assert rows(cli)["--model"] == ("vgg19", "default")


@pytest.mark.parametrize(("key", "word"), [("model", "mini"), ("truth", "parent"), ("other-inputs", "zeros")])
def test_names_are_not_files_of_that_name(cli, key, word):
    """As on the command line, a word with a meaning keeps it, whatever files there are; `./mini` is the file."""
    (cli.here / word).write_text("")
    write(cli.here, f'[tool.gradcam]\n{key} = "{word}"\n')
    assert rows(cli)[f"--{key}"][0] == word
    write(cli.here, f'[tool.gradcam]\n{key} = "./{word}"\n')
    assert rows(cli)[f"--{key}"][0] == str(cli.here / word)


def test_a_table_of_a_command_is_for_it_alone(cli):
    write(cli.here, '[tool.gradcam]\nmodel = "mini"\n[tool.gradcam.neuralode.train]\nepochs = 3\n')
    assert rows(cli, "neuralode", "train")["--epochs"][0] == "3"
    assert "--epochs" not in rows(cli)
    assert rows(cli, "evaluate")["--model"][0] == "mini"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.gradcam]\nlayr = 'a'\n", "unknown option layr"),
        ("[tool.gradcam.explain]\nepochs = 3\n", "unknown option epochs"),
        ("[tool.gradcam.evaluat]\nplots = 'a'\n", "unknown option evaluat"),
        ("[tool.gradcam.neuralode.trai]\nepochs = 3\n", "unknown option trai"),
        ("[tool.gradcam]\nray-address = 'auto'\n", "cannot be set in a file"),
        ("[tool.gradcam]\ntop = true\n", "top: expected a text or a number, got True"),
        ("[tool.gradcam]\nreport = 'yes'\n", "report: expected true or false, got 'yes'"),
        ("[tool.gradcam]\nfit = ['pad']\n", r"fit: expected a text or a number, got \['pad'\]"),
        ("[tool.gradcam]\ntop = 0\n", "0 is not in the range"),
        ("[tool]\ngradcam = 3\n", r"expected a table \[tool.gradcam\], got 3"),
        ("[tool.gradcam\n", "is not valid TOML"),
        *((f"[tool.gradcam]\n{key} = true\n", "cannot be set in a file") for key in ("allow-unsafe-model", "output")),
    ],
)
def test_wrong_files_are_refused(cli, text, words, photo):
    write(cli.here, text)
    done = cli(photo(), "--dry-run", "--model", "mini")
    assert done.status == 2
    assert click.unstyle(done.stderr).count("\n") <= 2
    assert re.search(words, done.stderr), done.stderr


def test_every_option_has_a_variable_of_its_own():
    """No two options of a command share one, and those that only a person may set are options."""
    names = set()
    for path, command in commands(gradcam):
        options = [option for option in command.params if isinstance(option, click.Option)]
        used = [option.envvar for option in options if option.envvar]
        assert len(used) == len(set(used)), path
        names |= {option.name for option in options}
    assert names >= ONLY_TYPED.keys()


@pytest.mark.parametrize(("arguments", "words"), [(["nothing"], "no such command"), (["neuralode"], "expected one of")])
def test_config_of_no_command(cli, arguments, words):
    done = cli("config", *arguments)
    assert (done.status, words in done.stderr) == (2, True)


def test_labels_beside_the_model(cli, model_file):
    """`net.labels.txt` names the classes of `net.keras`; --labels wins; a wrong number of names is an error."""
    (cli.here / "net.keras").write_bytes(model_file.read_bytes())
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(cli.here / "photo.png")
    args = ("photo.png", "--model", "net.keras", "--preprocess", "0..1", "--json")
    count = len(json.loads(cli(*args, "--top", "1000").lines[0])["predictions"])
    names = [f"name{i}" for i in range(count)]
    (cli.here / "net.labels.txt").write_text("\n".join(names))
    assert json.loads(cli(*args).lines[0])["class_name"] in names
    (cli.here / "other.txt").write_text("\n".join(name.upper() for name in names))
    assert json.loads(cli(*args, "--labels", "other.txt").lines[0])["class_name"].isupper()
    assert cli(*args, "--skip-existing").lines
    (cli.here / "net.labels.txt").write_text("\n".join(reversed(names)))
    assert '"status": "ok"' in cli(*args, "--skip-existing").stdout  # the title would be wrong
    (cli.here / "net.labels.txt").write_text("\n".join(names[1:]))
    wrong = cli(*args)
    assert wrong.status == 2
    assert f"net.labels.txt: expected {count} names, got {count - 1}" in wrong.stderr


def test_picture_options_are_typed_once(cli, monkeypatch):
    """A list of contour levels in the file; one variable each for the others."""
    write(cli.here, '[tool.gradcam]\ncontour = [0.5, 0.25]\nbackground = "gray"\n')
    monkeypatch.setenv("GRADCAM_BLEND", "constant")
    monkeypatch.setenv("GRADCAM_CLIP", "3")
    found = rows(cli)
    assert [found[f"--{name}"][0] for name in ("background", "blend", "clip")] == ["gray", "constant", "3.0"]
    assert re.findall(r"0\.\d+", found["--contour"][0]) == ["0.5", "0.25"]
