"""Write docs/reference.md, the commands as click knows them, and docs/python.md, the package by its docstrings.

Usage: python tools/write_reference.py

Nothing is imported but the commands: the docstrings are read from the sources.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from gradcam_cli.cli import gradcam

ROOT = Path(__file__).parent.parent
WIDTH = 100

MODULES = {
    "api": "Explaining an image",
    "models": "Models",
    "results": "Results",
    "errors": "Errors",
    "cam": "The methods of one pass",
    "attribution": "The methods that ask again",
    "maps": "From cells to pixels",
    "metrics.faithfulness": "Metrics: does the network use it?",
    "metrics.localisation": "Metrics: does it lie where the object is?",
    "metrics.comparison": "Metrics: how far have maps moved?",
    "neuralode.solve": "Solving differential equations",
    "neuralode.tableaus": "Solvers",
    "neuralode.layer": "The Keras layer",
    "neuralode.classifier": "Classifiers with an equation in the middle",
    "neuralode.depth": "Maps along depth",
    "neuralode.check": "Checking gradients",
    "neuralode.failures": "Solves that fail",
}
"""What docs/python.md tells of, in this order."""

Definition = ast.FunctionDef | ast.ClassDef


def main() -> None:
    """Write both pages."""
    for name, text in pages().items():
        (ROOT / "docs" / name).write_text(text)


def pages() -> dict[str, str]:
    """Return the pages' texts by their names in docs/."""
    return {"reference.md": command_page(), "python.md": python_page()}


def command_page() -> str:
    """Return the help of every command."""
    parts = [
        "# Commands",
        "Written by [tools/write_reference.py](../tools/write_reference.py) from what the commands themselves say; "
        "`gradcam INPUT...` is `gradcam explain INPUT...`.",
    ]
    for path, command in commands(gradcam, ("gradcam",)):
        context = click.Context(command, info_name=" ".join(path), terminal_width=WIDTH, **command.context_settings)
        help_ = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        parts += [f"## {' '.join(path)}", f"```text\n{help_}\n```"]
    return "\n\n".join(parts) + "\n"


def commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield all commands of a group, with their words."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def python_page() -> str:
    """Return signatures and docstrings of the modules' public names."""
    parts = [
        "# Python",
        "Written by [tools/write_reference.py](../tools/write_reference.py) from the docstrings. `explain`, "
        "`load_model`, `Classifier`, `Explanation` and `GradcamError` can be imported from `gradcam_cli` itself.",
    ]
    for module, title in MODULES.items():
        path = f"gradcam_cli/{module.replace('.', '/')}.py"
        tree = ast.parse((ROOT / path).read_text())
        about = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
        parts += [f"## {title}", f"[`gradcam_cli.{module}`](../{path}): {about}"]
        for node in public(tree.body):
            parts += [f"### {node.name}", f"```text\n{signature(node)}\n```", *described(node)]
            for method in public(node.body) if isinstance(node, ast.ClassDef) else ():
                text = (ast.get_docstring(method) or "").split("\n\n")[0].replace("\n", " ")
                parts.append(f"- `.{method.name}{arguments(method)}`: {text}")
    return "\n\n".join(parts) + "\n"


def public(body: list[ast.stmt]) -> Iterator[Definition]:
    """Yield the functions and classes that have no underscore and a docstring."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_") and ast.get_docstring(node):
            yield node


def signature(node: Definition) -> str:
    """Return `name(arguments) -> result`, broken where it is long."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    line = f"{node.name}{arguments(node)}{returns}"
    if len(line) <= WIDTH:
        return line
    given = "".join(f"    {argument},\n" for argument in split(arguments(node)[1:-1]))
    return f"{node.name}(\n{given}){returns}"


def split(text: str) -> list[str]:
    """Split at the commas that lie in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        parts = [*parts, ""] if character == "," and not depth else [*parts[:-1], parts[-1] + character]
    return [part.strip() for part in parts]


def arguments(node: Definition) -> str:
    """Return a function's arguments in parentheses, without `self`; nothing for a property."""
    if isinstance(node, ast.ClassDef) or any("property" in ast.unparse(each) for each in node.decorator_list):
        return ""
    return "(" + re.sub(r"^(self|cls)(, )?", "", ast.unparse(node.args)) + ")"


def described(node: Definition) -> Iterator[str]:
    """Yield a docstring's paragraphs as Markdown: sections as lists, equations as blocks."""
    for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
        title, _, rest = paragraph.partition("\n")
        if re.fullmatch(r"[A-Z]\w+:", title):
            yield f"**{'Arguments' if title == 'Args:' else title[:-1]}**"
            yield "\n".join(entries(textwrap.dedent(rest)))
        elif paragraph.startswith("    "):
            yield f"```text\n{textwrap.dedent(paragraph)}\n```"
        else:
            yield escaped(paragraph)


def entries(text: str) -> Iterator[str]:
    """Yield the lines of a section: what begins with names and a colon as a list, the rest as it is."""
    listed = False
    for line in text.splitlines():
        found = re.match(r"([*\w][\w, *]*): (.*)", line)
        if found and len(found[1].split()) <= found[1].count(",") + 1:
            listed = True
            yield f"- `{found[1]}`: {escaped(found[2])}"
        else:
            yield escaped(f"  {line.strip()}" if listed else line.strip())


def escaped(text: str) -> str:
    """Return prose in which stars, bars and angle brackets are what they are, outside `code`."""
    parts = text.split("`")
    return "`".join(re.sub(r"([*|<_])", r"\\\1", part) if i % 2 == 0 else part for i, part in enumerate(parts))


if __name__ == "__main__":
    main()
