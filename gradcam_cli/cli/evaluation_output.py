"""The output of `gradcam evaluate`: JSON lines, tables and the exit status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from gradcam_cli.cli.run_summary import RunClock
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import print_failed_threshold
from gradcam_cli.evaluation.metrics.summary import SanityStep
from gradcam_cli.evaluation.results import EvaluationResults
from gradcam_cli.methods.registry import INPUT_LAYER
from gradcam_cli.output.numbers import format_number
from gradcam_cli.pipeline.json_lines import json_line

if TYPE_CHECKING:
    from gradcam_cli.report.writer import ReportWriter


class EvaluationWriter(NamedTuple):
    """Writes the records of an evaluation: to standard output with --json, and to the report."""

    stdout: TextIO
    as_json: bool = False
    report_writer: ReportWriter | None = None

    def write(self, records: Sequence[dict[str, Any]]) -> None:
        """Write records."""
        if self.as_json:
            for record in records:
                self.stdout.write(json_line({key: record[key] for key in record if key != "report"}) + "\n")
            self.stdout.flush()
        if self.report_writer:
            self.report_writer.write(*records)


def print_tables(results: EvaluationResults, stdout: TextIO) -> None:
    """Print the mean metrics of each map, which maps have no value and, if it was run, the sanity check."""
    if results.rows:
        write_table(results.mean_rows, stdout, as_json=False)
        for message in results.undefined_messages:
            stdout.write(f"{message}\n")
    if results.mosaics:
        stdout.write(f"{results.mosaics}\n")
    if results.steps:
        stdout.write("\n")
        write_table(_sanity_rows(results.steps), stdout, as_json=False)
        for name in results.insensitive_methods:
            stdout.write(f"{name} is insensitive: its maps do not depend on the trained weights\n")


def _sanity_rows(steps: Sequence[SanityStep]) -> list[dict[str, Any]]:
    """Return one row per step, with the rank correlation and the structural similarity of every map."""
    several_layers = len({step.layer for step in steps if step.layer != INPUT_LAYER}) > 1
    rows: dict[str, dict[str, Any]] = {}
    for step in steps:
        row = rows.setdefault(step.last_randomized_layer, {"randomized down to": step.last_randomized_layer})
        name = f"{step.method} at {step.layer}" if several_layers and step.layer != INPUT_LAYER else step.method
        row[f"{name} rank"], row[f"{name} ssim"] = format_number(step.rank), format_number(step.ssim)
    return list(rows.values())


def end_run(results: EvaluationResults, clock: RunClock, places: Iterable[object]) -> int:
    """Print the last line of the run and the failed thresholds, and return the exit status."""
    num_maps = sum(not row.baseline for row in results.rows)
    mosaics = results.mosaics.mosaics if results.mosaics else 0
    done = {"image": results.num_images, "mosaic": mosaics, "map": num_maps}
    done = {noun: number for noun, number in done.items() if number or (noun != "mosaic" and not mosaics)}
    clock.log(done, places, {"failed": len(results.failures)})
    messages = [message for message in results.threshold_results.values() if message]
    for message in messages:
        print_failed_threshold(message)
    return 3 if not results.rows else 4 if messages else 1 if results.failures else 0
