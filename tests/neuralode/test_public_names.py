"""The public names of `gradcam_cli.neuralode`."""

import ast
import inspect
import itertools
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from gradcam_cli import neuralode


def test_import_registers_the_layers(tmp_path):
    """After the import, plain Keras opens a saved network; the import stands before that of Keras."""
    model = keras.Sequential([keras.Input((6, 6, 2)), neuralode.ODEBlock(neuralode.ODEFunc())])
    model.save(tmp_path / "model.keras")
    code = (
        "import gradcam_cli.neuralode, keras, sys; print(keras.models.load_model(sys.argv[1]).layers[0].f.activation)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.keras"], check=True, capture_output=True, text=True
    ).stdout
    assert output.split()[-1] == "softplus"


def test_command_imports_the_solver_table_without_tensorflow():
    code = (
        "import gradcam_cli.cli, sys; from gradcam_cli.neuralode import SOLVERS; sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def documented_constants(module):
    """Return the names of the module's assignments that a docstring follows."""
    statements = ast.parse(inspect.getsource(module)).body
    return {
        target.id
        for statement, following in itertools.pairwise(statements)
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        for target in getattr(statement, "targets", [getattr(statement, "target", None)])
        if isinstance(target, ast.Name)
    }


@pytest.mark.parametrize("name", neuralode.__all__)
def test_every_public_name_has_a_docstring(name):
    value = getattr(neuralode, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__
        assert name in value.__doc__ or len(value.__doc__.split()) >= 4
    else:
        modules = [module for module, names in neuralode._MODULES.items() if name in names]
        assert name in documented_constants(sys.modules[f"gradcam_cli.neuralode.{modules[0]}"])


def test_all_lists_the_lazy_names():
    assert sorted(name for names in neuralode._MODULES.values() for name in names) == sorted(neuralode.__all__)
    assert set(neuralode.__all__) <= set(dir(neuralode))
    with pytest.raises(AttributeError, match="no attribute 'odeint2'"):
        neuralode.odeint2  # noqa: B018


def test_example_of_the_docstring_runs(capsys):
    """The indented example prints z0 / e."""
    lines = [line for line in neuralode.__doc__.splitlines() if line.startswith("    ")]
    variables = {}
    exec(textwrap.dedent("\n".join(lines)), variables)
    assert len(lines) == 5
    np.testing.assert_allclose(variables["solution"].z[-1], [0.3679, 0.7358], atol=1e-4)
    assert "0.3678" in capsys.readouterr().out
