"""States and gradients against finite differences, scipy and torchdiffeq, in eager, graph and XLA mode."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from ode_networks import random_state, tanh_conv
from quick_cases import first_quick
from scipy.integrate import solve_ivp

from gradcam_cli.neuralode.solver.odeint import odeint

pytestmark = pytest.mark.slow

T = tf.constant([0.0, 0.4, 1.0], tf.float64)


def value_and_gradients(f, z0, t, **options):
    """Return the loss, and its gradients with respect to z0, t and the weights."""
    with tf.GradientTape() as tape:
        tape.watch([z0, t])
        z = odeint(f, z0, t, **options).z
        value = tf.reduce_sum(tf.sin(z) * tf.reshape(tf.cast(tf.range(1, t.shape[0] + 1), z.dtype), [-1, 1, 1, 1, 1]))
    return value, [tf.convert_to_tensor(g) for g in tape.gradient(value, [z0, t, *f.trainable_variables])]


def test_gradients_converge_to_finite_differences():
    """Discrete and adjoint gradients with respect to z0, all times and all weights, at three tolerances."""
    f, z0 = tanh_conv(), random_state()
    f(T[0], z0)
    parts = [z0, T, *f.trainable_variables]
    rng = np.random.default_rng(3)
    directions = [tf.constant(rng.normal(size=x.shape)) for x in parts]
    tight = {"rtol": 1e-11, "atol": 1e-12, "solver": "dopri8"}
    h, values = 1e-4, []
    for sign in (1, -1):
        for variable, d in zip(f.trainable_variables, directions[2:], strict=True):
            variable.assign_add(sign * h * d)
        values.append(value_and_gradients(f, z0 + sign * h * directions[0], T + sign * h * directions[1], **tight)[0])
        for variable, d in zip(f.trainable_variables, directions[2:], strict=True):
            variable.assign_add(-sign * h * d)
    slope = (values[0] - values[1]) / (2 * h)

    def along(gradients):
        return sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, directions, strict=True))

    errors = {}
    for gradient in ("discrete", "adjoint"):
        for rtol in (1e-4, 1e-7, 1e-10):
            _, gradients = value_and_gradients(f, z0, T, gradient=gradient, rtol=rtol, atol=rtol)
            errors[gradient, rtol] = abs(along(gradients) / slope - 1)
        assert errors[gradient, 1e-4] < 1e-2
        assert errors[gradient, 1e-7] < 1e-5
        assert errors[gradient, 1e-10] < 3e-7  # the error of the finite differences


def test_discrete_gradient_is_exact_for_coarse_fixed_steps():
    """With fixed steps, finite differences equal the discrete gradient to rounding; the adjoint differs."""
    f, z0 = tanh_conv(), random_state(1)
    options = {"solver": "midpoint", "step_size": 0.25, "gradient": "discrete"}
    _, gradients = value_and_gradients(f, z0, T, **options)
    h, d = 1e-5, tf.constant(np.random.default_rng(5).normal(size=z0.shape))
    up, down = (value_and_gradients(f, z0 + s * h * d, T, **options)[0] for s in (1, -1))
    np.testing.assert_allclose((up - down) / (2 * h), tf.reduce_sum(gradients[0] * d), rtol=1e-8)
    for i in range(3):
        e = tf.one_hot(i, 3, h, 0.0, dtype=tf.float64)
        up, down = (value_and_gradients(f, z0, T + s * e, **options)[0] for s in (1, -1))
        np.testing.assert_allclose((up - down) / (2 * h), gradients[1][i], rtol=1e-7)
    _, adjoint = value_and_gradients(f, z0, T, solver="midpoint", step_size=0.25)
    assert abs(adjoint[0] - gradients[0]).numpy().max() > 1e-6


@pytest.mark.parametrize("method", ["RK45", pytest.param("DOP853", marks=pytest.mark.slow)])
def test_states_equal_those_of_scipy(method):
    """Forward and backward in time."""
    f, z0 = tanh_conv(), random_state()
    f(T[0], z0)

    def flat(t, z):
        return f(tf.constant(t, tf.float64), tf.reshape(z, z0.shape)).numpy().ravel()

    for times in (T.numpy(), -T.numpy()):
        expected = solve_ivp(flat, times[[0, -1]], z0.numpy().ravel(), method, times, rtol=1e-10, atol=1e-12).y.T
        ours = odeint(f, z0, times, rtol=1e-9, atol=1e-11).z
        np.testing.assert_allclose(ours, expected.reshape(3, *z0.shape), rtol=1e-7, atol=1e-8)


def test_values_and_gradients_equal_those_of_torchdiffeq():
    """For a convolutional f with copied weights."""
    torch = pytest.importorskip("torch")
    torchdiffeq = pytest.importorskip("torchdiffeq")
    f, z0 = tanh_conv(), random_state()
    f(T[0], z0)
    w1, b1, w2, b2, time = (
        torch.tensor(v.numpy(), requires_grad=True)
        for v in (f.inner.kernel, f.inner.bias, f.outer.kernel, f.outer.bias, f.bias)
    )

    class TorchConv(torch.nn.Module):
        def forward(self, t, z):
            conv = torch.nn.functional.conv2d
            inner = conv(z, w1.permute(3, 2, 0, 1), b1, padding=1) + t * time[:, None, None]
            return conv(torch.tanh(inner), w2.permute(3, 2, 0, 1), b2, padding=1)

    x0 = torch.tensor(z0.numpy().transpose(0, 3, 1, 2), requires_grad=True)
    t = torch.tensor(T.numpy(), requires_grad=True)
    z = torchdiffeq.odeint_adjoint(TorchConv(), x0, t, rtol=1e-9, atol=1e-11, adjoint_params=(w1, b1, w2, b2, time))
    value = (torch.sin(z) * torch.arange(1, 4, dtype=torch.float64).reshape(-1, 1, 1, 1, 1)).sum()
    value.backward()
    ours, gradients = value_and_gradients(f, z0, T, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(ours, value.item(), rtol=1e-8)
    named = dict(zip([v.path for v in f.trainable_variables], gradients[2:], strict=True))
    for variable, expected in ((f.inner.kernel, w1), (f.outer.bias, b2), (f.bias, time)):
        np.testing.assert_allclose(named[variable.path], expected.grad, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(gradients[0], x0.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(gradients[1], t.grad, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("dtype", "gradient", "solver"),
    [
        pytest.param(*case, marks=[] if case == ("float64", "discrete", "dopri5") else pytest.mark.extended)
        for case in itertools.product(("float32", "float64"), ("adjoint", "discrete"), ("dopri5", "rk4"))
    ],
)
def test_eager_graph_and_xla_agree(dtype, gradient, solver):
    """Values, gradients and step counts are equal in the three modes."""
    f, z0 = tanh_conv(dtype=dtype), random_state(dtype=dtype)
    f(tf.zeros([], dtype), z0)
    options = {"gradient": gradient, "solver": solver, "rtol": 1e-3, "atol": 1e-4, "max_steps": 100}
    z0, t = tf.Variable(z0), tf.Variable(T)

    def run():
        return value_and_gradients(f, z0, t, **options), odeint(f, z0, T, **options)[1:4]

    eager = run()
    tolerance = 2e-5 if dtype == "float32" else 1e-11
    for compiled in (False, True):
        graph = tf.function(run, jit_compile=compiled)()
        for x, y in zip(tf.nest.flatten(eager), tf.nest.flatten(graph), strict=True):
            np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)
    inner = value_and_gradients(f, z0, t, **options, jit_compile=True)
    for x, y in zip(tf.nest.flatten(eager[0]), tf.nest.flatten(inner), strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("jit_compile", first_quick([False, True]))
def test_outer_tape_differentiates_a_compiled_function(jit_compile):
    """The gradients equal those of the eager run."""
    f, z0 = tanh_conv(dtype="float32"), random_state(dtype="float32")
    for gradient in ("adjoint", "discrete"):

        def solve(z0, gradient=gradient):
            return odeint(f, z0, (0, 1), gradient=gradient, max_steps=50).z[-1]

        results = []
        for run in (solve, tf.function(solve, jit_compile=jit_compile)):
            with tf.GradientTape() as tape:
                tape.watch(z0)
                value = tf.reduce_sum(run(z0) ** 2)
            results.append(tape.gradient(value, [z0, *f.trainable_variables]))
        for x, y in zip(*results, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
