"""The numbers a network computes with: float32, or half of their bits where the hardware has them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gradcam_cli.console import log
from gradcam_cli.errors import UsageError

PRECISIONS = ("float32", "auto", "bfloat16", "float16")

_GRAPH_OPTIMIZERS = {"bfloat16": "auto_mixed_precision_onednn_bfloat16", "float16": "auto_mixed_precision"}
"""TensorFlow's graph optimizers that write convolutions and products anew in fewer bits."""


def resolve_precision(requested: str) -> str:
    """Return the precision that is used for the one that is asked for.

    `auto` is bfloat16 where the processor computes it in hardware, and float32 elsewhere.

    Args:
        requested: a name in `options.PRECISIONS`.

    Raises:
        UsageError: this machine has no hardware for it, so that TensorFlow would silently do without.
    """
    import tensorflow as tf

    gpu = bool(tf.config.list_physical_devices("GPU"))
    bfloat16 = not gpu and has_bfloat16()
    if requested == "auto":
        log.info("precision auto: %s", "bfloat16, in this processor's hardware" if bfloat16 else "float32")
        return "bfloat16" if bfloat16 else "float32"
    if (requested == "bfloat16" and not bfloat16) or (requested == "float16" and not gpu):
        needed = {"bfloat16": "a processor with AMX or AVX512 for bfloat16", "float16": "a GPU"}[requested]
        raise UsageError(
            f"--precision {requested}: expected {needed}, found none", "--precision auto takes the fastest there is"
        )
    return requested


def has_bfloat16() -> bool:
    """Tell whether this processor multiplies bfloat16 in hardware; elsewhere it is slower than float32."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return "amx_bf16" in flags or "avx512_bf16" in flags


@contextlib.contextmanager
def precision_scope(precision: str) -> Iterator[None]:
    """Let TensorFlow compute in a precision for as long as the block runs, in this thread.

    The option belongs to the process, not to a model: the block must hold nothing but the network.
    """
    if precision == "float32":
        yield
        return
    import tensorflow as tf

    option = _GRAPH_OPTIMIZERS[precision]
    before = tf.config.optimizer.get_experimental_options().get(option, False)
    tf.config.optimizer.set_experimental_options({option: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({option: before})
