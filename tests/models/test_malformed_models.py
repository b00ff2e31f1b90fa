"""Malicious and damaged model files: one-line errors, no code run, bounded memory and time."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import malformed_models
import pytest
from malformed_models import OPENED, TRACE, rewritten
from small_models import small_network

from gradcam_cli.errors import ModelError, UsageError, WeightsError
from gradcam_cli.models.classifier import load_model

MAX_MEGABYTES = 1000


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("valid")
    for suffix in (".keras", ".h5"):
        small_network().save(folder / f"small{suffix}")
    return {suffix: (folder / f"small{suffix}").read_bytes() for suffix in (".keras", ".h5")}


def opened(folder, timeout=300):
    """Load all files of a folder in another process, and return (name, outcome, memory growth) of each."""
    done = subprocess.run(
        [sys.executable, malformed_models.__file__, str(folder)],
        capture_output=True,
        text=True,
        cwd=folder.parent,
        env={
            **os.environ,
            "PYTHONPATH": f"{Path(__file__).parents[2]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        },
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


@pytest.mark.slow
def test_malicious_models_are_rejected(valid, tmp_path):
    """Each has a one-line error with its name, no payload ran, and the memory is bounded."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name, data in malformed_models.cases(valid[".keras"], valid[".h5"]):
        (folder / name).write_bytes(data)
    outcomes = opened(folder)
    assert len(outcomes) == len(list(folder.iterdir())) > 80
    for name, outcome, grown in outcomes:
        if name.startswith("nested") or name == "zip.h5":  # deep, or under another name, but valid
            assert outcome == OPENED
            continue
        assert outcome.startswith((str(folder / name), f"cannot open {folder / name}", "expected", "the model")), (
            name,
            outcome,
        )
        assert "\n" not in outcome
        assert len(outcome) < 600
        assert grown < MAX_MEGABYTES, (name, grown)
    messages = {name: outcome for name, outcome, _ in outcomes}
    for name, words in {
        "lambda.keras": "Lambda",
        "lambda.h5": "Lambda",
        "custom.keras": "mine.Mine is not a known part of a Keras model",
        "system.keras": "system",
        "unlock.keras": "cannot open",
        "up.keras": "unsafe path",
        "claimed-config.keras": "at most 33,554,432 bytes of config.json",
        "claimed-weights.keras": "decompressed bytes, got",
        "unfolding.keras": "decompressed bytes, got",
        "terabyte.h5": "decompressed bytes, got 1,099,511,627,776",
        "wide.keras": "bytes of weights, got",
        "wider.h5": "bytes of weights, got",
    }.items():
        assert re.search(words, messages[name]), (name, messages[name])
    assert not (tmp_path / TRACE).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models"]


@pytest.mark.extended
def test_damaged_models_do_not_crash_the_process(valid, tmp_path):
    """Valid files with random bytes changed are loaded, or raise a GradcamError."""
    folder = tmp_path / "models"
    folder.mkdir()
    rng = random.Random(0)
    for number in range(200):
        suffix = rng.choice([".keras", ".h5"])
        data = bytearray(valid[suffix])
        for _ in range(rng.choice([1, 3, 30])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (folder / f"{number}{suffix}").write_bytes(data)
    outcomes = opened(folder, timeout=900)
    for name, outcome, grown in outcomes:
        assert not outcome.startswith("unexpected"), (name, outcome)
        assert "\n" not in outcome
        assert grown < MAX_MEGABYTES, (name, grown)


def test_rewritten_archive_with_valid_members_opens(valid, tmp_path):
    """Only malicious members are rejected, not the layout of the archive."""
    path = tmp_path / "packed.keras"
    path.write_bytes(rewritten(valid[".keras"]))
    assert load_model(path, preprocess="none").class_count == 3


@pytest.mark.slow
def test_damaged_weight_file_is_refused(valid, tmp_path):
    """Truncated and unrelated files raise WeightsError, for catalog models and model files."""
    small_network().save_weights(tmp_path / "whole.weights.h5")
    whole = (tmp_path / "whole.weights.h5").read_bytes()
    (tmp_path / "small.keras").write_bytes(valid[".keras"])
    files = {f"cut-{tenth}.weights.h5": whole[: len(whole) * tenth // 10] for tenth in range(10)}
    files |= {"random.weights.h5": random.Random(0).randbytes(9000), "zip.weights.h5": valid[".keras"][:9000]}
    files |= {"other.txt": b"hello", "legacy.h5": valid[".h5"][:9000]}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        for model in (tmp_path / "small.keras", "mini"):
            with pytest.raises(WeightsError, match=re.escape(name)) as caught:
                load_model(model, weights=str(tmp_path / name), preprocess="none")
            assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x95\x0f\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
        b"cos\nsystem\n(S'touch trace'\ntR.",
        b'{"__class__": "os.system"}',
        b"\x93NUMPY\x01\0v\0{'descr': '|O'}",
        b'["a", ["b"], 3]',
    ],
)
def test_malicious_label_files_are_rejected(valid, tmp_path, monkeypatch, data):
    """Pickles and unrelated formats raise an error, and no code runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.keras").write_bytes(valid[".keras"])
    (tmp_path / "labels").write_bytes(data)
    with pytest.raises((UsageError, ModelError), match="labels") as caught:
        load_model("small.keras", labels="labels", preprocess="none")
    assert "\n" not in caught.value.message
    assert not (tmp_path / TRACE).exists()
