"""`gradcam neuralode evaluate`: accuracy of a trained classifier, also with other solvers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, option_group
from gradcam_cli.cli.model_options import trust_options
from gradcam_cli.cli.neuralode.options import (
    FILE,
    canvas_option,
    canvas_seed_option,
    data_config,
    data_option,
    setup,
    size_option,
)
from gradcam_cli.cli.options import general_options
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import log
from gradcam_cli.output.destination import FIGURE_SUFFIXES, format_for_suffix, require_suffix
from gradcam_cli.output.numbers import format_number

if TYPE_CHECKING:
    from gradcam_cli.neuralode.training.solver_check import SolverResult

_output = option_group("Output")

EPILOG = """\
Examples:
  gradcam neuralode evaluate mnist.keras --data mnist --confusion confusion.png
  gradcam neuralode evaluate mnist.keras --data mnist --json
"""


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Evaluate a classifier on test images.")
@click.argument("model", metavar="FILE.keras", type=click.Path(path_type=Path))
@data_option
@size_option
@canvas_option
@canvas_seed_option
@trust_options
@_output(
    "--confusion",
    metavar="FILE",
    type=FILE,
    help="Write a figure of the confusion matrix, PNG or JPEG.",
)
@_output("--no-solver-check", is_flag=True, help="Do not evaluate with other solvers.")
@general_options
@click.pass_context
def evaluate(ctx: click.Context, /, **options: Any) -> None:
    """Evaluate a classifier of `gradcam neuralode train` on the test images.

    The output contains the loss, the accuracy, the recall and precision of each class, and the number of function
    evaluations. It also contains the accuracy with other solvers. If it differs by more than half a percentage
    point, the network depends on its solver and is not an ODE.
    """
    require_suffix("--confusion", options["confusion"], FIGURE_SUFFIXES)
    stdout = setup(ctx, options)
    log.info("loading %s", options["model"])
    from gradcam_cli.neuralode.training.class_balance import (
        chance_accuracy,
        warn_of_chance_accuracy,
        warn_of_missing_test_images,
    )
    from gradcam_cli.neuralode.training.evaluate import per_class_rows
    from gradcam_cli.neuralode.training.files import check_outputs
    from gradcam_cli.neuralode.training.plots import plot_confusion
    from gradcam_cli.neuralode.training.run import evaluate_file
    from gradcam_cli.output.figure_files import encode_figure
    from gradcam_cli.storage.files import write_output

    check_outputs({"--confusion": options["confusion"]})
    labels, y, predictions, solvers = evaluate_file(
        options["model"],
        data_config(options),
        allow_unsafe=options["allow_unsafe"],
        packages=options["packages"],
        check_solvers=not options["no_solver_check"],
    )
    confusion = predictions.confusion(y)
    if options["confusion"]:
        figure = plot_confusion(confusion, labels)
        write_output(options["confusion"], encode_figure(figure, format_for_suffix(options["confusion"])))
    record = {
        "model": str(options["model"]),
        "test_accuracy": predictions.accuracy(y),
        "chance_accuracy": chance_accuracy(y),
        "test_loss": predictions.loss,
        "images": len(y),
        "nfe_forward": solvers[0].nfe if solvers else None,
    }
    classes = per_class_rows(confusion, labels)
    if options["as_json"]:
        details = {
            "classes": classes,
            "confusion": confusion.tolist(),
            "solvers": [result._asdict() for result in solvers],
        }
        write_table([{**record, **details}], stdout, as_json=True)
    else:
        _write_tables(record, classes, solvers, stdout)
    warn_of_chance_accuracy(predictions.accuracy(y), y)
    warn_of_missing_test_images(y, labels)
    for result in solvers:
        if result.is_solver_dependent:
            _warn_of_solver_dependence(result)


def _write_tables(
    record: dict[str, Any], classes: Sequence[dict[str, Any]], solvers: Sequence[SolverResult], stdout: TextIO
) -> None:
    tables = [[_rounded(record, "test_accuracy", "chance_accuracy", "test_loss")]]
    tables.append([_rounded(row, "recall", "precision") for row in classes])
    if solvers:
        tables.append([_solver_row(result) for result in solvers])
    for number, table in enumerate(tables):
        stdout.write("\n" if number else "")
        write_table(table, stdout, as_json=False)


def _rounded(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {**row, **{name: format_number(row[name], ".4f") for name in names}}


def _solver_row(result: SolverResult) -> dict[str, Any]:
    return {
        "solver": result.solver,
        "tol": format_number(result.tol, "g"),
        "steps": result.steps,
        "as trained": result.as_trained,
        "accuracy": format_number(result.accuracy, ".4f"),
        "accuracy change": f"{100 * result.accuracy_change:+.2f} points",
        "nfe": format_number(result.nfe, ".1f"),
    }


def _warn_of_solver_dependence(result: SolverResult) -> None:
    setting = f"{result.steps} steps" if result.steps else f"tolerance {result.tol:g}"
    log.warning(
        "the accuracy changes by %+.2f points with %s, %s: the network depends on its solver; train it with a smaller "
        "tolerance",
        100 * result.accuracy_change,
        result.solver,
        setting,
    )
