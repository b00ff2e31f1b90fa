"""The floating-point precision of the network: float32, bfloat16 or float16."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gradcam_cli.console import log
from gradcam_cli.errors import UsageError

PRECISIONS = ("float32", "auto", "bfloat16", "float16")

_GRAPH_OPTIMIZERS = {"bfloat16": "auto_mixed_precision_onednn_bfloat16", "float16": "auto_mixed_precision"}
"""TensorFlow's graph optimizers that convert convolutions and matrix products to 16 bits."""


def resolve_precision(requested: str) -> str:
    """Return the precision for a requested one; only `auto` differs.

    `auto` is bfloat16 on processors with bfloat16 instructions, and float32 elsewhere.

    Args:
        requested: a name in `PRECISIONS`.

    Raises:
        UsageError: the hardware does not support the precision; TensorFlow would silently use float32.
    """
    import tensorflow as tf

    gpu = bool(tf.config.list_physical_devices("GPU"))
    bfloat16 = not gpu and has_bfloat16()
    if requested == "auto":
        log.info("precision auto: %s", "bfloat16" if bfloat16 else "float32")
        return "bfloat16" if bfloat16 else "float32"
    if (requested == "bfloat16" and not bfloat16) or (requested == "float16" and not gpu):
        required = {"bfloat16": "a processor with AMX or AVX512 for bfloat16", "float16": "a GPU"}[requested]
        raise UsageError(
            f"--precision {requested} requires {required}", "--precision auto selects the fastest supported one"
        )
    return requested


def has_bfloat16() -> bool:
    """Return whether the processor has bfloat16 instructions; without them bfloat16 is slower than float32."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return "amx_bf16" in flags or "avx512_bf16" in flags


@contextlib.contextmanager
def precision_scope(precision: str) -> Iterator[None]:
    """Set TensorFlow's compute precision for this thread while the block runs.

    The option applies to all computations of the thread, so the block must contain only the network.
    """
    if precision == "float32":
        yield
        return
    import tensorflow as tf

    option = _GRAPH_OPTIMIZERS[precision]
    previous = tf.config.optimizer.get_experimental_options().get(option, False)
    tf.config.optimizer.set_experimental_options({option: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({option: previous})
