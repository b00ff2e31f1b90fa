"""Classes in `.h5` files of Keras 3, which name them without their modules.

Keras looks all of them up among its layers: an operation such as `x + 3` becomes the layer `Add`, and the layers of its
own applications are not found. The modules are added here, as `.keras` files have them.
"""

from __future__ import annotations

from typing import Any

from gradcam_cli.models.config_check import parts
from gradcam_cli.models.keras_names import ALLOWED

_OPERATIONS, _APPLICATIONS, _LAYERS = "keras.src.ops.", "keras.src.applications.", "keras.layers."


def add_modules(config: Any) -> Any:
    """Add the modules of operations, and of the layers of `keras.applications`, in place; return the configuration.

    An operation has no `trainable`, which all layers have. A name that stays unclear is left to Keras.
    """
    for part in parts(config):
        if isinstance(part, dict) and "inbound_nodes" in part and "module" not in part:
            name, own = part.get("class_name"), part.get("config")
            is_operation = isinstance(own, dict) and "name" in own and "trainable" not in own and name != "InputLayer"
            modules = _modules(str(name), _OPERATIONS if is_operation else _APPLICATIONS)
            if len(modules) == 1 and (is_operation or _LAYERS + str(name) not in ALLOWED):
                part |= {"module": modules[0], "registered_name": name}
    return config


def _modules(name: str, prefix: str) -> list[str]:
    return [path.rpartition(".")[0] for path in ALLOWED if path.startswith(prefix) and path.endswith(f".{name}")]
