"""The documentation: blocks run, numbers and tables agree with the program, links have targets, the site is built."""

import doctest
import importlib
import os
import re
from pathlib import Path

import draw_gallery
import pytest
from command_tree import commands
from doc_blocks import (
    LONG_PAGES,
    PAGES,
    README,
    ROOT,
    blocks,
    is_session,
    lines_after_import,
    numbered,
    run_cell,
    run_commands,
)

from gradcam_cli.cli import gradcam
from gradcam_cli.cli.explain import explain
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.methods.registry import METHODS, MULTI_PASS, names_of_kind
from gradcam_cli.neuralode.solver.tableaus import SOLVERS
from gradcam_cli.output.destination import PICTURES, allowed_kinds
from gradcam_cli.pipeline.json_lines import KEYS

OTHERS = [page for page in PAGES if page != README]


@pytest.mark.slow
@pytest.mark.parametrize("block", numbered(OTHERS, "sh"))
def test_commands_of_a_page_run(workspace, block, request):
    """Each block runs in a new directory, without weights, and prints nothing on stderr."""
    run_commands(block, workspace, request)


@pytest.mark.slow
@pytest.mark.parametrize("block", numbered(OTHERS, "python"))
def test_programs_of_a_page_run(workspace, block, capsys):
    """Each block without prompts is a program that prints something, or a cell that shows something in a notebook."""
    value = run_cell(block)
    shown = [getattr(value, name)() for name in ("_repr_html_", "_repr_png_") if hasattr(value, name)]
    assert capsys.readouterr().out or any(shown)


def test_the_six_tasks_take_few_lines():
    """Load and show; class and layer; batch of arrays; four methods; overlay; faithfulness: lines after the import."""
    section = (ROOT / "docs/python.md").read_text().split("## Six tasks\n")[1].split("\n## ")[0]
    tasks = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert [len(lines_after_import(task)) for task in tasks] == [1, 1, 1, 3, 1, 2]


@pytest.fixture
def tables():
    """Restore the tables to which the examples of CONTRIBUTING.md add entries."""
    originals = [(table, dict(table)) for table in (METHODS, METRICS, SOLVERS)]
    yield
    for table, entries in originals:
        table.clear()
        table.update(entries)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.extended if page.stem in LONG_PAGES else ())
        for page in PAGES
        if any(map(is_session, blocks(page, "python")))
    ],
    ids=lambda page: page.stem,
)
def test_sessions_print_the_numbers_of_the_page(page, tables):
    """The blocks with prompts of a page are one session, and its output is compared."""
    session = "\n".join(filter(is_session, blocks(page, "python")))
    test = doctest.DocTestParser().get_doctest(session, {}, page.name, str(page), 0)
    lines = []
    result = doctest.DocTestRunner().run(test, out=lines.append)
    assert result.attempted
    assert not result.failed, "".join(lines)


def test_every_json_key_is_documented():
    for key in KEYS:
        assert f"`{key}`" in (ROOT / "docs/ci.md").read_text(), key


def option(command, name):
    return next(parameter for parameter in command.params if name in parameter.opts)


def test_tables_list_every_choice():
    """In any order."""
    choosing = (ROOT / "docs/choosing.md").read_text()
    evaluating = (ROOT / "docs/evaluating.md").read_text()
    named = set(re.findall(r"^\| `([a-z+-]+)`", choosing.split("## Method")[1].split("\n### ")[0], re.MULTILINE))
    assert named == set(names_of_kind("cam", "layers", *MULTI_PASS))
    for name in ("--fit", "--score", "--save"):
        row = next(line for line in choosing.splitlines() if line.startswith(f"| `{name}`"))
        for choice in option(explain, name).type.choices:
            assert f"`{choice}`" in row, (name, choice)
    for metric in METRICS:
        assert f"`{metric}`" in evaluating.split("## Metrics")[1].split("\n## ")[0], metric


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_documented_options_exist(page):
    known = {opt for _, command in commands(gradcam) for p in command.params for opt in (*p.opts, *p.secondary_opts)}
    others = {"--head", "--address", "--help", "--version", "--strict", "--data", "--constraint", "--quick"}
    others |= {"--download", "--out", "--seeds"}  # of scripts in tools
    others |= {"--from", "--spec", "--rm", "--user", "--volume", "--network"}  # of uvx, pipx and docker
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text()))
    assert not named - known - others


def anchors(page):
    """Return the anchors of the headings of a page."""
    without_code = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", without_code, re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", title.lower())).strip("-") for title in titles}


def test_gallery_shows_every_choice():
    """Each method and kind of picture has a row, and each picture of the script is shown."""
    page = (ROOT / "docs/gallery.md").read_text()
    pictures = {name for name, method in METHODS.items() if method.kind not in ("attention", "depth")}
    pictures |= set(PICTURES) & set(allowed_kinds("image"))
    assert pictures <= set(re.findall(r"^\| `([a-z+-]+)`", page, re.MULTILINE))
    shown = set(re.findall(r"gallery/([a-z-]+)\.jpg", page))
    assert shown == {*draw_gallery.STRIPS, *draw_gallery.SINGLE_PICTURES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_have_a_target(page):
    """Linked files and anchors exist; URLs are not requested."""
    without_code = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target, anchor in re.findall(r"\]\((?![a-z]+:)([^)#\s]*)#?([^)\s]*)\)", without_code):
        path = Path(os.path.normpath(page.parent / target)) if target else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_navigation_lists_every_page(page):
    name = {"README.md": "index.md"}.get(page.name, page.name)
    assert re.search(rf": {re.escape(name)}$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_site_loads_nothing_from_other_servers(site, page):
    html = (site / {"README.md": "index.html"}.get(page.name, f"{page.stem}.html")).read_text()
    assert not re.findall(r"<(?:script|img|link)[^>]*(?:src|href)=\"?(https?:[^\" >]*)", html)


@pytest.mark.parametrize("page", ["grad-cam", "neural-odes", "depth", "evaluating"])
def test_equations_become_mathml(site, page):
    """A page with equations has MathML in the site, and no LaTeX that a script would have to convert."""
    html = (site / f"{page}.html").read_text()
    assert "<math " in html
    assert not re.findall(r"arithmatex|\\frac|\\sum|\$\$", html)


@pytest.mark.parametrize(
    ("module", "page"),
    [("gradcam_cli", "python"), ("gradcam_cli.neuralode", "python"), ("gradcam_cli.callbacks", "training")],
)
def test_reference_lists_exactly_the_exported_names(site, module, page):
    listed = re.findall(rf'id="{re.escape(module)}\.(\w+)"', (site / f"{page}.html").read_text())
    assert listed == importlib.import_module(module).__all__


def test_reference_lists_every_command(site):
    html = (site / "reference.html").read_text()
    for path, _ in commands(gradcam):
        assert f'id="{"-".join(("gradcam", *path))}"' in html
