"""Shell completion: files, models, layers, classes and color maps, without TensorFlow, and in a real bash."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time

import keras
import pytest
from click.shell_completion import BashComplete, get_completion_class
from keras import layers as L  # noqa: N812

from gradcam_cli.cli import gradcam
from gradcam_cli.models.catalog import catalog
from gradcam_cli.models.layer_names import layer_names, table

NEEDS_BASH = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")


@pytest.fixture
def complete(cli):
    """Return the completions of the last word of a line, as (type, value)."""

    def get(*words):
        *args, incomplete = words
        shell = BashComplete(gradcam, {}, "gradcam", "_GRADCAM_COMPLETE")
        return [(item.type, item.value) for item in shell.get_completions(args, incomplete)]

    get.here = cli.here
    return get


def values(items):
    return [value for kind, value in items if kind == "plain"]


@pytest.fixture
def model(complete):
    """A model with a nested one, beside its class names, in the working directory."""
    backbone = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(2, 3, name="conv_a")], name="backbone")
    x = keras.Input((8, 8, 3), name="image")
    top = L.Conv2D(2, 3, name="conv_top")(backbone(x))
    keras.Model(x, L.Dense(2, name="scores")(L.GlobalAveragePooling2D()(top))).save(complete.here / "net.keras")
    (complete.here / "net.labels.txt").write_text("Tabby cat\ntiger\n")
    return "net.keras"


def test_first_word_is_a_command_or_a_file(complete):
    assert complete("ev") == [("plain", "evaluate"), ("file", "ev")]
    assert values(complete("--lay")) == ["--layer"]
    assert ("file", "photo") in complete("a.png", "photo")


@pytest.mark.parametrize("option", ["-o", "--output", "--labels", "--weights", "--other-inputs", "--files-from"])
def test_options_of_files_complete_files(complete, option):
    assert ("file", "na") in complete("a.png", option, "na")


def test_models_are_names_and_files(complete):
    assert complete("a.png", "--model", "lit") == [("plain", "lite0"), ("file", "lit")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a.png", "--method", "layer"], ["layercam"]),
        (["a.png", "--cmap", "virid"], ["viridis", "viridis_r"]),
        (["evaluate", "a.png", "--metric", "del"], ["deletion"]),
        (["a.png", "--model", "mini", "--layer", "block5_conv"], [f"block5_conv{n}" for n in range(1, 5)]),
        (["a.png", "--layer", "aut"], ["auto"]),
        (["a.png", "--model", "mini", "--class", "TR"], ["truck"]),
        (["a.png", "--model", "lite0", "--class", "egyptian"], ["Egyptian_cat"]),
        (["evaluate", "a.png", "--model", "mini", "--class", "fr"], ["frog"]),
    ],
    ids=" ".join,
)
def test_names_are_completed(complete, words, expected):
    assert values(complete(*words)) == expected


def test_layers_and_classes_of_a_model_file(complete, model):
    """Nested layers are found by the beginning of their path or of their name; classes are those of net.labels.txt."""
    line = ["a.png", "--model", model]
    assert values(complete(*line, "--layer", "backbone/")) == ["backbone/conv_a"]
    assert values(complete(*line, "--layer", "conv_")) == ["conv_top"]
    assert values(complete(*line, "--layer", "conv_a")) == ["backbone/conv_a"]
    assert values(complete(*line, "--layer", "")) == ["auto", "backbone", "backbone/conv_a", "conv_top", "scores"]
    assert values(complete(*line, "--class", "t")) == ["top", "Tabby cat", "tiger"]
    (complete.here / "names.txt").write_text("lion\n")
    assert values(complete(*line, "--labels", "names.txt", "--class", "")) == ["top", "lion"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", b"\x89HDF\r\n\x1a\n damaged"])
def test_damaged_models_have_no_completions(complete, content):
    (complete.here / "bad.keras").write_bytes(content)
    assert values(complete("a.png", "--model", "bad.keras", "--layer", "")) == ["auto"]
    assert values(complete("a.png", "--model", "bad.keras", "--class", "")) == ["top"]


@pytest.mark.slow
def test_class_names_stored_in_the_file_are_completed(complete, trained_digits):
    shutil.copy(trained_digits / "digits.keras", complete.here)
    assert values(complete("neuralode", "explain", "a.png", "--model", "digits.keras", "--class", "")) == [
        "top",
        *"0123456789",
    ]


def test_the_table_has_every_model_and_its_default_layer():
    assert list(table()) == list(catalog())
    for spec in catalog().values():
        assert spec.default_layer in layer_names(spec.name), spec.name


@pytest.mark.slow
def test_the_table_agrees_with_a_built_model():
    """The network that `gradcam layers` opens has these layers."""
    from gradcam_cli.models.classifier import load_model
    from gradcam_cli.network.layers import iter_layers

    for name in ("mini", "lite0"):
        paths = [path for path, _ in iter_layers(load_model(name, weights="none", offline=True).model)]
        assert set(layer_names(name)) <= set(paths)
        assert len(layer_names(name)) > len(paths) / 2


def test_neither_tensorflow_nor_a_subprocess_is_started(tmp_path, model_file):
    """A damaged pyproject.toml ends the completion without a message."""
    script = """
