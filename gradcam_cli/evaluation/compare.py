"""The function `compare` of the Python package, and the comparison with another model."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from gradcam_cli.console import ShowProgress, no_progress
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.compare_runs import compare_runs, results_directory
from gradcam_cli.evaluation.comparison import Comparison
from gradcam_cli.evaluation.reexplain import Records, load_records, reexplain
from gradcam_cli.evaluation.saved_truth import SavedTruth, saved_truth
from gradcam_cli.images.load import Unexplained
from gradcam_cli.keywords import python_function
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.models.truth import TruthSource, read_truth
from gradcam_cli.output.notebook_progress import show_in_notebook
from gradcam_cli.pipeline.api_options import LOAD_OPTIONS, classifier_of
from gradcam_cli.storage.paths import as_path


@python_function(*LOAD_OPTIONS)
def compare(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str] | keras.Model | Classifier,
    *,
    truth: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **options: Any,
) -> Comparison:
    """Measure how much the maps of two runs over the same images differ, as `gradcam compare` does.

    Args:
        before: directory of the first run: of `.npz` files, which `explanation.save` or `gradcam --save npz` wrote.
        after: directory of the second run, with files of the same names; or a model, as for `explain`, which explains
            the images of the first run with the same settings.
        truth: true classes of the images: `parent`, the names of their folders, or a table; None: those that the maps
            carry, if they do.
        progress: show the number of explained images in a notebook.
        **options: if `after` is a model, how it is loaded: keywords of `load_model`. Otherwise `labels`, the class
            names for `truth`.

    Returns:
        The comparison: `changes`, a `MapChange` for each map; `drifts`, the mean of each drift measure, 0 for equal
        maps; `check(max_drift=...)`, the limits that are exceeded; `save_grid`, `save_csv` and `save_junit`. Maps of a
        model are deleted with the comparison.

    Raises:
        InputError: a directory has no maps, no file name occurs in both, or all maps are damaged.
        UsageError: two maps have other layers, methods or settings, or an option value is wrong.
        ModelError, WeightsError: the model cannot be used.
        TypeError: a keyword does not exist.
    """
    source = read_truth(os.fspath(truth)) if truth is not None else None
    baseline = as_path(before)
    if isinstance(after, (str, os.PathLike)) and (directory := results_directory(os.fspath(after), "after")):
        if others := [name for name in options if name != "labels"]:
            raise UsageError(f"{', '.join(others)}: expected a model, got a directory of results")
        return compare_runs(baseline, directory, saved_truth(source, options.get("labels")))
    records = load_records(baseline)
    classifier = classifier_of(after, options)
    return compare_with_model(baseline, records, classifier, source, show=show_in_notebook(progress))


def compare_with_model(
    baseline: Path,
    records: Records,
    classifier: Classifier,
    truth: TruthSource | None = None,
    rerun_args: Sequence[str] | None = None,
    *,
    show: ShowProgress = no_progress,
    on_failure: Callable[[Unexplained], None] = lambda _: None,
) -> Comparison:
    """Explain the images of an earlier run with another model, and compare the maps.

    Args:
        baseline: directory of the earlier run.
        records: metadata of its maps, from `load_records`.
        classifier: the other model.
        truth: the true classes of the images; None for those of the earlier run.
        rerun_args: the options of the command that recompute the new maps, saved with them.
        show: shows the progress.
        on_failure: called with each image that has no new map.

    Raises:
        UsageError: the model has no such layer or class, or the records come from several runs.
        InputError: no image was explained.
    """
    files, failures = _TemporaryDirectory(), []
    with show("explaining", len({record["input"] for record in records.values()})) as advance:
        for result in reexplain(classifier, records, files.path, rerun_args, truth):
            if not isinstance(result, str):
                failures.append(result)
                on_failure(result)
            advance(1)
    comparison = compare_runs(baseline, files.path, SavedTruth(truth, classifier.labels) if truth else None)
    return replace(comparison, failures=tuple(failures), _files=files)


class _TemporaryDirectory:
    """A directory that is deleted with this object, or at the end of the process."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="gradcam-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
