"""Type aliases of the solver."""

from __future__ import annotations

import tensorflow as tf

Tensors = list[tf.Tensor]
"""The tensors of a state, flattened by `tf.nest.flatten`."""
