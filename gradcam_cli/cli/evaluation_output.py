"""The output of `gradcam evaluate`: JSON lines, tables and the exit status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from gradcam_cli.cli.run_summary import RunClock
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import escape_control_chars, print_error, print_failed_threshold
from gradcam_cli.evaluation.agreement import baseline_lines
from gradcam_cli.evaluation.bootstrap import MIN_IMAGES
from gradcam_cli.evaluation.metrics.registry import METRICS, Metric
from gradcam_cli.evaluation.metrics.summary import MetricRow, SanityStep
from gradcam_cli.evaluation.ranking import MetricRanking, Ranking
from gradcam_cli.evaluation.results import EvaluationResults, Record
from gradcam_cli.evaluation.thresholds import failed_messages
from gradcam_cli.images.load import Unexplained
from gradcam_cli.methods.registry import INPUT_LAYER
from gradcam_cli.output.numbers import format_interval, format_number
from gradcam_cli.pipeline.json_lines import json_line

if TYPE_CHECKING:
    from gradcam_cli.reporting.writer import ReportWriter

LINE_WIDTH = 80
"""Longest line of the conclusions, in characters."""


class EvaluationWriter(NamedTuple):
    """Writes the records of an evaluation: to standard output with --json, and to the report."""

    stdout: TextIO
    as_json: bool = False
    report_writer: ReportWriter | None = None

    def write(self, records: Sequence[Record]) -> None:
        """Write records, and print the errors among them."""
        for each in records:
            if isinstance(each, Unexplained):
                print_error(f"{each.source}: {each.error}", each.hint, each.source)
            if self.as_json:
                self.stdout.write(json_line(each.to_dict()) + "\n")
        if self.as_json:
            self.stdout.flush()
        if self.report_writer:
            self.report_writer.write(*map(_report_record, records))


def _report_record(each: Record) -> dict[str, Any]:
    """Return a record with the file names of its pictures."""
    return {**each.to_dict(), **({"report": each.report} if isinstance(each, MetricRow) and each.report else {})}


def print_tables(results: EvaluationResults, stdout: TextIO) -> None:
    """Print the maps by each metric, the sanity check if it was run, and what to conclude from the metrics."""
    if not results.rows:
        return
    for name, ranking in results.ranking.by_metric.items():
        stdout.write(f"{name} ({METRICS[name].direction} is better)\n")
        write_table(_ranking_rows(results.ranking, ranking, METRICS[name]), stdout, as_json=False)
        stdout.write("\n")
    if results.steps:
        write_table(_sanity_rows(results.steps), stdout, as_json=False)
        for name in results.insensitive_methods:
            stdout.write(f"{name} is insensitive: its maps do not depend on the trained weights\n")
        stdout.write("\n")
    for line in conclusions(results):
        lines = wrap(escape_control_chars(line), LINE_WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        stdout.write("\n".join(lines) + "\n")


def _ranking_rows(ranking: Ranking, metric: MetricRanking, described: Metric) -> list[dict[str, Any]]:
    """Return one row per map, the best mean first; maps without a mean come last."""
    sign = -1 if described.higher_is_better else 1
    order = sorted(range(len(ranking.maps)), key=lambda i: (metric.means[i].mean is None, _sort_value(metric, i, sign)))
    means = [format_number(metric.means[i].mean) for i in order]
    width = max(map(len, means))
    return [
        {
            "rank": str(metric.means[i].rank or "-").rjust(4),
            "map": ranking.labels[i] + (" (baseline)" if ranking.maps[i].baseline else ""),
            "mean": mean.rjust(width),
            "95 % interval": format_interval(metric.means[i].interval),
            "mosaics" if described.uses_mosaics else "images": metric.means[i].images,
        }
        for i, mean in zip(order, means, strict=True)
    ]


def _sort_value(metric: MetricRanking, i: int, sign: int) -> tuple[int, float]:
    return metric.means[i].rank or 0, sign * (metric.means[i].mean or 0)


def conclusions(results: EvaluationResults) -> Iterator[str]:
    """Yield the last lines: missing values, mosaics, agreement of metrics, and methods not better than a baseline."""
    yield from results.undefined_messages
    if results.mosaics:
        yield str(results.mosaics)
    counts = {"images": results.num_images, "mosaics": results.mosaics.mosaics if results.mosaics else 0}
    for noun, count in counts.items():
        if 0 < count < MIN_IMAGES:
            yield f"fewer than {MIN_IMAGES} {noun}: no intervals and no ranks"
    yield from results.agreement.lines()
    yield from baseline_lines(results.below_baselines)


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
    messages = failed_messages(results.threshold_results)
    for message in messages:
        print_failed_threshold(message)
    return 3 if not results.rows else 4 if messages else 1 if results.failures else 0
