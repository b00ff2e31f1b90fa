"""From options to a classifier and a request. Imports TensorFlow when called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcam_cli.models.classifier import Classifier
    from gradcam_cli.pipeline.config import Request


def load_classifier(options: dict[str, Any]) -> Classifier:
    """Load the model that the options name."""
    from gradcam_cli.models.classifier import load_model

    return load_model(
        options["model"],
        weights=options["weights"],
        labels=options["labels"],
        preprocessing=options["preprocess"],
        input_size=options["input_size"],
        allow_unsafe=options["allow_unsafe_model"],
        offline=options["offline"],
    )


def request_of(options: dict[str, Any], **own: Any) -> Request:
    """Return the request whose fields have the options' names, each value once; `own` goes before them."""
    from gradcam_cli.pipeline.config import Request

    asked = {name: options[name] for name in Request.__dataclass_fields__ if options.get(name) is not None}
    once = {name: list(dict.fromkeys(value)) if isinstance(value, tuple) else value for name, value in asked.items()}
    return Request(**{**once, **own})
