"""What installs or runs gradcam elsewhere: package page, man page, container, GitHub action and pre-commit hook."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from doc_blocks import ROOT, relative_links
from man_page import escape, page
from small_models import small_network

from gradcam_cli.cli import gradcam

yaml = pytest.importorskip("yaml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGE_PAGE = (ROOT / "PACKAGE.md").read_text()
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}


def test_the_package_page_has_only_absolute_links():
    """An index shows it without the files of the repository. It has no address of a repository that may not exist."""
    assert PROJECT["readme"] == "PACKAGE.md"
    assert relative_links(PACKAGE_PAGE) == []
    assert relative_links("[a](docs/a.md) ![b](https://x.org/b.png)") == ["docs/a.md"]
    assert "urls" not in PROJECT


def test_commands_and_extras_of_the_package_page_exist():
    for line in re.findall(r"^gradcam (.*?)\s*(?:#.*)?$", PACKAGE_PAGE, re.MULTILINE):
        words = line.split()
        name = words[0] if words[0] in gradcam.commands else "explain"
        context = gradcam.commands[name].make_context(name, words[name != "explain" :], resilient_parsing=True)
        assert context.args == []
        for option in (word for word in words if word.startswith("-")):
            assert any(option in parameter.opts for parameter in context.command.params), option
    extras = set(re.findall(r"\[(\w+)\]`", PACKAGE_PAGE))
    assert extras == set(PROJECT["optional-dependencies"]) - {"dev", "docs"}


def test_the_man_page_is_that_of_the_help():
    """`make man` writes it."""
    assert (ROOT / "docs/gradcam.1").read_text(encoding="utf-8") == page()


def test_roff_requests_and_dashes_are_escaped():
    assert escape(r".5 --opacity \n") == r"\&.5 \-\-opacity \en"
    assert escape("'a'\n  b") == r"\&'a' b"


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_groff_sets_the_man_page_without_a_warning():
    """All options of all commands are in the text."""
    command = ["groff", "-man", "-Tutf8", "-ww", "-P-c", ROOT / "docs/gradcam.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    text = re.sub(r"\s+", " ", re.sub(".\x08", "", done.stdout))  # bold letters are struck twice
    for words in ("--fail-under", "--max-drift", "gradcam neuralode train", "GRADCAM EVALUATE", "Exit status"):
        assert words in text


def test_the_container_runs_the_command_without_root():
    """The last user is not root, nothing is fetched but packages, and the build context has what the wheel needs."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and line[0] not in "# "]
    last_stage = lines[max(index for index, line in enumerate(lines) if line.startswith("FROM ")) :]
    (user,) = [line.split()[1] for line in last_stage if line.startswith("USER ")]
    assert user not in ("root", "0")
    assert last_stage.index(f"USER {user}") > max(n for n, line in enumerate(last_stage) if line.startswith("RUN "))
    assert 'ENTRYPOINT ["gradcam"]' in lines
    assert not re.search(r"curl|wget|https?://|ADD ", "\n".join(lines))
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    licenses = {pattern.removesuffix("/*") for pattern in PROJECT["license-files"]}
    needed = {
        "pyproject.toml",
        "constraints.txt",
        PROJECT["readme"],
        *wheel["packages"],
        *wheel["shared-data"],
        *licenses,
    }
    assert kept == needed
    assert all((ROOT / name).exists() for name in kept)


def test_the_steps_of_the_action_are_safe_shell():
    """Inputs reach the shell as variables, never as text of the script."""
    assert set(STEPS) == {"Install gradcam", "Explain", "Compare"}
    for step in STEPS.values():
        assert "${{" not in step["run"]
        subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)
        for value in step.get("env", {}).values():
            name = re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", value)[1]
            assert name in ACTION["inputs"]
    assert all(entry["description"] for entry in ACTION["inputs"].values())


@pytest.fixture
def step(workspace, monkeypatch):
    """Run a step of the action as the runner does, in a directory where new.keras is a changed model."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = workspace / "bin"
    folder.mkdir()
    (folder / "gradcam").write_text(f'#!/bin/sh\nexec {sys.executable} -m gradcam_cli "$@"\n')
    (folder / "gradcam").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    defaults = {name: str(entry.get("default", "")) for name, entry in ACTION["inputs"].items()}

    def run(name, **inputs):
        values = {**defaults, **{key.replace("_", "-"): value for key, value in inputs.items()}}
        variables = {key: values[text[11:-3]] for key, text in STEPS[name]["env"].items()}
        script = workspace / "step.sh"
        script.write_text(STEPS[name]["run"])
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", script]
        return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)

    changed = small_network()
    rng = np.random.default_rng(5)
    changed.set_weights([rng.normal(size=weight.shape) for weight in changed.get_weights()])
    changed.save(workspace / "new.keras")
    run.here = workspace
    return run


@pytest.mark.slow
def test_the_action_explains_and_compares(step):
    """A changed model fails with status 4 and an annotation; an unchanged one passes."""
    shutil.copy(step.here / "cat.jpg", step.here / "my cat.jpg")
    images, options = "my cat.jpg\nphotos\n", '--preprocess -1..1 --layer "conv2"'
    for model, output in (("old.keras", "before"), ("new.keras", "after")):
        done = step("Explain", images=images, model=model, output=output, options=options)
        assert (done.returncode, done.stdout.count("->")) == (0, 2), done.stderr
        assert (step.here / output / "my cat_gradcam.npz").exists()
    assert step("Compare", baseline="before", output="before", max_drift="rank=0\nssim=0").returncode == 0
    done = step("Compare", baseline="before", output="after", max_drift="rank=0\n")
    assert done.returncode == 4
    assert "\n::error::FAILED: rank " in done.stderr
    assert (step.here / "after/moved.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["images", "model", "output", "options"])
def test_inputs_of_the_action_are_not_executed(step, name):
    """Command substitutions and separators in an input are part of a name."""
    done = step(
        "Explain", **{"images": "cat.jpg", "model": "missing.keras", name: "$(touch pwned); touch pwned `touch pwned`"}
    )
    assert done.returncode in (2, 3)
    assert not (step.here / "pwned").exists()


@pytest.mark.slow
def test_the_hook_compares_a_changed_model_with_stored_maps(step, monkeypatch):
    """pre-commit appends the name of the changed file to the arguments."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["language"] == "python"
    assert re.search(hook["files"], "models/net.keras")
    assert not re.search(hook["files"], "photos/cat.jpg")
    explained = step("Explain", images="cat.jpg", model="old.keras", output="maps", options="--preprocess -1..1")
    assert explained.returncode == 0
    arguments = ["maps", "--preprocess", "-1..1", "--max-drift", "rank=0"]
    for model, status in (("old.keras", 0), ("new.keras", 4)):
        done = subprocess.run([*shlex.split(hook["entry"]), *arguments, model], capture_output=True, text=True)
        assert done.returncode == status, done.stderr


def test_the_checkout_of_the_action_can_be_installed():
    """The install step names files of the repository, no index."""
    run = STEPS["Install gradcam"]["run"]
    assert run.count('"$GITHUB_ACTION_PATH') == 2
    assert Path(ROOT / "constraints.txt").exists()
    assert "://" not in run
