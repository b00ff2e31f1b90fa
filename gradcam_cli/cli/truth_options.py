"""The options `--truth` and `--only`, and their checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from gradcam_cli.cli.click_extensions import combine_options, option_group
from gradcam_cli.cli.completion import complete_classes
from gradcam_cli.errors import UsageError
from gradcam_cli.models.class_selection import TRUTH, expand_top_n
from gradcam_cli.models.truth import TruthSource
from gradcam_cli.output.destination import DIFFERENCE, Destination
from gradcam_cli.pipeline.differences import TOP
from gradcam_cli.pipeline.truth import requested_truth, require_expect_alone

_truth = option_group("Truth")


def truth_option(use: str) -> Callable[..., Any]:
    """Return the option `--truth`, whose help ends with what the command does with true classes."""
    text = "True class of each image: the name of its folder, or a table with the columns image and class."
    return _truth("--truth", metavar="parent|FILE.csv", help=f"{text} {use}")


truth_options = combine_options(
    truth_option("Results are then right, wrong or unknown, and --class truth explains the true class."),
    _truth(
        "--only",
        type=click.Choice(["right", "wrong"]),
        help="Compute maps only of the images whose prediction is right, or wrong; the others are counted.",
    ),
    _truth(
        "--expect",
        metavar="CLASS",
        shell_complete=complete_classes,
        help="Class that was expected in the place of the predicted one: writes a picture of the maps of both and of "
        "their difference, and one JSON line. Index or name.",
    ),
)


def use_expected_class(options: dict[str, Any]) -> None:
    """Set what `--expect` stands for: the maps of the predicted and of the expected class, and their difference.

    Raises:
        UsageError: another option selects the classes.
    """
    if options["expect"] is None:
        return
    require_expect_alone(options["truth"], has_classes=options["classes"] != ("top",))
    options["classes"] = (TOP, TRUTH)
    options["kinds"] = options["kinds"] or (DIFFERENCE,)


def truth_of(options: dict[str, Any], destination: Destination) -> TruthSource | None:
    """Return the true classes that the options name, or None.

    Raises:
        UsageError: the table is invalid, or an option requires --truth or the classes top and truth.
    """
    given, only, expected = options["truth"], options["only"], options["expect"]
    if only and not (given or expected is not None):
        raise UsageError(f"--only {only} requires --truth", "give --truth parent or --truth FILE.csv")
    truth = requested_truth(given, expected, options["target"])
    if expected is not None:
        return truth
    classes = expand_top_n(options["classes"])
    if DIFFERENCE in destination.artifact_kinds and not (given and TOP in classes and TRUTH in classes):
        raise UsageError(
            "--save difference requires the maps of the predicted and of the true class",
            "add --truth parent --class top --class truth",
        )
    return truth
