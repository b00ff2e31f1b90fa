"""True classes of saved maps: those that the maps carry, or those of `gradcam compare --truth`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradcam_cli.errors import UsageError
from gradcam_cli.models.catalog import find_spec
from gradcam_cli.models.class_selection import find_exact_class
from gradcam_cli.models.labels import Labels, find_labels, spec_labels
from gradcam_cli.models.truth import TruthSource
from gradcam_cli.pipeline.differences import TOP


@dataclass(frozen=True)
class SavedTruth:
    """Compares the predictions of saved maps with true classes.

    Attributes:
        source: the true classes.
        labels: the class names of the models, or None for those of the catalog model that the maps name.
    """

    source: TruthSource
    labels: Labels | None = None

    def judge(self, metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the JSON object of an image's true class and prediction, as `Truth.to_json`; some values are null.

        Args:
            metadata: of one of its maps. The prediction is saved with it, or is the class of a map of `top`.

        Returns:
            The object, or None if the prediction is not saved.

        Raises:
            UsageError: the names of the classes are unknown.
        """
        label, saved = self.source.label(metadata["input"]), metadata.get("truth")
        if saved and saved.get("label") == label:
            return dict(saved)
        predicted = _prediction(metadata)
        if predicted is None:
            return None
        truth = dict.fromkeys(("class_index", "class_name", "probability", "rank", "right", "unknown"))
        truth |= {"label": label, **predicted}
        if label is None:
            return {**truth, "unknown": "it has no row in the table, or no folder"}
        labels = self._labels_of(metadata)
        try:
            index = find_exact_class(label, labels, len(labels.names))
        except UsageError as error:
            return {**truth, "unknown": error.message}
        right = index == predicted["predicted_index"]
        return {**truth, "class_index": index, "class_name": labels.name(index), "right": right}

    def _labels_of(self, metadata: Mapping[str, Any]) -> Labels:
        spec = find_spec(str(metadata.get("model")))
        if self.labels and self.labels.names:
            return self.labels
        if spec is None:
            raise UsageError(
                f"--truth: the class names of model {metadata.get('model')} are not known",
                "give --labels FILE, or run gradcam with --truth",
            )
        return spec_labels(spec)


def saved_truth(source: TruthSource | None, labels: str | os.PathLike[str] | Sequence[str] | None) -> SavedTruth | None:
    """Return the true classes of saved maps, or None for those that the maps carry.

    Raises:
        UsageError: the file of the class names cannot be read.
    """
    names = find_labels(labels, None) if labels else None
    return SavedTruth(source, names) if source else None


def truth_in_records(records: Iterable[Mapping[str, Any]]) -> TruthSource | None:
    """Return the true classes that the metadata of saved maps contain, or None without any."""
    labels = {record["input"]: record["truth"]["label"] for record in records if record.get("truth")}
    rows = tuple((image, label) for image, label in labels.items() if label is not None)
    return TruthSource("the baseline", rows) if labels else None


def _prediction(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    saved = metadata.get("truth")
    if saved:
        return {key: saved.get(key) for key in ("predicted_index", "predicted_name")}
    if metadata.get("requested_class") == TOP:
        return {"predicted_index": metadata["class_index"], "predicted_name": metadata["class_name"]}
    return None
