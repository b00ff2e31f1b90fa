"""Options that select a model, and the configurations built from options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import InputSize, ModelNameOrFile, PreprocessName, combine_options, option_group
from gradcam_cli.cli.completion import complete_files
from gradcam_cli.models.catalog import is_model_path
from gradcam_cli.network.task import TASKS
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig

if TYPE_CHECKING:
    from gradcam_cli.models.classifier import Classifier

_model = option_group("Model")
trust_options = combine_options(
    _model(
        "--import",
        "packages",
        metavar="PACKAGE",
        multiple=True,
        help="Import this installed package, and allow the classes that it registers with Keras in the model file; "
        "repeatable.",
    ),
    _model(
        "--allow-unsafe-model",
        "allow_unsafe",
        is_flag=True,
        help="Skip the check of the model's configuration, and run code that it contains.",
    ),
)
input_size_option = _model(
    "--input-size",
    type=InputSize(),
    help="Input size of a model with a variable input size: 224, or HEIGHTxWIDTH; signals: T; volumes, films: DxHxW.",
)
other_inputs_option = _model(
    "--other-inputs",
    metavar="zeros|FILE.npz|FILE.csv",
    shell_complete=complete_files,
    help="For a model with several inputs: the arrays of all but the image, by name; a row for each image; or zeros.",
)
labels_option = _model(
    "--labels",
    metavar="FILE",
    type=click.Path(),
    help="Class names: one per line, a JSON list, or a Keras class index.",
)
preprocess_option = _model(
    "--preprocess",
    metavar="NAME|mean=M,M,M",
    type=PreprocessName(),
    help="Preprocessing: none, 0..1, -1..1, the name of a Keras application, or an own mean and standard deviation: "
    "0..1,bgr,mean=0.5,std=0.2 (range, channel order, x-mean, /std). [default: detected]",
)
loading_options = combine_options(
    _model(
        "--weights",
        metavar="imagenet|FILE",
        shell_complete=complete_files,
        default="imagenet",
        show_default=True,
        help="Weight file; imagenet: from $GRADCAM_WEIGHTS or Keras's cache, downloaded if neither has it.",
    ),
    labels_option,
    preprocess_option,
    input_size_option,
    trust_options,
    _model(
        "--task",
        type=click.Choice(TASKS),
        default="auto",
        show_default=True,
        help="How a single linear output is read: as the logit of class 1, or as a value; auto: from the loss.",
    ),
    other_inputs_option,
    _model("--offline", is_flag=True, help="Never use the network."),
)
model_options = combine_options(
    _model(
        "-m",
        "--model",
        type=ModelNameOrFile(),
        default="vgg19",
        show_default=True,
        help="lite0 or mini (built in), the name of a Keras application, or a .keras or .h5 file.",
    ),
    loading_options,
)


def model_config(options: dict[str, Any]) -> ModelConfig:
    """Return the model that the options select."""
    return ModelConfig(**_fields_in(ModelConfig, options))


def rank_of_input(model: str) -> int:
    """Return the number of spatial axes of a model's input: of `--model`, as far as its file shows it, or 2."""
    if not is_model_path(model):
        return 2
    from gradcam_cli.models.peeked_input import peek_rank

    return peek_rank(model)


def load_classifier(options: dict[str, Any]) -> Classifier:
    """Load the model that the options select; imports TensorFlow."""
    from gradcam_cli.pipeline.run import load

    return load(model_config(options))


def explain_config(options: dict[str, Any], **overrides: Any) -> ExplainConfig:
    """Return the configuration of a run; repeated values count once, and `overrides` replace options."""
    values: dict[str, Any] = {**_fields_in(ExplainConfig, options), **overrides}
    return ExplainConfig(**{name: _unique(value) for name, value in values.items()})


def _unique(value: Any) -> Any:
    return list(dict.fromkeys(value)) if isinstance(value, tuple) else value


def _fields_in(config: Any, options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in config.__dataclass_fields__ if options.get(name) is not None}
