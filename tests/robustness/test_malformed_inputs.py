"""Malformed volumes, DICOM series and films are refused in one line, with little memory and without other messages."""

import logging
import tracemalloc

import pytest
from malformed_inputs import CASES, WHOLE

from gradcam_cli.errors import InputError

pytestmark = [pytest.mark.filterwarnings("ignore:::PIL"), pytest.mark.filterwarnings("ignore:::pydicom")]
MAX_BYTES = 64 << 20
"""Memory to refuse a file, which is more than any of them has."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_file_is_refused(case, capfd):
    """The expected words in one line; no message of a library; and no memory for what a header declares."""
    logging.getLogger("nibabel.global").handlers[0].stream = __import__("sys").stderr
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=case.refused) as caught:
            case.read(case.data)
        assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
    finally:
        tracemalloc.stop()
    assert "\n" not in caught.value.message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", WHOLE)
def test_truncated_files_are_refused(kind):
    """At each tenth; the whole file is read."""
    data, read = WHOLE[kind]
    assert read(data).pixels.size
    for tenth in range(10):
        with pytest.raises(InputError):
            read(data[: len(data) * tenth // 10])
