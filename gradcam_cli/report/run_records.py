"""The lines of a run, as they lie in its folder: how it began, its results, how it ended."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gradcam_cli.errors import InputError
from gradcam_cli.pipeline.saved import find_saved_maps, load_saved_metadata
from gradcam_cli.storage.files import open_readable

REPORT_FOLDER, RUN_LOG_NAME = "report", "run.jsonl"
RESULT_STATUSES = ("ok", "failed", "skipped", "alone")
"""Status of lines that tell of an input."""
MAX_REPORT_INPUTS = 20_000
"""Inputs whose results a report shows; of more it has the counts."""
BLOCK_SIZE = 2**16
Record = dict[str, Any]


def read_records(path: Path) -> Iterator[Record]:
    """Yield the objects of a file of JSON lines; a last line that a killed run left torn is left out.

    Raises:
        InputError: the file cannot be read, or another line is no JSON object.
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
        raise InputError(f"{path}, line {number}: expected a JSON object, got {error}") from error
    if not isinstance(record, dict) or "status" not in record:
        raise InputError(f"{path}, line {number}: expected an object with a status, as --json writes it")
    return record


def truncate_partial_line(path: Path) -> None:
    """Take away what a killed run left of its last line, so that another may follow."""
    if not path.is_file():
        return
    with open(path, "r+b") as file:
        place = file.seek(0, os.SEEK_END)
        while place:
            file.seek(max(place - BLOCK_SIZE, 0))
            block = file.read(min(place, BLOCK_SIZE))
            place -= len(block)
            if b"\n" in block:
                place += block.rfind(b"\n") + 1
                break
        file.truncate(place)


def input_name(record: Record) -> str:
    """Return the name of what a line tells of: its input, or the file that only one of two runs has."""
    return str(record.get("input", record.get("name")))


def merge_runs(records: Iterable[Record], max_inputs: int = MAX_REPORT_INPUTS) -> list[Record]:
    """Return the lines of the last run, and of the runs before it those of inputs that it skipped or has not reached.

    Inputs that are gone when a run has come to its end are left out. Of inputs beyond the most a line of status
    `beyond` tells how many there were of each status.
    """
    results: dict[str, list[Record]] = {}
    others: list[Record] = []
    reached: dict[str, None] = {}
    beyond: Counter[str] = Counter()
    last = None
    for record in records:
        if record["status"] == "run":
            reached, others, beyond = {}, [], Counter()
        if record["status"] not in RESULT_STATUSES:
            others.append(record)
            continue
        name = input_name(record)
        if name not in results and len(results) >= max_inputs:
            beyond[record["status"]] += name != last
            last = name
            continue
        if name not in reached and not (record["status"] == "skipped" and name in results):
            results[name] = []
        reached[name] = None
        if record["status"] != "skipped" or not results[name]:
            results[name].append(record)
    if beyond:
        others.append({"status": "beyond", "counts": dict(beyond)})
    ended = any(record["status"] == "end" for record in others)
    return others + [record for name, group in results.items() if name in reached or not ended for record in group]


def records_from_npz(directory: Path) -> Iterator[Record]:
    """Yield a line for each map that a run saved as arrays.

    Raises:
        InputError: there is none, or one is damaged.
    """
    for path in find_saved_maps(directory).values():
        yield {"status": "ok", **load_saved_metadata(path), "outputs": {"npz": str(path)}}
