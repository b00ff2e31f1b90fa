"""The cache of traced solvers."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any

import keras
import tensorflow as tf

from gradcam_cli.neuralode.solver.dynamics import Dynamics, in_stateless_scope
from gradcam_cli.neuralode.solver.traced_solver import SolverKey, TracedSolver
from gradcam_cli.neuralode.solver.typing import Tensors

_solver_cache: weakref.WeakKeyDictionary[Any, dict[Hashable, TracedSolver]] = weakref.WeakKeyDictionary()
"""The traced solvers of each f, while it is alive."""


def cached_solver(
    f: Callable[..., Any], z0: Any, z: Tensors, t: tf.Tensor, args: Tensors, args_structure: Any, key: SolverKey
) -> TracedSolver:
    """Return the solver of an f from the cache, or trace it.

    Args:
        f: the function or layer.
        z0: the state at t[0], in its structure.
        z: the same, flattened.
        t: float64 (times, ...), per step mode.
        args: the arguments of f after t and z, flattened.
        args_structure: structure of these arguments.
        key: the settings of the solver.

    Raises:
        UsageError: f is not a valid right-hand side for z.
    """
    structure = tf.nest.map_structure(lambda _: 0, z0)
    owner, name = getattr(f, "__self__", f), getattr(f, "__func__", None)  # each access makes a new bound method
    signature = (repr(structure), repr(args_structure), *((x.dtype, x.shape.rank) for x in (*z, *args)))
    try:
        solvers = _solver_cache.setdefault(owner, {})
    except TypeError:  # f does not support weak references
        solvers = {}
    solver = solvers.get((name, signature, key, _variables_key(f)))
    if solver is None or in_stateless_scope():  # which may replace the values of Keras variables
        step_mode = key.options.step_mode
        time = step_mode.broadcast(t[0], z[0])
        solver = TracedSolver(Dynamics(f, time, z, structure, args, args_structure), key)
        if not (solver.dynamics.has_graph_closure or in_stateless_scope()):
            solvers[name, signature, key, _variables_key(f)] = solver
    return solver


def _variables_key(f: Any) -> Hashable:
    """Return a key of the variables that a trace reads and differentiates: replica, and parameters that are trained."""
    replica = tf.distribute.get_replica_context()
    parameters = f.trainable_variables if isinstance(f, keras.Layer) else ()
    return None if replica is None else str(replica.replica_id_in_sync_group), *map(id, parameters)
