"""The messages that docs/troubleshooting.md quotes are messages of the program."""

import re

import pytest
from doc_blocks import ROOT

SOURCE = "".join(path.read_text() for path in sorted((ROOT / "gradcam_cli").rglob("*.py")))
MESSAGE = r"`([a-z][^`]* [^`]*)`"


def quoted_messages():
    """Return the code spans with several words in the bold beginnings and in the list of zero maps."""
    page = (ROOT / "docs/troubleshooting.md").read_text()
    beginnings = re.findall(r"^\*\*(.*?)\*\*", page, re.MULTILINE | re.DOTALL)
    items = re.findall(r"^- (.*?):", page, re.MULTILINE)
    messages = {message.replace("\n", " ") for text in (*beginnings, *items) for message in re.findall(MESSAGE, text)}
    return sorted(message for message in messages if not message.startswith("gradcam "))


@pytest.mark.parametrize("message", quoted_messages())
def test_quoted_message_is_in_the_program(message):
    assert message in SOURCE


def test_troubleshooting_quotes_messages():
    assert {"max_steps reached", "no gradient", "the model has no layer"} <= set(quoted_messages())
