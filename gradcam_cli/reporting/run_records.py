"""The records of a run log: reading JSON lines and merging the runs that one log contains."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from gradcam_cli.console import escape_control_chars, log
from gradcam_cli.errors import InputError
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.pipeline.saved import find_saved_maps, load_saved_metadata
from gradcam_cli.reporting.record_fields import RESULT_STATUSES, check_record
from gradcam_cli.storage.files import open_readable

MAX_REPORT_INPUTS = 20_000
"""Inputs with results in a report; further inputs are only counted."""
MAX_REPORT_LENGTH = 1 << 28
"""Limit of the text of all records in a report; inputs beyond it are only counted."""
MAX_LINE_BYTES = 1 << 22
"""Limit of a line; a result with 1,000 predictions has 0.1 MB."""
MAX_LOG_BYTES = 1 << 33
"""Limit of a file's size; a million results have 2 GB."""
MAX_NOTES = 5
"""Invalid lines that are listed; further lines are only counted."""
BLOCK_SIZE = 2**16


def read_records(path: Path) -> Iterator[Record]:
    """Yield the valid records of a JSON lines file.

    Invalid lines are skipped with a note and counted in a last record with status `invalid`. A partial last line, which
    a killed run leaves, is ignored.

    Raises:
        InputError: the file cannot be read, or has no valid record.
    """
    try:
        file = open_readable(path, MAX_LOG_BYTES, allow_pipe=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    first_problem, num_valid, num_invalid = "", 0, 0
    with file:
        for number, line in enumerate(_read_lines(file), 1):
            try:
                record = _parse_line(line)
            except ValueError as error:
                num_invalid += 1
                problem = escape_control_chars(f"{path}, line {number}: {error}")
                first_problem = first_problem or problem
                if num_invalid <= MAX_NOTES:
                    log.warning("%s; the line is skipped", problem)
                continue
            if record:
                num_valid += 1
                yield record
    if num_invalid and not num_valid:
        raise InputError(f"no valid record: {first_problem}")
    if num_invalid > MAX_NOTES:
        log.warning("%s: %d invalid lines are skipped", escape_control_chars(str(path)), num_invalid)
    if num_invalid:
        yield {"status": "invalid", "count": num_invalid}


def _read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines with their newline; of a line over the limit, only its first bytes, without a newline."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(BLOCK_SIZE)
        yield line


def _parse_line(line: bytes) -> Record | None:
    """Return the record of a line, or None for an empty or a partial line.

    Raises:
        ValueError: the line is too long, no JSON, or an invalid record.
    """
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"expected at most {MAX_LINE_BYTES:,} bytes, got more")
    if not line.strip():
        return None
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if not line.endswith(b"\n"):
            return None
        raise ValueError(f"not a JSON object: {error}") from error
    return check_record(value)


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


def truncate_partial_line(file: BinaryIO) -> None:
    """Remove the partial last line that a killed run leaves, so that lines can be appended."""
    position = file.seek(0, os.SEEK_END)
    while position:
        file.seek(max(position - BLOCK_SIZE, 0))
        block = file.read(min(position, BLOCK_SIZE))
        position -= len(block)
        if b"\n" in block:
            position += block.rfind(b"\n") + 1
            break
    file.truncate(position)
    file.seek(0, os.SEEK_END)


def input_name(record: Record) -> str:
    """Return the input of a record, or the file name that only one of two compared runs contains."""
    return str(record.get("input", record.get("name")))


def merge_runs(records: Iterable[Record], max_inputs: int = MAX_REPORT_INPUTS) -> list[Record]:
    """Merge the runs of one log: the last run, and earlier results of inputs that it skipped or has not reached.

    If the last run has ended, inputs that it no longer contains are dropped. Inputs after the first `max_inputs`, or
    beyond `MAX_REPORT_LENGTH`, are counted by status in one record with status `truncated`; so are further maps.
    """
    results: dict[str, list[Record]] = {}
    others: list[Record] = []
    reached: dict[str, None] = {}
    truncated: Counter[str] = Counter()
    last_truncated = None
    length = 0
    for record in records:
        if record["status"] == "run_start":
            reached, others, truncated = {}, [], Counter()
        if record["status"] not in RESULT_STATUSES:
            length += _length(record)
            if length <= MAX_REPORT_LENGTH or record["status"] in ("run_end", "invalid"):
                others.append(record)
            continue
        name = input_name(record)
        if name not in results and (len(results) >= max_inputs or length > MAX_REPORT_LENGTH):
            truncated[record["status"]] += name != last_truncated
            last_truncated = name
            continue
        if name not in reached and not (record["status"] == "skipped" and name in results):
            results[name] = []
        reached[name] = None
        length += _length(record)
        if results[name] and length > MAX_REPORT_LENGTH:
            truncated["maps"] += 1
        elif record["status"] != "skipped" or not results[name]:
            results[name].append(record)
    if truncated:
        others.append({"status": "truncated", "counts": dict(truncated)})
    ended = any(record["status"] == "run_end" for record in others)
    return others + [record for name, group in results.items() if name in reached or not ended for record in group]


def _length(record: Record) -> int:
    return len(repr(record))


def records_from_npz(directory: Path) -> Iterator[Record]:
    """Yield a record for each saved map in a directory; damaged files are skipped with a note.

    Raises:
        InputError: the directory contains no saved map, or only damaged ones.
    """
    errors: list[InputError] = []
    valid = 0
    for path in find_saved_maps(directory).values():
        try:
            metadata = load_saved_metadata(path)
        except InputError as error:
            errors.append(error)
            log.warning("%s; the file is skipped", escape_control_chars(error.message))
            continue
        valid += 1
        yield {"status": "ok", **metadata, "outputs": {"npz": str(path)}}
    if errors and not valid:
        raise errors[0]
    if errors:
        yield {"status": "invalid", "count": len(errors)}
