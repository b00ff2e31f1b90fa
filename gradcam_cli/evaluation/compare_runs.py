"""The comparison of the saved maps of two directories."""

from __future__ import annotations

from pathlib import Path

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.evaluation.comparison import Comparison
from gradcam_cli.evaluation.drift import DamagedMap, MapChange, compare_maps
from gradcam_cli.evaluation.saved_truth import SavedTruth
from gradcam_cli.models.catalog import catalog, find_spec, is_model_path
from gradcam_cli.near_matches import did_you_mean, near_file
from gradcam_cli.pipeline.saved import find_saved_maps, load_saved_map
from gradcam_cli.storage.paths import as_path, is_url


def results_directory(new: str, name: str) -> Path | None:
    """Return the directory of the second run, or None if it is a model.

    Args:
        new: a directory, the name of a model, or its file.
        name: of the argument.

    Raises:
        UsageError: it is none of these.
    """
    if is_url(new) or Path(new).is_dir():
        return as_path(new)
    if not (is_model_path(new) or find_spec(new)):
        hint = near_file(new) or did_you_mean(new, catalog()) or "list models with: gradcam models"
        raise UsageError(f"{name} {new}: expected a directory of results or a model", hint)
    return None


def compare_runs(before: Path, after: Path, truth: SavedTruth | None = None) -> Comparison:
    """Compare the saved maps of two directories.

    Args:
        before: the first directory.
        after: the second directory.
        truth: the true classes, or None for those that the maps carry.

    Raises:
        InputError: a directory has no maps, no file name occurs in both, or all maps are damaged.
        UsageError: two maps cannot be compared.
    """
    paths_before, paths_after = find_saved_maps(before), find_saved_maps(after)
    common = sorted(paths_before.keys() & paths_after.keys())
    if not common:
        raise InputError(
            f"{before} and {after} have no result in common: expected files of the same names",
            f"for example {next(iter(paths_before))} and {next(iter(paths_after))}",
        )
    changes: list[MapChange] = []
    damaged: list[DamagedMap] = []
    for name in common:
        try:
            maps = [load_saved_map(paths[name]) for paths in (paths_before, paths_after)]
        except InputError as error:
            damaged.append(DamagedMap(name, error.message, error.hint))
            continue
        if truth:
            maps = [each._replace(metadata={**each.metadata, "truth": truth.judge(each.metadata)}) for each in maps]
        changes.append(compare_maps(name, *maps))
    if not changes:
        raise InputError(damaged[0].error, damaged[0].hint)
    return Comparison(before, after, changes, sorted(paths_before.keys() ^ paths_after.keys()), damaged)
