"""From options to a classifier and a request. Imports TensorFlow when called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcam_cli.models.classifier import Classifier
    from gradcam_cli.pipeline.config import ExplainConfig


def load_classifier(options: dict[str, Any]) -> Classifier:
    """Load the model that the options name."""
    from gradcam_cli.models.classifier import load_model

    return load_model(
        options["model"],
        weights=options["weights"],
        labels=options["labels"],
        preprocess=options["preprocess"],
        input_size=options["input_size"],
        allow_unsafe=options["allow_unsafe_model"],
        offline=options["offline"],
    )


def config_from_options(options: dict[str, Any], **overrides: Any) -> ExplainConfig:
    """Return the request whose fields have the options' names, each value once; `overrides` goes before them."""
    from gradcam_cli.pipeline.config import ExplainConfig

    asked = {name: options[name] for name in ExplainConfig.__dataclass_fields__ if options.get(name) is not None}
    once = {name: list(dict.fromkeys(value)) if isinstance(value, tuple) else value for name, value in asked.items()}
    return ExplainConfig(**{**once, **overrides})
