"""Import of packages of the user's own, whose registered classes a model file may contain."""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection

import keras

from gradcam_cli.errors import UsageError
from gradcam_cli.models.config_check import registered_names


def import_packages(packages: Collection[str]) -> None:
    """Import packages, so that they register their classes with Keras.

    Only installed packages and those on `PYTHONPATH` are found; the working directory is not on the import path.

    Raises:
        UsageError: a name is no module name, the import fails, or the package registers no class.
    """
    for package in packages:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", package):
            raise UsageError(
                f"--import {package}: expected the name of a package, such as my_layers",
                "install the package, or add its directory to PYTHONPATH",
            )
        try:
            importlib.import_module(package)
        except Exception as error:  # the import runs the package's code
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(
                f"--import {package}: cannot import it: {reason}",
                "install the package, or add its directory to PYTHONPATH",
            ) from error
        if not registered_names(keras.saving.get_custom_objects(), [package]).allowed:
            raise UsageError(
                f"--import {package}: the package registers no class with Keras",
                "decorate its classes with @keras.saving.register_keras_serializable()",
            )
