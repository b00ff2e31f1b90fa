"""The import of TensorFlow by the command line, without the packages that neither it nor Keras needs."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType

from gradcam_cli.errors import UsageError

OPTIONAL_PACKAGES = frozenset(
    "IPython cv2 huggingface_hub jax matplotlib matplotlib.patches matplotlib.pyplot pandas pydot scipy sklearn".split()
)
"""Modules that Keras and TensorFlow import only if they are installed, for functions that no command uses."""


def import_tensorflow() -> None:
    """Import TensorFlow, and with it Keras, without `OPTIONAL_PACKAGES`; do nothing if it is imported.

    Keras imports scikit-learn for its wrappers, pandas for its data adapters and pyplot for its galleries. With these
    packages installed, the import takes twice the CPU time. The modules are hidden from this import only, so they
    can be imported afterwards. Keras keeps its functions without them, so only a process that belongs to gradcam calls
    this function: the Python API does not.

    The import creates a million objects, and deletes few. They are not searched for reference cycles, neither during
    the import nor later.
    """
    if "tensorflow" in sys.modules:
        return
    with _hidden(OPTIONAL_PACKAGES), _without_garbage_collection():
        importlib.import_module("tensorflow")
        importlib.import_module("keras")


def require_tensorflow() -> None:
    """Check that Keras, which it imports, computes with TensorFlow.

    Raises:
        UsageError: it has another backend.
    """
    from keras import config

    if config.backend() != "tensorflow":
        raise UsageError(
            f"expected Keras with the backend tensorflow, got {config.backend()}",
            "import gradcam_cli before keras, or set KERAS_BACKEND=tensorflow",
        )


class _HidingFinder:
    """A finder of modules that finds no module of some names, in one thread."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names, self._thread = names, threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Return None: other finders may find the module.

        Raises:
            ModuleNotFoundError: the module is hidden.
        """
        if name in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextlib.contextmanager
def _hidden(names: frozenset[str]) -> Iterator[None]:
    """Hide modules from the imports of this thread in the block; a module that is imported already stays visible."""
    finder = _HidingFinder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disable the search for reference cycles in the block, and exempt the objects of the block from later ones."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
