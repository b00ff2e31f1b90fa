"""The ODEBlocks of a model."""

from __future__ import annotations

import keras

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.neuralode.layers.ode_block import ODEBlock


def ode_blocks(model: keras.Model) -> dict[str, ODEBlock]:
    """Return the ODEBlocks of a model and its nested models, by name."""
    return {layer.name: layer for layer in model._flatten_layers() if isinstance(layer, ODEBlock)}


def find_block(model: keras.Model, name: str | None = None) -> ODEBlock:
    """Return the ODEBlock of a model.

    Args:
        model: a Keras model.
        name: name of the block; required if the model has several.

    Raises:
        ModelError: the model has no ODEBlock.
        UsageError: no block has this name, or the name is missing and there are several blocks.
    """
    blocks = ode_blocks(model)
    if not blocks:
        raise ModelError(
            f"model {model.name} has no ODEBlock",
            "`gradcam neuralode train` and `gradcam neuralode spiral --save-model` write such models",
        )
    if name not in blocks and not (name is None and len(blocks) == 1):
        raise UsageError(f"--block: expected one of {', '.join(blocks)}, got {name or 'none'}")
    return blocks[name] if name else next(iter(blocks.values()))


def require_single_input(block: ODEBlock) -> None:
    """Check that a block maps a single tensor z, without further inputs.

    Raises:
        ModelError: it is a conditional ODE, or returns a trajectory.
    """
    if block.num_args or block.return_trajectory:
        kind = "further inputs" if block.num_args else "a trajectory as its output"
        raise ModelError(f"the ODEBlock {block.name} has {kind}: maps and flows require a block from z(t_0) to z(t_1)")
