"""The type that the solver's modules share."""

from __future__ import annotations

import tensorflow as tf

Tensors = list[tf.Tensor]
"""The tensors of a state, in its flattened structure's order."""
