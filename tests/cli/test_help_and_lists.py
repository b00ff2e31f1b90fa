"""Help of all commands, `gradcam layers` and `gradcam models`."""

import json
import re

import keras
import pytest
from command_tree import commands
from keras import layers as L  # noqa: N812

from gradcam_cli.cli import EXAMPLES, gradcam
from gradcam_cli.cli.explain import explain


@pytest.mark.parametrize("command", [[], ["explain"], ["layers"], ["models"]])
def test_help_is_printed_on_stdout(cli, command):
    """The exit status is 0; the main help has examples, exit statuses and all commands."""
    done = cli(*command, "--help")
    assert done.status == 0
    assert done.stderr == ""
    if not command:
        for word in ("Examples:", "Exit status:", "130  interrupted; 143 terminated", "layers ", "models "):
            assert word in done.stdout
        for status in range(4):
            assert f"\n  {status}    " in done.stdout


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_commands_and_examples_come_first(cli, flag):
    """Before the options, within the first 45 lines; exit statuses come last."""
    lines = cli(flag).stdout.splitlines()
    headings = [line for line in lines if re.fullmatch(r"[A-Z][A-Za-z ]+:", line)]
    assert headings[:3] == ["Commands:", "Examples:", "Input:"]
    assert headings[-1] == "Exit status:"
    assert lines.index("Input:") <= 45


def test_every_command_has_its_examples_before_its_options(cli):
    for path, command in commands(gradcam):
        if "Examples:" in (command.epilog or ""):
            headings = re.findall(r"^([A-Z][A-Za-z ]+):$", cli(*path, "--help").stdout, re.MULTILINE)
            assert headings[0] == "Examples", path
            assert headings.count("Examples") == 1


COMMANDS = [(), ("neuralode",), *(path for path, _ in commands(gradcam, ()))]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_80_columns(cli, path):
    """Only lists of choices are longer, and no summary of a command is truncated."""
    lines = cli(*path, "--help").stdout.splitlines()
    assert not [line for line in lines if len(line) > 80 and not re.match(r"  -.*\[[^ ]+\|", line)]
    assert not [line for line in lines if line.endswith("...") and not line.startswith("Usage: ")]


def test_layers_lists_spatial_layers_and_the_default(cli, model_file):
    """Each layer has its shape, kernel size and number of parameters."""
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
    assert [entry["excluded"] for entry in entries] == [None, None, None]


def test_layers_says_why_a_layer_is_excluded(cli, tmp_path):
    """Heads of an attention are not places; a model without any suitable layer is listed, too."""
    x = keras.Input((16, 16, 3))
    tokens = L.Reshape((16, 8))(L.Conv2D(8, 4, 4, name="patches")(x))
    attention = L.MultiHeadAttention(2, 4, name="attention")(tokens, tokens)
    keras.Model(x, L.Dense(2)(L.GlobalAveragePooling1D()(attention))).save(tmp_path / "attention.keras")
    lines = [json.loads(line) for line in cli("layers", tmp_path / "attention.keras", "--json").lines]
    reasons = {line["path"]: line["excluded"] for line in lines}
    assert "axes (batch, row x column, other, other)" in reasons["attention/value"]
    keras.Sequential([keras.Input((8, 8, 3)), L.Rescaling(0.1), L.Flatten(), L.Dense(2)]).save(tmp_path / "flat.keras")
    done = cli("layers", tmp_path / "flat.keras")
    assert (done.status, len(done.lines)) == (0, 2)
    assert "no layer whose output is a grid" in done.stderr


def test_models_lists_names_and_cached_weights(cli, tmp_path, monkeypatch):
    """Each model has its input size, default layer, size, and whether its weights are cached."""
    lines = cli("models").lines
    assert len(lines) == 43
    assert lines[1].split() == ["lite0", "224", "top_conv", "9", "yes"]
    assert lines[2].split() == ["mini", "32", "block5_conv4", "5", "yes"]
    assert next(line for line in lines if line.startswith("vgg19")).split() == [
        "vgg19",
        "224",
        "block5_conv4",
        "575",
        "no",
    ]
    (tmp_path / "vgg19_weights_tf_dim_ordering_tf_kernels.h5").touch()
    monkeypatch.setenv("GRADCAM_WEIGHTS", str(tmp_path))
    cached = [json.loads(line)["name"] for line in cli("models", "--json").lines if json.loads(line)["cached"]]
    assert cached == ["lite0", "mini", "vgg19"]


def test_gradcam_alone_is_an_overview(cli):
    """At most 25 lines of 80 columns: three examples, whose options exist, and all commands."""
    done = cli()
    lines = done.stderr.splitlines()
    assert (done.status, done.stdout) == (2, "")
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("  gradcam ") for line in lines) == 3
    assert all(any(line.split()[:1] == [name] for line in lines) for name in gradcam.commands)
    for example, _ in EXAMPLES:
        words = example.split()[1:]
        explain.make_context("explain", words, resilient_parsing=True)


@pytest.mark.parametrize(("word", "command"), [("evaluat", "evaluate"), ("compar", "compare"), ("layer", "layers")])
def test_a_misspelt_command_is_named(cli, word, command):
    """But a file of this name is an input."""
    done = cli(word)
    assert done.status == 2
    assert f"did you mean gradcam {command}?" in done.stderr
    (cli.here / word).mkdir()
    assert "did you mean" not in cli(word).stderr