import sys, subprocess
subprocess.Popen = None
from gradcam_cli.cli import gradcam
try:
    gradcam.main([])
except SystemExit:
    pass
sys.stdout.flush()
assert not {"tensorflow", "keras", "scipy", "h5py"} & set(sys.modules)
"""
    for words in (f"a.png --model {model_file} --layer c", f"a.png --model {model_file} --class t", "c"):
        count = str(len(words.split()))
        environment = {"_GRADCAM_COMPLETE": "bash_complete", "COMP_WORDS": f"gradcam {words}", "COMP_CWORD": count}
        run = [sys.executable, "-c", script]
        done = subprocess.run(run, env={**os.environ, **environment}, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "plain," in done.stdout
    (tmp_path / "pyproject.toml").write_text("[tool.gradcam\n")
    done = subprocess.run(run, env={**os.environ, **environment}, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def program(complete, monkeypatch):
    """A program `gradcam` in the search path."""
    folder = complete.here.parent / "bin"
    folder.mkdir()
    (folder / "gradcam").write_text(f'#!/bin/sh\nexec {sys.executable} -m gradcam_cli "$@"\n')
    (folder / "gradcam").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    return folder / "gradcam"


def in_bash(words):
    """Return what the function for bash proposes for the last word."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = f"""
eval "$(_GRADCAM_COMPLETE=bash_source gradcam)"
COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}
_gradcam_completion gradcam
printf '%s\\n' "${{COMPREPLY[@]}}"
complete -p gradcam-cli
"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    *proposed, registered = done.stdout.splitlines()
    assert registered == "complete -o nosort -F _gradcam_completion gradcam-cli"
    return proposed


@NEEDS_BASH
def test_bash_proposes_commands_files_layers_and_classes(program, complete, model):
    """Names with spaces are one proposal."""
    for name in ("compass.png", "my photo.png", "a*b.png"):
        (complete.here / name).touch()
    assert in_bash(["gradcam", "comp"]) == ["compare", "compass.png"]
    assert in_bash(["gradcam", "compass.png", "my"]) == ["my photo.png"]
    assert in_bash(["gradcam", "a"]) == ["audit", "a*b.png"]
    assert in_bash(["gradcam", "a.png", "--model", "net"]) == ["net.keras", "net.labels.txt"]
    assert in_bash(["gradcam", "a.png", "--model", model, "--layer", "conv_"]) == ["conv_top"]
    assert in_bash(["gradcam", "a.png", "--model", model, "--class", "tab"]) == ["Tabby cat"]


@NEEDS_BASH
def test_the_tab_key_of_an_interactive_bash_completes_a_file(program, complete):
    """Readline quotes the space."""
    (complete.here / "my photo.png").touch()
    process, terminal = pty.fork()
    if process == 0:
        os.environ["PS1"] = "ready> "
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    os.write(terminal, b'eval "$(_GRADCAM_COMPLETE=bash_source gradcam)"; echo load""ed\n')
    _read_until(terminal, b"loaded\r\n")
    os.write(terminal, b"gradcam my\t")
    text = _read_until(terminal, b"photo.png")
    os.write(terminal, b"\x15exit\n")
    os.waitpid(process, 0)
    assert rb"my\ photo.png" in text


def _read_until(terminal, words):
    """Return what the terminal prints until some words, for at most a minute."""
    text, end = b"", time.monotonic() + 60
    while words not in text and time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            text += os.read(terminal, 4096)
    return text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_functions_of_all_shells_complete_files(shell):
    """A shell that is installed accepts its function."""
    source = get_completion_class(shell)(gradcam, {}, "gradcam", "_GRADCAM_COMPLETE").source()
    assert "file" in source
    if shutil.which(shell):
        option = ["--no-execute"] if shell == "fish" else ["-n"]
        done = subprocess.run([shell, *option], input=source, text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, "")
