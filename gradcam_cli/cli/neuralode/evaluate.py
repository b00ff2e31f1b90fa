"""`gradcam neuralode evaluate`: how well a trained classifier does, and whether it is an ODE."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, option_group
from gradcam_cli.cli.model_options import allow_unsafe_option
from gradcam_cli.cli.neuralode.options import canvas_option, data_option, seed_option, size_option
from gradcam_cli.cli.options import general_options, quiet_tensorflow, setup_logging
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import log
from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.output.destination import IMAGE_SUFFIXES, format_for_suffix

if TYPE_CHECKING:
    import numpy as np

    from gradcam_cli.neuralode.training.evaluate import Predictions
    from gradcam_cli.neuralode.training.solver_check import SolverResult

_output = option_group("Output")


EPILOG = """\
Examples:
  gradcam neuralode evaluate mnist.keras --data mnist --confusion confusion.png
  gradcam neuralode evaluate mnist.keras --data mnist --json
"""


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Measure a classifier on the test images.")
@click.argument("model", metavar="FILE.keras", type=click.Path(path_type=Path))
@data_option
@size_option
@canvas_option
@seed_option
@allow_unsafe_option
@_output(
    "--confusion",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Picture, PNG or JPEG: which class is taken for which.",
)
@_output("--one-solver", is_flag=True, help="Leave out the other solvers.")
@general_options
@click.pass_context
def evaluate(ctx: click.Context, /, **options: Any) -> None:
    """Measure a classifier that `gradcam neuralode train` made, on the test images.

    Its accuracy, each class's, how often f is evaluated, and its accuracy when the same equation is solved in other
    ways: one that moves by more than half a point was trained with steps too coarse to be an ODE.
    """
    picture = options["confusion"]
    if picture and picture.suffix.lower() not in IMAGE_SUFFIXES:
        raise UsageError(f"--confusion {picture}: expected a name ending in {', '.join(IMAGE_SUFFIXES)}")
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    stdout = sys.stdout
    log.info("loading %s", options["model"])
    quiet_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    from gradcam_cli.neuralode.training.plots import plot_confusion
    from gradcam_cli.output.figures import encode_figure
    from gradcam_cli.storage.files import write_output

    labels, y, score, ways = _evaluate_model(options)
    confusion = score.confusion(y)
    if picture:
        write_output(picture, encode_figure(plot_confusion(confusion, labels), format_for_suffix(picture)))
    classes = _per_class_rows(confusion, labels)
    record = {
        "model": str(options["model"]),
        "test_accuracy": score.accuracy(y),
        "test_loss": score.loss,
        "images": len(y),
        "forward_evaluations": ways[0].nfe if ways else None,
    }
    if options["as_json"]:
        more = {"classes": classes, "confusion": confusion.tolist(), "solvers": [way._asdict() for way in ways]}
        stdout.write(json.dumps({**record, **more}, allow_nan=False) + "\n")
    else:
        write_table(
            [{**record, "test_accuracy": f"{score.accuracy(y):.4f}", "test_loss": f"{score.loss:.4f}"}],
            stdout,
            as_json=False,
        )
        stdout.write("\n")
        write_table(
            [
                {**row, "recall": _format_fraction(row["recall"]), "precision": _format_fraction(row["precision"])}
                for row in classes
            ],
            stdout,
            as_json=False,
        )
        if ways:
            stdout.write("\n")
            write_table([_solver_row(way) for way in ways], stdout, as_json=False)
    _warn_if_solver_dependent(ways)


def _evaluate_model(options: dict[str, Any]) -> tuple[tuple[str, ...], np.ndarray, Predictions, list[SolverResult]]:
    """Load model and data, and return the classes, the truth, the scores, and how the other solvers do."""
    from gradcam_cli.models.loading import load_model_file
    from gradcam_cli.neuralode.layers.ode_block import ode_blocks
    from gradcam_cli.neuralode.layers.odenet import LabeledDense
    from gradcam_cli.neuralode.training.datasets import load_data, place_on_canvas
    from gradcam_cli.neuralode.training.evaluate import evaluate
    from gradcam_cli.neuralode.training.solver_check import evaluate_with_solvers

    model = load_model_file(options["model"], options["allow_unsafe"])
    if not isinstance(model.layers[-1], LabeledDense):
        raise ModelError(f"{options['model']}: expected a model of `gradcam neuralode train`, got another")
    data = load_data(options["data"], options["input_size"])
    if options["canvas"]:
        data, _ = place_on_canvas(data, options["canvas"], options["seed"])
    shape, labels = model.input_shape[1:], model.layers[-1].labels
    if data.x_test.shape[1:] != shape or len(data.labels) > len(labels):
        raise UsageError(
            f"--data {options['data']}: expected images {shape} of {len(labels)} classes, as the model was trained on, "
            f"got {data.x_test.shape[1:]} of {len(data.labels)}"
        )
    block = next(iter(ode_blocks(model).values()), None)
    x, y = data.x_test, data.y_test
    if block is None:
        return labels, y, evaluate(model, x, y), []
    score, ways = evaluate_with_solvers(model, block, x, y, *([()] if options["one_solver"] else []))
    return labels, y, score, ways


def _per_class_rows(confusion: np.ndarray, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = []
    for i, label in enumerate(labels):
        there, said, right = (int(x) for x in (confusion[i].sum(), confusion[:, i].sum(), confusion[i, i]))
        recall, precision = (right / count if count else None for count in (there, said))
        rows.append({"class": label, "images": there, "right": right, "recall": recall, "precision": precision})
    return rows


def _format_fraction(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _solver_row(result: SolverResult) -> dict[str, Any]:
    return {
        "solver": result.solver,
        "accuracy": f"{result.accuracy:.4f}",
        "moved": f"{100 * result.accuracy_change:+.2f} points",
        "evaluations": f"{result.nfe:.1f}",
    }


def _warn_if_solver_dependent(results: list[SolverResult]) -> None:
    """Say so if the network is not the ODE that it was trained as."""
    from gradcam_cli.neuralode.training.solver_check import MAX_ACCURACY_CHANGE, ONE_STEP_EULER

    for way in results:
        if abs(way.accuracy_change) > MAX_ACCURACY_CHANGE and way.solver != ONE_STEP_EULER:
            log.warning(
                "the accuracy moves by %.2f points under %s: the network learned its solver's steps more than an "
                "equation; train it with a smaller tolerance",
                100 * way.accuracy_change,
                way.solver,
            )
