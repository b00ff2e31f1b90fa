"""One run of `gradcam evaluate`: photos in, measurements out. Importing it imports TensorFlow."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from gradcam_cli.cli.model_options import explain_config, load_classifier
from gradcam_cli.cli.signals import raise_if_interrupted
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import log, print_error, progress
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation import sanity_check
from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.evaluate import EvaluationConfig, EvaluationItem, Evaluator
from gradcam_cli.evaluation.export import write_csv, write_junit, write_plots
from gradcam_cli.evaluation.jobs import EvaluationTask, plan_tasks
from gradcam_cli.evaluation.metrics.summary import WITHOUT_RELU, MetricRow, SanityStep, insensitive_methods, summarize
from gradcam_cli.images.load import Unexplained, load_image
from gradcam_cli.images.source import Source
from gradcam_cli.methods.registry import INPUT_LAYER, names_of_kind
from gradcam_cli.pipeline.json_lines import SCHEMA_VERSION, map_summary, predictions
from gradcam_cli.pipeline.parallel import available_cpus
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun, prepare_run
from gradcam_cli.pipeline.stages import ModelInput, to_model_input

if TYPE_CHECKING:
    from gradcam_cli.report.image_store import ReportImages
    from gradcam_cli.report.writer import ReportWriter


@dataclass
class EvaluationResults:
    """All that is known at the end of a run.

    Attributes:
        metrics: that were measured.
        rows: of all photos.
        failed: inputs that could not be measured.
        steps: of the sanity check.
        threshold_results: sentences, one a limit.
    """

    metrics: Sequence[str]
    rows: list[MetricRow] = field(default_factory=list)
    failed: list[Unexplained] = field(default_factory=list)
    steps: list[SanityStep] = field(default_factory=list)
    threshold_results: dict[str, str | None] = field(default_factory=dict)

    @property
    def mean_metrics(self) -> list[dict[str, Any]]:
        """The mean of each metric for every map."""
        return summarize(self.rows, self.metrics)

    @property
    def insensitive_methods(self) -> list[tuple[str, str]]:
        """(layer, method) of maps that do not show what the network learnt."""
        return insensitive_methods(self.steps)


def run_evaluation(
    options: dict[str, Any],
    sources: Sequence[Source],
    annotations: Sequence[Annotation] | None,
    stdout: TextIO,
    report_writer: ReportWriter | None = None,
) -> int:
    """Measure, tell, write, and return the exit status."""
    classifier = load_classifier(options)
    jobs = plan_tasks(options, sources, annotations, classifier)
    baselines = [name for name in names_of_kind("baseline") if name != "uniform" or annotations is not None]
    methods = list(dict.fromkeys([*options["methods"], *baselines]))
    asked = "top" if annotations is not None else options["class_"] or "top"
    run = prepare_run(classifier, explain_config(options, methods=methods, classes=(asked,), top_k=5))
    if len(run.classes) > 1:
        raise UsageError(f"--class {asked}: expected one class, got {len(run.classes)}", "name a class or an index")
    findings = EvaluationResults(options["metrics"])
    telling = EvaluationWriter(stdout, options["as_json"], report_writer)
    measure(run, options, jobs, findings, telling)
    if options["sanity"] and findings.rows:
        run_sanity_check(
            prepare_run(classifier, explain_config(options, classes=(asked,))), options, jobs, findings, telling
        )
    findings.threshold_results = failed_thresholds(findings.mean_metrics, options)
    if report_writer:
        report_writer.end_record["threshold_results"] = findings.threshold_results
    print_summary(findings, options, stdout)
    write_files(findings, options)
    for message in filter(None, findings.threshold_results.values()):
        log.error("%s", message)
    return 3 if not findings.rows else 4 if any(findings.threshold_results.values()) else 1 if findings.failed else 0


class EvaluationWriter(NamedTuple):
    """Who is told of results as soon as they are known: standard output, where JSON is wanted, and the report."""

    stdout: TextIO
    as_json: bool = False
    report_writer: ReportWriter | None = None

    def write(self, records: Sequence[dict[str, Any]]) -> None:
        """Tell the lines of an input."""
        if self.as_json:
            print_json([{key: value for key, value in one.items() if key != "report"} for one in records], self.stdout)
        for record in records if self.report_writer else ():
            self.report_writer.write(record)  # type: ignore[union-attr]


def measure(
    run: PreparedRun,
    options: dict[str, Any],
    tasks: Sequence[EvaluationTask],
    results: EvaluationResults,
    writer: EvaluationWriter,
) -> None:
    """Measure the maps of all jobs, and tell what is found line by line."""
    names = {name for name in EvaluationConfig.__dataclass_fields__ if name in options}
    protocol = EvaluationConfig(**{name: options[name] for name in names})
    items = (
        EvaluationItem(load_image(job.source, options["max_pixels"]), job.classes, job.annotations) for job in tasks
    )
    with progress("evaluating", len(tasks)) as advance:
        draw = partial(_render_images, writer.report_writer.images) if writer.report_writer else None
        for found in Evaluator(run, protocol, draw).evaluate(items, options["threads"] or available_cpus()):
            if isinstance(found, Unexplained):
                results.failed.append(found)
                print_error(f"{found.source}: {found.error}", found.hint)
                lines = [{"status": "failed", "input": found.source, "error": found.error, "hint": found.hint}]
            else:
                results.rows += found
                lines = [row_to_json(row) for row in found]
            writer.write(lines)
            advance(1)
            raise_if_interrupted()


def _render_images(report_images: ReportImages, explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
    """Draw the maps of a photo; return what a report shows of each and its line does not tell."""
    return [
        {**pictures, "map": map_summary(one), "predictions": predictions(one)}
        for one, pictures in zip(explanations, report_images.draw(explanations), strict=True)
    ]


def run_sanity_check(
    run: PreparedRun,
    options: dict[str, Any],
    tasks: Sequence[EvaluationTask],
    results: EvaluationResults,
    writer: EvaluationWriter,
) -> None:
    """Make the network random on the first photos, and compare."""
    steps = sanity_check.check_sanity(run, list(_first_inputs(run, options, tasks)), options["seed"])
    with progress("sanity check", None) as advance:
        for step in steps:
            results.steps.append(step)
            writer.write([{"status": "sanity", **step._asdict()}])
            advance(1)
            raise_if_interrupted()


def _first_inputs(run: PreparedRun, options: dict[str, Any], tasks: Sequence[EvaluationTask]) -> Iterator[ModelInput]:
    count = 0
    for job in tasks:
        seen = to_model_input(run, load_image(job.source, options["max_pixels"]))
        if isinstance(seen, ModelInput):
            yield seen._replace(classes=job.classes[:1] if job.classes else None)
            count += 1
        if count == options["sanity_photos"]:
            return


def failed_thresholds(mean_metrics: Sequence[dict[str, Any]], options: dict[str, Any]) -> dict[str, str | None]:
    """Return for every limit what missed it, or None; baselines and maps without ReLU are not held to it."""
    held = [mean for mean in mean_metrics if not mean["baseline"] and not mean["method"].endswith(WITHOUT_RELU)]
    missed: dict[str, str | None] = {}
    for option, words, limits in (
        ("--fail-under", "at least", options["least"]),
        ("--fail-over", "at most", options["most"]),
    ):
        for name, limit in limits:
            over = option == "--fail-over"
            bad = [mean for mean in held if mean[name] is None or (mean[name] > limit if over else mean[name] < limit)]
            got = ", ".join(f"{_format_number(mean[name])} ({mean['method']} at {mean['layer']})" for mean in bad)
            missed[f"{option} {name}={limit:g}"] = f"{name}: expected {words} {limit:g}, got {got}" if bad else None
    return missed


def row_to_json(row: MetricRow) -> dict[str, Any]:
    """Return the JSON object of a row."""
    own = {"method": row.method, "baseline": row.baseline, "metrics": row.values, "curves": row.curves}
    return {"status": "ok", **row.metadata, **own, **({"report": row.report} if row.report else {})}


def print_json(lines: Sequence[dict[str, Any]], stdout: TextIO) -> None:
    """Write JSON lines."""
    for line in lines:
        stdout.write(json.dumps({"schema_version": SCHEMA_VERSION, **line}, allow_nan=False) + "\n")
    stdout.flush()


def print_summary(results: EvaluationResults, options: dict[str, Any], stdout: TextIO) -> None:
    """Print the means, and what the sanity check found."""
    if options["as_json"]:
        summary = {
            "status": "summary",
            "photos": len({row.metadata["input"] for row in results.rows}),
            "failed": len(results.failed),
            "means": results.mean_metrics,
            "insensitive": [f"{method} at {layer}" for layer, method in results.insensitive_methods],
            "missed": [message for message in results.threshold_results.values() if message],
        }
        print_json([summary], stdout)
        return
    if results.rows:
        write_table([_table_row(mean, results) for mean in results.mean_metrics], stdout, as_json=False)
    if results.steps:
        stdout.write("\n")
        write_table(_sanity_rows(results.steps), stdout, as_json=False)
        for layer, method in results.insensitive_methods:
            stdout.write(f"{method} at {layer} does not change: it does not show what the network learnt\n")


def _table_row(mean: dict[str, Any], results: EvaluationResults) -> dict[str, Any]:
    several = len({row.metadata["layer"] for row in results.rows if not row.baseline}) > 1
    name = mean["method"] + (" (baseline)" if mean["baseline"] else "")
    layer = {"layer": mean["layer"]} if several else {}
    return {
        "map": name,
        **layer,
        "maps": mean["maps"],
        **{name: _format_number(mean[name]) for name in results.metrics},
    }


def _format_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _sanity_rows(steps: Sequence[SanityStep]) -> list[dict[str, Any]]:
    """Return a row a step: rank correlation and structural similarity of every map."""
    several = len({step.layer for step in steps if step.layer != INPUT_LAYER}) > 1
    rows: dict[str, dict[str, Any]] = {}
    for step in steps:
        row = rows.setdefault(step.last_randomized_layer, {"random down to": step.last_randomized_layer})
        name = f"{step.method} at {step.layer}" if several and step.layer != INPUT_LAYER else step.method
        row[f"{name} rank"], row[f"{name} ssim"] = f"{step.rank:.3f}", f"{step.ssim:.3f}"
    return list(rows.values())


def write_files(results: EvaluationResults, options: dict[str, Any]) -> None:
    """Write what the options ask for."""
    if options["csv"]:
        write_csv(options["csv"], results.rows, results.metrics)
    if options["plots"] and results.rows:
        write_plots(options["plots"], results.rows, results.metrics, results.steps)
    if options["junit"]:
        write_junit(options["junit"], results.rows, results.failed, results.threshold_results)
    counts = Counter(ok=len({row.metadata["input"] for row in results.rows}), failed=len(results.failed))
    log.info(", ".join(f"{count} {status}" for status, count in counts.items() if count))
