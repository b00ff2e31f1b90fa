"""Every class and function of the installed Keras is allowed in model files or refused; none is forgotten."""

import inspect
import pkgutil
from importlib import import_module

import keras
import pytest
from keras.src import api_export
from keras.src.saving.keras_saveable import KerasSaveable

from gradcam_cli.models.keras_names import ALLOWED, LAYER_FUNCTIONS, classify, refusal

TABLES = ("activations", "constraints", "dtype_policies", "initializers", "quantizers", "regularizers")


def subclasses(cls):
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


def internal_names():
    """Full names of the classes of Keras that are not exported, but that Keras imports by their module."""
    for package in ("ops", "layers", "models", "activations", "quantizers"):
        root = import_module(f"keras.src.{package}")
        for module in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            if not module.name.endswith("_test"):
                import_module(module.name)
    exported = api_export.REGISTERED_OBJS_TO_NAMES
    classes = {item for item in subclasses(KerasSaveable) if item.__module__.startswith("keras.")}
    return {f"{item.__module__}.{item.__name__}" for item in classes if item not in exported}


def all_names():
    return sorted({*api_export.REGISTERED_NAMES_TO_OBJS, *internal_names()})


def test_every_name_is_classified_once():
    """A new name in Keras fails this test until it is added to either list of `keras_names`."""
    names = all_names()
    assert len(names) > 1400
    unclassified = [path for path in names if not classify(*path.rpartition(".")[::2]) and not refused(path)]
    assert not unclassified
    both = [path for path in names if classify(*path.rpartition(".")[::2]) and refused(path)]
    assert not both


def refused(path):
    return refusal(*path.rpartition(".")[::2])


def test_unknown_names_are_not_allowed():
    for module in ("keras.layers", "keras", "keras.new", "keras.activations", "os", None):
        assert not classify(module, "New")
    assert refusal("keras.layers", "New") is None
    assert refusal("keras.activations", "new") is None


@pytest.mark.parametrize("path", [path for path in ALLOWED if path in api_export.REGISTERED_NAMES_TO_OBJS])
def test_allowed_objects_are_parts_of_models(path):
    """Each is a class of the expected base class, or a function of `keras.activations`."""
    item, kind = api_export.REGISTERED_NAMES_TO_OBJS[path], ALLOWED[path]
    bases = {
        "layer": keras.Layer,
        "operation": keras.Operation,
        "initializer": keras.initializers.Initializer,
        "regularizer": keras.regularizers.Regularizer,
        "constraint": keras.constraints.Constraint,
    }
    if kind == "activation":
        assert inspect.isfunction(item)
        assert path.startswith("keras.activations.")
    elif kind != "setting":
        assert issubclass(item, bases[kind])


def test_a_name_means_an_allowed_object_in_every_table_of_keras():
    """Keras looks up some objects by their class name alone, whatever the module name is."""
    allowed = {path.rpartition(".")[2] for path in ALLOWED} | {"Functional", "Model", "Sequential"}
    exported = api_export.REGISTERED_OBJS_TO_NAMES
    tables = [vars(import_module(f"keras.src.{name}"))["ALL_OBJECTS_DICT"] for name in TABLES]
    for table in [*tables, vars(import_module("keras.src.layers"))]:
        for name in allowed.intersection(table):
            item = table[name]
            assert exported.get(item, f"{item.__module__}.{item.__name__}") in ALLOWED, name


def test_layers_that_run_code_or_read_files_are_refused():
    for name in ("FlaxLayer", "JaxLayer", "Lambda", "StringLookup", "TFSMLayer", "TextVectorization"):
        assert refusal("keras.layers", name)
        assert not classify("keras.layers", name)
        assert not classify(None, name)


def test_functions_among_the_layers_are_known():
    """Keras substitutes them for strings of the same name in old `.h5` files."""
    layers = vars(import_module("keras.src.layers"))
    assert {name for name, item in layers.items() if inspect.isfunction(item)} == LAYER_FUNCTIONS
