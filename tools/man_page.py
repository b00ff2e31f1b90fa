"""Write the man page of gradcam, docs/gradcam.1, from the help of its commands.

Usage: python tools/man_page.py

`make man` runs it. The wheel installs the page in share/man/man1, and a test compares it with the help.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import click

from gradcam_cli import __version__
from gradcam_cli.cli import EXAMPLES, gradcam
from gradcam_cli.cli.click_extensions import GroupedCommand

FILE = Path(__file__).parent.parent / "docs/gradcam.1"
SUMMARY = "show which parts of an image contribute to a class score of a Keras model"


def main() -> None:
    """Write the page."""
    FILE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the man page, in the macros of man(7)."""
    lines = [
        f'.TH GRADCAM 1 "" "gradcam {__version__}" "User Commands"',
        *(".SH NAME", rf"gradcam \- {SUMMARY}"),
        *(".SH SYNOPSIS", r"\fBgradcam\fR [\fIOPTIONS\fR] \fIINPUT\fR...", ".br"),
        r"\fBgradcam\fR \fICOMMAND\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]",
        *(".SH DESCRIPTION", escape(gradcam.help or "")),
        *(".SH COMMANDS", *(line for name, command in _commands(gradcam) for line in _entry(name, command))),
        *(".SH EXAMPLES", *(line for text, note in EXAMPLES for line in (".TP", bold(text), escape(note)))),
        *(line for path, command in _leaves(gradcam) for line in _section(path, command)),
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Return a text that roff prints as it is, in one line."""
    escaped = " ".join(text.split()).replace("\\", r"\e").replace("-", r"\-").replace("`", "")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


def bold(text: str) -> str:
    """Return an escaped text in bold."""
    return rf"\fB{escape(text)}\fR"


def _commands(group: click.Group) -> list[tuple[str, click.Command]]:
    return sorted(group.commands.items())


def _leaves(group: click.Group, path: tuple[str, ...] = ("gradcam",)) -> Iterator[tuple[str, GroupedCommand]]:
    """Yield the words and the command of every command below a group, `explain` of the program first."""
    for name, command in sorted(group.commands.items(), key=lambda item: (item[0] != "explain", item[0])):
        if isinstance(command, click.Group):
            yield from _leaves(command, (*path, name))
        elif isinstance(command, GroupedCommand):
            yield " ".join((*path, name)), command


def _entry(name: str, command: click.Command) -> list[str]:
    return [".TP", bold(name), escape(command.get_short_help_str(200))]


def _section(path: str, command: GroupedCommand) -> Iterator[str]:
    """Yield the section of a command: its usage, description, options under their headings, and epilog."""
    context = click.Context(command, info_name=path, help_option_names=["-h", "--help"])
    yield f'.SH "{path.upper()}"'
    yield bold(path) + " " + escape(context.command.get_usage(context).removeprefix(f"Usage: {path}"))
    for paragraph in dedent(command.help or "").split("\n\n"):
        yield from (".PP", escape(paragraph))
    for heading, rows in command.option_rows(context).items():
        yield f'.SS "{heading} options"' if heading != "Options" else ".SS Options"
        for option, text in rows:
            yield from (".TP", bold(option), escape(text))
    yield from _epilog(command.epilog or "")


def _epilog(text: str) -> Iterator[str]:
    """Yield the paragraphs of an epilog, line by line as they are."""
    for paragraph in filter(None, text.strip("\n").split("\n\n")):
        title, _, rest = paragraph.strip("\n").partition("\n")
        yield f'.SS "{escape(title.rstrip(":"))}"'
        yield ".nf"
        for line in dedent(rest).splitlines():
            escaped = line.replace("\\", r"\e").replace("-", r"\-")
            yield re.sub(r"^(?=[.'])", lambda _: r"\&", escaped)
        yield ".fi"


if __name__ == "__main__":
    main()
