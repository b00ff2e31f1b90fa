"""The global settings of Keras while models are built, and their restoration."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import keras
from keras.src.backend.common import global_state

_lock = threading.RLock()
_ATTRIBUTES = ("safe_mode_saving", "custom_objects_scope_dict", "dtype_policy")
_SHARED = ("shared_objects/id_to_obj_map", "shared_objects/id_to_config_map")
_SETTINGS = {
    keras.config.set_floatx: (keras.config.floatx, "float32"),
    keras.config.set_epsilon: (keras.config.epsilon, 1e-7),
    keras.config.set_image_data_format: (keras.config.image_data_format, "channels_last"),
}


@contextlib.contextmanager
def default_settings() -> Iterator[None]:
    """Set Keras's defaults (float32, channels_last) in the block; restore all settings after it.

    Models are built in the block, whatever `keras.json` or the calling program has set. Only one thread at a time can
    be in the block.
    """
    with _lock:
        yield from _default_settings()


def _default_settings() -> Iterator[None]:
    settings = {write: read() for write, (read, _) in _SETTINGS.items()}
    attributes = {name: global_state.get_global_attribute(name) for name in (*_ATTRIBUTES, *_SHARED)}
    registry = keras.saving.get_custom_objects()
    registered = dict(registry)
    try:
        for write, (_, default) in _SETTINGS.items():
            write(default)
        keras.config.set_dtype_policy("float32")
        yield
    finally:
        for write, value in settings.items():
            write(value)
        for name, value in attributes.items():
            global_state.set_global_attribute(name, value)
        registry.clear()
        registry.update(registered)
