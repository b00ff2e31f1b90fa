"""The records of a run log: reading JSON lines and merging the runs that one log contains."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from gradcam_cli.errors import InputError
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.pipeline.saved import find_saved_maps, load_saved_metadata
from gradcam_cli.storage.files import open_readable

RESULT_STATUSES = ("ok", "failed", "skipped", "unmatched")
"""Statuses of the records that belong to an input."""
MAX_REPORT_INPUTS = 20_000
"""Inputs with results in a report; further inputs are only counted."""
BLOCK_SIZE = 2**16


def read_records(path: Path) -> Iterator[Record]:
    """Yield the objects of a JSON lines file; a partial last line, which a killed run leaves, is ignored.

    Raises:
        InputError: the file cannot be read, or another line is not a JSON object.
    """
    try:
        file = open_readable(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    with file:
        for number, line in enumerate(file, 1):
            if line.strip() and (record := _parse_record(path, number, line)):
                yield record


def _parse_record(path: Path, number: int, line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        if not line.endswith(b"\n"):
            return None
        raise InputError(f"{path}, line {number}: not a JSON object: {error}") from error
    if not isinstance(record, dict) or "status" not in record:
        raise InputError(f"{path}, line {number}: expected a JSON object with a status, as --json writes it")
    return record


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

    If the last run has ended, inputs that it no longer contains are dropped. Inputs after the first `max_inputs` are
    counted by status in one record with status `truncated`.
    """
    results: dict[str, list[Record]] = {}
    others: list[Record] = []
    reached: dict[str, None] = {}
    truncated: Counter[str] = Counter()
    last_truncated = None
    for record in records:
        if record["status"] == "run_start":
            reached, others, truncated = {}, [], Counter()
        if record["status"] not in RESULT_STATUSES:
            others.append(record)
            continue
        name = input_name(record)
        if name not in results and len(results) >= max_inputs:
            truncated[record["status"]] += name != last_truncated
            last_truncated = name
            continue
        if name not in reached and not (record["status"] == "skipped" and name in results):
            results[name] = []
        reached[name] = None
        if record["status"] != "skipped" or not results[name]:
            results[name].append(record)
    if truncated:
        others.append({"status": "truncated", "counts": dict(truncated)})
    ended = any(record["status"] == "run_end" for record in others)
    return others + [record for name, group in results.items() if name in reached or not ended for record in group]


def records_from_npz(directory: Path) -> Iterator[Record]:
    """Yield a record for each saved map in a directory.

    Raises:
        InputError: the directory contains no saved map, or a file is damaged.
    """
    for path in find_saved_maps(directory).values():
        yield {"status": "ok", **load_saved_metadata(path), "outputs": {"npz": str(path)}}
