"""Checks that a saved model can contain f, with all its variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.dynamics import tensorflow_variables
from gradcam_cli.neuralode.solver.layer_checks import require_deterministic


def validate_function(f: Any) -> None:
    """Check that a saved model can contain f.

    Raises:
        UsageError: f is neither a layer nor a registered function, or not deterministic.
    """
    if isinstance(f, keras.Layer):
        require_deterministic(f)
    elif not callable(f) or keras.saving.get_registered_object(keras.saving.get_registered_name(f)) is not f:
        raise UsageError(
            f"f: expected a Keras layer or a registered function, got {getattr(f, '__name__', type(f).__name__)}",
            "make it a layer, or use @keras.saving.register_keras_serializable(); odeint accepts any function",
        )


def require_tracked(f: Any, variables: Sequence[Any]) -> None:
    """Check that Keras trains and saves all variables that f reads.

    Raises:
        UsageError: f is a function that reads variables, or a layer with variables that are not among its weights.
    """
    weights = f.variables if isinstance(f, keras.Layer) else []
    tracked = {id(x) for weight in weights for x in tensorflow_variables(weight)}
    for variable in variables:
        if id(variable) not in tracked:
            raise UsageError(
                f"f reads the variable {variable.name.removesuffix(':0')}, which is not among the weights of a layer f",
                "create it with add_weight in a Keras layer: otherwise it is neither trained nor saved",
            )
