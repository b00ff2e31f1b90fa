"""The pages of the documentation, and the blocks in them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TRAINING = "gradcam neuralode train --data digits"
ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def is_session(block):
    return block.startswith(">>> ")


def numbered(pages, language):
    """Return each block of a language on each page, for a test of its own; sessions have theirs."""
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in pages
        for number, block in enumerate(blocks(page, language))
        if not is_session(block)
    ]


def run_shell_block(block, folder, request):
    """Run a block of commands, which must not say a word on stderr; training takes one epoch."""
    if "digits.keras" in block:
        shutil.copytree(request.getfixturevalue("trained_digits"), folder, dirs_exist_ok=True)
    script = block.replace(TRAINING, f"{TRAINING} --epochs 1")
    done = subprocess.run(["sh", "-e", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout


def run_program(block):
    """Run a block of Python as a program, and return what it printed."""
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
