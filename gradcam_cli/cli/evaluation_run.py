"""One run of `gradcam evaluate`: photos in, measurements out. Importing it imports TensorFlow."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from gradcam_cli.cli.model_options import load_classifier, request_of
from gradcam_cli.cli.signals import check_interrupts
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import log, progress, say_error
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation import sanity_check
from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.evaluate import Evaluation, Item, Protocol
from gradcam_cli.evaluation.export import write_csv, write_junit, write_plots
from gradcam_cli.evaluation.jobs import Job, plan_jobs
from gradcam_cli.evaluation.metrics.summary import WITHOUT_RELU, Row, Step, insensitive, summarise
from gradcam_cli.images.load import Unexplained, read_photo
from gradcam_cli.images.source import Source
from gradcam_cli.methods.registry import INPUT, names_of_kind
from gradcam_cli.pipeline.json_lines import SCHEMA_VERSION, map_numbers, predictions
from gradcam_cli.pipeline.parallel import cores
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import Run, prepare_run
from gradcam_cli.pipeline.stages import Seen, see

if TYPE_CHECKING:
    from gradcam_cli.report.image_store import Album
    from gradcam_cli.report.writer import Recorder


@dataclass
class Findings:
    """All that is known at the end of a run.

    Attributes:
        metrics: that were measured.
        rows: of all photos.
        failed: inputs that could not be measured.
        steps: of the sanity check.
        missed: sentences, one a limit.
    """

    metrics: Sequence[str]
    rows: list[Row] = field(default_factory=list)
    failed: list[Unexplained] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    missed: dict[str, str | None] = field(default_factory=dict)

    @property
    def means(self) -> list[dict[str, Any]]:
        """The mean of each metric for every map."""
        return summarise(self.rows, self.metrics)

    @property
    def insensitive(self) -> list[tuple[str, str]]:
        """(layer, method) of maps that do not show what the network learnt."""
        return insensitive(self.steps)


def run_evaluation(
    options: dict[str, Any],
    sources: Sequence[Source],
    annotations: Sequence[Annotation] | None,
    stdout: TextIO,
    recorder: Recorder | None = None,
) -> int:
    """Measure, tell, write, and return the exit status."""
    classifier = load_classifier(options)
    jobs = plan_jobs(options, sources, annotations, classifier)
    baselines = [name for name in names_of_kind("baseline") if name != "whole" or annotations is not None]
    methods = list(dict.fromkeys([*options["methods"], *baselines]))
    asked = "top" if annotations is not None else options["class_"] or "top"
    run = prepare_run(classifier, request_of(options, methods=methods, classes=(asked,), top=5))
    if len(run.classes) > 1:
        raise UsageError(f"--class {asked}: expected one class, got {len(run.classes)}", "name a class or an index")
    findings = Findings(options["metrics"])
    telling = Telling(stdout, options["as_json"], recorder)
    measure(run, options, jobs, findings, telling)
    if options["sanity"] and findings.rows:
        check_sanity(prepare_run(classifier, request_of(options, classes=(asked,))), options, jobs, findings, telling)
    findings.missed = limits_missed(findings.means, options)
    if recorder:
        recorder.end["limits"] = findings.missed
    tell(findings, options, stdout)
    write_files(findings, options)
    for message in filter(None, findings.missed.values()):
        log.error("%s", message)
    return 3 if not findings.rows else 4 if any(findings.missed.values()) else 1 if findings.failed else 0


class Telling(NamedTuple):
    """Who is told of results as soon as they are known: standard output, where JSON is wanted, and the report."""

    stdout: TextIO
    as_json: bool = False
    recorder: Recorder | None = None

    def lines(self, records: Sequence[dict[str, Any]]) -> None:
        """Tell the lines of an input."""
        if self.as_json:
            print_json([{key: value for key, value in one.items() if key != "report"} for one in records], self.stdout)
        for record in records if self.recorder else ():
            self.recorder.write(record)  # type: ignore[union-attr]


def measure(run: Run, options: dict[str, Any], jobs: Sequence[Job], findings: Findings, telling: Telling) -> None:
    """Measure the maps of all jobs, and tell what is found line by line."""
    names = {name for name in Protocol.__dataclass_fields__ if name in options}
    protocol = Protocol(**{name: options[name] for name in names})
    items = (Item(read_photo(job.source, options["max_pixels"]), job.classes, job.annotations) for job in jobs)
    with progress("evaluating", len(jobs)) as advance:
        draw = partial(_pictured, telling.recorder.album) if telling.recorder else None
        for found in Evaluation(run, protocol, draw).rows(items, options["workers"] or cores()):
            if isinstance(found, Unexplained):
                findings.failed.append(found)
                say_error(f"{found.source}: {found.error}", found.hint)
                lines = [{"status": "failed", "input": found.source, "error": found.error, "hint": found.hint}]
            else:
                findings.rows += found
                lines = [line_of(row) for row in found]
            telling.lines(lines)
            advance(1)
            check_interrupts()


def _pictured(album: Album, explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
    """Draw the maps of a photo; return what a report shows of each and its line does not tell."""
    return [
        {**pictures, "map": map_numbers(one), "top": predictions(one)}
        for one, pictures in zip(explanations, album.draw(explanations), strict=True)
    ]


def check_sanity(run: Run, options: dict[str, Any], jobs: Sequence[Job], findings: Findings, telling: Telling) -> None:
    """Make the network random on the first photos, and compare."""
    steps = sanity_check.check_sanity(run, list(_first_seen(run, options, jobs)), options["seed"])
    with progress("sanity check", None) as advance:
        for step in steps:
            findings.steps.append(step)
            telling.lines([{"status": "sanity", **step._asdict()}])
            advance(1)
            check_interrupts()


def _first_seen(run: Run, options: dict[str, Any], jobs: Sequence[Job]) -> Iterator[Seen]:
    count = 0
    for job in jobs:
        seen = see(run, read_photo(job.source, options["max_pixels"]))
        if isinstance(seen, Seen):
            yield seen._replace(classes=job.classes[:1] if job.classes else None)
            count += 1
        if count == options["sanity_photos"]:
            return


def limits_missed(means: Sequence[dict[str, Any]], options: dict[str, Any]) -> dict[str, str | None]:
    """Return for every limit what missed it, or None; baselines and maps without ReLU are not held to it."""
    held = [mean for mean in means if not mean["baseline"] and not mean["method"].endswith(WITHOUT_RELU)]
    missed: dict[str, str | None] = {}
    for option, words, limits in (
        ("--fail-under", "at least", options["least"]),
        ("--fail-over", "at most", options["most"]),
    ):
        for name, limit in limits:
            over = option == "--fail-over"
            bad = [mean for mean in held if mean[name] is None or (mean[name] > limit if over else mean[name] < limit)]
            got = ", ".join(f"{_shown(mean[name])} ({mean['method']} at {mean['layer']})" for mean in bad)
            missed[f"{option} {name}={limit:g}"] = f"{name}: expected {words} {limit:g}, got {got}" if bad else None
    return missed


def line_of(row: Row) -> dict[str, Any]:
    """Return the JSON object of a row."""
    own = {"method": row.method, "baseline": row.baseline, "metrics": row.values, "curves": row.curves}
    return {"status": "ok", **row.identity, **own, **({"report": row.report} if row.report else {})}


def print_json(lines: Sequence[dict[str, Any]], stdout: TextIO) -> None:
    """Write JSON lines."""
    for line in lines:
        stdout.write(json.dumps({"schema_version": SCHEMA_VERSION, **line}, allow_nan=False) + "\n")
    stdout.flush()


def tell(findings: Findings, options: dict[str, Any], stdout: TextIO) -> None:
    """Print the means, and what the sanity check found."""
    if options["as_json"]:
        summary = {
            "status": "summary",
            "photos": len({row.identity["input"] for row in findings.rows}),
            "failed": len(findings.failed),
            "means": findings.means,
            "insensitive": [f"{method} at {layer}" for layer, method in findings.insensitive],
            "missed": [message for message in findings.missed.values() if message],
        }
        print_json([summary], stdout)
        return
    if findings.rows:
        write_table([_table_row(mean, findings) for mean in findings.means], stdout, as_json=False)
    if findings.steps:
        stdout.write("\n")
        write_table(_sanity_rows(findings.steps), stdout, as_json=False)
        for layer, method in findings.insensitive:
            stdout.write(f"{method} at {layer} does not change: it does not show what the network learnt\n")


def _table_row(mean: dict[str, Any], findings: Findings) -> dict[str, Any]:
    several = len({row.identity["layer"] for row in findings.rows if not row.baseline}) > 1
    name = mean["method"] + (" (baseline)" if mean["baseline"] else "")
    layer = {"layer": mean["layer"]} if several else {}
    return {"map": name, **layer, "maps": mean["maps"], **{name: _shown(mean[name]) for name in findings.metrics}}


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _sanity_rows(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return a row a step: rank correlation and structural similarity of every map."""
    several = len({step.layer for step in steps if step.layer != INPUT}) > 1
    rows: dict[str, dict[str, Any]] = {}
    for step in steps:
        row = rows.setdefault(step.randomised, {"random down to": step.randomised})
        name = f"{step.method} at {step.layer}" if several and step.layer != INPUT else step.method
        row[f"{name} rank"], row[f"{name} ssim"] = f"{step.rank:.3f}", f"{step.ssim:.3f}"
    return list(rows.values())


def write_files(findings: Findings, options: dict[str, Any]) -> None:
    """Write what the options ask for."""
    if options["csv"]:
        write_csv(options["csv"], findings.rows, findings.metrics)
    if options["plots"] and findings.rows:
        write_plots(options["plots"], findings.rows, findings.metrics, findings.steps)
    if options["junit"]:
        write_junit(options["junit"], findings.rows, findings.failed, findings.missed)
    counts = Counter(ok=len({row.identity["input"] for row in findings.rows}), failed=len(findings.failed))
    log.info(", ".join(f"{count} {status}" for status, count in counts.items() if count))
