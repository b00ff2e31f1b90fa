"""Reproducible sums in TensorFlow's graphs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

OPTION = "arithmetic_optimization"


@contextlib.contextmanager
def reproducible_sums() -> Iterator[None]:
    """Keep the order of the sums in all graphs that run in the block.

    TensorFlow's graph optimizer reorders sums by the names of their operations. The names differ from trace to trace,
    so that a resumed training would differ from an uninterrupted one in the last bit.
    """
    before = tf.config.optimizer.get_experimental_options().get(OPTION, True)
    tf.config.optimizer.set_experimental_options({OPTION: False})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({OPTION: before})
