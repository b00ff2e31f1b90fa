"""The pages of the documentation, and the blocks in them."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gradcam_cli.cli import gradcam

TRAINING = "gradcam neuralode train --data digits -o digits.keras --export-samples digits"
ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


ANNOUNCEMENT = re.compile(r"^\S+: input \d+x\d+ (?:RGB|BGR|grayscale).*, preprocessing .*\n", re.MULTILINE)
"""The line on standard error that each run prints about its model."""


SUMMARY = re.compile(r"^[\d,]+ (?:image|mosaic|map|epoch)s?\b.*\(\d+\.\d s\).*\n", re.MULTILINE)
"""The line on standard error that ends each run."""


GUESS = re.compile(ANNOUNCEMENT.pattern.replace("^", "^note: "), re.MULTILINE)
"""The same line, as a note, if the preprocessing is a guess."""


def messages(stderr):
    """Return standard error without the announcement and the last line of a run."""
    return SUMMARY.sub("", ANNOUNCEMENT.sub("", stderr))


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def relative_links(text):
    """Return the targets of links and images in Markdown that are no URLs."""
    return [target for target in re.findall(r"\]\(([^)\s]+)", text) if not re.match(r"https?://", target)]


def is_session(block):
    return block.startswith(">>> ")


LONG_PAGES = ("depth", "neural-odes", "evaluating")
"""Pages whose blocks train and evaluate networks; they run in `make test-all`."""


def numbered(pages, language):
    """Return each block of a language on each page, for a test of its own; sessions have theirs."""
    return [
        pytest.param(block, id=f"{page.stem}-{number}", marks=pytest.mark.extended if page.stem in LONG_PAGES else ())
        for page in pages
        for number, block in enumerate(blocks(page, language))
        if not is_session(block)
    ]


def run_shell_block(block, folder, request):
    """Run a block of commands in a shell; they must print nothing on stderr but the announcement and the last line."""
    done = subprocess.run(["sh", "-e", "-c", prepared(block, folder, request)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert messages(GUESS.sub("", done.stderr)) == ""
    assert done.stdout


def run_commands(block, folder, request):
    """Run a block of gradcam commands in this process; a block with a pipe runs in a shell."""
    if "|" in block:
        run_shell_block(block, folder, request)
        return
    printed = ""
    for line in prepared(block, folder, request).replace("\\\n", " ").splitlines():
        command, _, file = line.partition("#")[0].partition(" > ")
        if not command.strip():
            continue
        program, *arguments = shlex.split(command)
        assert program == "gradcam", line
        done = CliRunner().invoke(gradcam, arguments)
        assert (done.exit_code, messages(GUESS.sub("", done.stderr))) == (0, ""), line
        printed += done.stdout
        if file:
            (folder / file.strip()).write_text(done.stdout)
    assert printed


def prepared(block, folder, request):
    """Replace the command that trains a classifier by the files it wrote for the fixture, in one epoch."""
    if "digits.keras" in block:
        shutil.copytree(request.getfixturevalue("trained_digits"), folder, dirs_exist_ok=True)
    lines = block.splitlines(keepends=True)
    return "".join(line for line in lines if line.partition("#")[0].strip() != TRAINING)


def run_cell(block):
    """Run a block of Python as a notebook does, and return the value of its last line that a notebook would show."""
    tree = ast.parse(block)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    names = {"__name__": "__main__"}
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None


def lines_after_import(block):
    """Return the lines of a block that are neither blank nor imports."""
    return [line for line in block.splitlines() if line and not line.startswith(("import ", "from "))]


def run_program(block):
    """Run a block of Python as a program and return its output."""
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
