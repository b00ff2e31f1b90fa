"""What a map explains: a class or a group of classes, and those with which it is contrasted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gradcam_cli.errors import InputError
from gradcam_cli.pipeline.prediction import Prediction, prediction_of

if TYPE_CHECKING:
    from gradcam_cli.network.gradients import ForwardBackward
    from gradcam_cli.pipeline.run import PreparedRun


def explained_class(run: PreparedRun, result: ForwardBackward, i: int, c: int) -> Prediction:
    """Return what the map of an image explains.

    Args:
        run: the prepared run.
        result: of the batch.
        i: index of the image.
        c: number of the class in the run.

    Raises:
        InputError: the class is among those with which it is contrasted.
    """
    explained = _unit(run, result, i, int(result.classes[i, c]))
    if result.against is None:
        return explained
    against = tuple(_unit(run, result, i, int(unit)) for unit in result.against[i, c])
    for other in against:
        if _indices(other) & _indices(explained):
            raise InputError(
                f"--against {other.name or other.index}: the explained class of this image is {explained}",
                "explain another class, or use --against nearest",
            )
    return replace(explained, against=against)


def _unit(run: PreparedRun, result: ForwardBackward, i: int, unit: int) -> Prediction:
    """Return a class, or a group with its members."""
    found = prediction_of(result, i, run.classifier.labels, run.config.score, unit)
    group = next((each for each in [*run.classes, *run.against] if each.members and each.index_or_rank == unit), None)
    if group is None:
        return found
    members = tuple(_unit(run, result, i, member) for member in group.members)
    return replace(found, name=group.text, members=members)


def _indices(prediction: Prediction) -> set[int]:
    return {each.index for each in prediction.members or (prediction,)}
