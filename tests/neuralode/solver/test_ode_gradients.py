"""Gradients against finite differences, other programs, and each other; eager, graph and XLA."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.integrate import solve_ivp

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.odeint import odeint

pytestmark = pytest.mark.slow

F64 = "float64"


@keras.saving.register_keras_serializable("test")
class Bent(keras.Layer):
    """A small convolutional f that depends on time: conv(tanh(conv(z) + t b))."""

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.inner = keras.layers.Conv2D(channels, 3, padding="same", dtype=self.dtype_policy)
        self.outer = keras.layers.Conv2D(channels, 3, padding="same", dtype=self.dtype_policy)
        self.bias = self.add_weight(shape=(channels,), initializer="ones", name="time")

    def build(self, t_shape, z_shape=None):
        shape = z_shape or t_shape
        self.inner.build(shape)
        self.outer.build(shape)

    def call(self, t, z):
        return self.outer(keras.ops.tanh(self.inner(z) + t * self.bias))

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


def bent(channels=2, dtype=F64, seed=0):
    keras.utils.set_random_seed(seed)
    return Bent(channels, dtype=dtype)


def image(n=3, channels=2, dtype=F64, seed=1):
    return tf.constant(np.random.default_rng(seed).normal(size=(n, 4, 4, channels)), dtype)


def value_and_gradients(f, z0, t, **options):
    """Return the loss, and its gradients by z0, the times and the weights."""
    with tf.GradientTape() as tape:
        tape.watch([z0, t])
        z = odeint(f, z0, t, **options).z
        value = tf.reduce_sum(tf.sin(z) * tf.reshape(tf.cast(tf.range(1, t.shape[0] + 1), z.dtype), [-1, 1, 1, 1, 1]))
    return value, [tf.convert_to_tensor(g) for g in tape.gradient(value, [z0, t, *f.trainable_variables])]


T = tf.constant([0.0, 0.4, 1.0], tf.float64)


def test_finite_differences_discrete_adjoint():
    """The three agree, the closer the tighter the tolerance, for z0, inner and outer times, and each weight."""
    f, z0 = bent(), image()
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
            _, found = value_and_gradients(f, z0, T, gradient=gradient, rtol=rtol, atol=rtol)
            errors[gradient, rtol] = abs(along(found) / slope - 1)
        assert errors[gradient, 1e-4] < 1e-2
        assert errors[gradient, 1e-7] < 1e-5
        assert errors[gradient, 1e-10] < 3e-7  # what finite differences leave


def test_discrete_is_exact_for_the_steps_taken():
    """With fixed steps, however coarse, finite differences and the discrete gradient agree to their rounding."""
    f, z0 = bent(), image(1)
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
def test_scipy_agrees(method):
    """The states are those of scipy's solvers, forward and backward in time."""
    f, z0 = bent(), image()
    f(T[0], z0)

    def flat(t, z):
        return f(tf.constant(t, tf.float64), tf.reshape(z, z0.shape)).numpy().ravel()

    for times in (T.numpy(), -T.numpy()):
        other = solve_ivp(flat, times[[0, -1]], z0.numpy().ravel(), method, times, rtol=1e-10, atol=1e-12).y.T
        ours = odeint(f, z0, times, rtol=1e-9, atol=1e-11).z
        np.testing.assert_allclose(ours, other.reshape(3, *z0.shape), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("dtype", "gradient", "solver"),
    [
        (dtype, gradient, solver)
        for dtype in ("float32", "float64")
        for gradient in ("adjoint", "discrete")
        for solver in ("dopri5", "rk4")
    ],
)
def test_eager_graph_and_xla_agree(dtype, gradient, solver):
    """The same numbers, values and gradients, and the same steps."""
    f, z0 = bent(dtype=dtype), image(dtype=dtype)
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


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_tape_may_stand_outside(jit_compile):
    """A compiled function differentiated from outside gives the gradients of the eager run."""
    f, z0 = bent(dtype="float32"), image(dtype="float32")
    for gradient in ("adjoint", "discrete"):

        def solve(z0, gradient=gradient):
            return odeint(f, z0, (0, 1), gradient=gradient, max_steps=50).z[-1]

        found = []
        for run in (solve, tf.function(solve, jit_compile=jit_compile)):
            with tf.GradientTape() as tape:
                tape.watch(z0)
                value = tf.reduce_sum(run(z0) ** 2)
            found.append(tape.gradient(value, [z0, *f.trainable_variables]))
        for x, y in zip(*found, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def test_two_equations_in_one_model():
    """Two solves with different f in one loss give each its own gradient: T e^aT and the like."""
    a, b = tf.Variable(0.3, dtype=tf.float64), tf.Variable(-0.8, dtype=tf.float64)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            z = odeint(lambda t, z: a * z, tf.constant(2.0, tf.float64), (0, 1), rtol=1e-9).z[-1]
            z = odeint(lambda t, z: b * z * z, z, (0, 2), rtol=1e-9).z[-1]
        return z, tape.gradient(z, [a, b])

    z, (of_a, of_b) = gradients()
    middle = 2 * np.exp(0.3)
    exact = middle / (1 + 1.6 * middle)
    np.testing.assert_allclose(z, exact, rtol=1e-7)
    np.testing.assert_allclose(of_a, middle / (1 + 1.6 * middle) ** 2, rtol=1e-6)
    np.testing.assert_allclose(of_b, 2 * exact**2, rtol=1e-6)


@pytest.mark.parametrize("gradient", ["adjoint", pytest.param("discrete", marks=pytest.mark.slow)])
def test_unused_parameters_have_no_gradient(gradient):
    """Exactly zero, for a variable that is read and not used, also through an embedding and a Keras layer."""
    used, unused = tf.Variable(0.5), tf.Variable([3.0, 4.0])
    table = tf.Variable([[1.0], [2.0]])
    dense = keras.layers.Dense(1)

    def f(t, z):
        dense(unused[None])
        return used * z * tf.gather(table, 1)[0] + 0 * tf.reduce_sum(unused)

    z0 = tf.constant([1.0])
    with tf.GradientTape() as tape:
        value = odeint(f, z0, (0, 1), gradient=gradient).z[-1]
    of_used, of_unused, of_table, of_kernel = tape.gradient(value, [used, unused, table, dense.kernel])
    np.testing.assert_allclose(of_used, 2 * np.exp(1), rtol=1e-4)
    np.testing.assert_allclose(of_table, [[0], [0.5 * np.exp(1)]], rtol=1e-4)
    np.testing.assert_array_equal(of_unused, [0, 0])
    assert of_kernel is None or not of_kernel.numpy().any()


def test_the_gradient_is_linear_in_the_cotangent():
    """A loss a million times smaller has a gradient a million times smaller: the steps are the same."""
    f, z0 = bent(), image()
    found = []
    for scale in (1.0, 1e-6, 0.0):
        with tf.GradientTape() as tape:
            value = scale * tf.reduce_sum(odeint(f, z0, (0, 1), rtol=1e-3, atol=1e-3).z[-1] ** 3)
        found.append(tape.gradient(value, f.trainable_variables))
    for x, y, zero in zip(*found, strict=True):
        np.testing.assert_allclose(x * 1e-6, y, rtol=1e-9, atol=1e-18)
        assert not zero.numpy().any()


def test_the_order_of_the_batch_does_not_matter():
    f, z0 = bent(), image(4)
    order = [2, 0, 3, 1]
    z, moved = (odeint(f, tf.gather(z0, places), T).z for places in (range(4), order))
    np.testing.assert_allclose(tf.gather(z, order, axis=1), moved, rtol=1e-12)


def test_weights_are_those_of_the_solve():
    """A variable that changes between the solve and its gradient changes neither."""
    a, z0 = tf.Variable(0.5, dtype=tf.float64), tf.constant(1.0, tf.float64)
    with tf.GradientTape() as tape:
        z = odeint(lambda t, z: a * z, z0, (0, 1)).z[-1]
    a.assign(100.0)
    np.testing.assert_allclose(tape.gradient(z, a), np.exp(0.5), rtol=1e-5)


def test_own_tolerances_of_the_backward_solve():
    """A tight backward solve after a loose forward one, and another solver, change the gradient only."""
    f, z0 = bent(), image()
    loose = {"rtol": 1e-3, "atol": 1e-3}
    counts = []
    for options in ({}, {"adjoint_rtol": 1e-9, "adjoint_atol": 1e-9}, {"adjoint_solver": "bosh3"}):
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(odeint(f, z0, (0, 1), **loose, **options, backward_callback=counts.append).z[-1])
        tape.gradient(value, f.trainable_variables)
    assert counts[1] > 3 * counts[0]
    assert counts[2] != counts[0]


def test_parameters_in_the_norm():
    """Asked for, the quadratures take part in the choice of steps: their stiff one needs more of them."""
    w, z0 = tf.Variable(1.0, dtype=tf.float64), tf.constant([1.0], tf.float64)
    counts, gradients = [], []
    for adjoint_seminorm in (True, False):
        with tf.GradientTape() as tape:
            z = odeint(
                lambda t, z: tf.cos(w * 30 * t) + 0 * z, z0, (0, 1),
                adjoint_seminorm=adjoint_seminorm, backward_callback=counts.append, adjoint_atol=1e-6,
            ).z[-1]  # fmt: skip
        gradients.append(tape.gradient(z, w))
    assert counts[1] > counts[0]
    np.testing.assert_allclose(gradients[1], np.cos(30) - np.sin(30) / 30, rtol=1e-5)


def test_second_derivatives_are_refused():
    z0 = tf.constant(1.0)
    with tf.GradientTape() as outer:
        outer.watch(z0)
        with tf.GradientTape() as inner:
            inner.watch(z0)
            z = odeint(lambda t, z: -z * z, z0, (0, 1)).z[-1]
        first = inner.gradient(z, z0)
    with pytest.raises(UsageError, match="second derivative"):
        outer.gradient(first, z0)


def test_traces_are_kept_and_let_go():
    """The same f is traced once, also as a bound method; when f is gone, so are its traces."""
    traces = []

    class Owner:
        def f(self, t, z):
            traces.append(1)
            return -z

    owner, z0 = Owner(), tf.constant([1.0])
    odeint(owner.f, z0, (0, 1))
    first = len(traces)
    for _ in range(3):
        odeint(owner.f, z0, (0, 2))
    assert len(traces) == first
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


def test_a_function_in_f_that_reads_variables_is_refused():
    """The gradient of variables that f's own `tf.function` reads would be lost, in part or all: never silently."""
    w, z0 = tf.Variable(0.7, dtype=F64), tf.constant([1.0], F64)
    inner = tf.function(lambda z: w * z)

    class Layer(keras.Layer):
        def __init__(self):
            super().__init__(dtype="float64")
            self.w = self.add_weight(shape=(), initializer="ones", name="w")
            self.inner = tf.function(lambda z: self.w * z)
            self.built = True

        def call(self, t, z):
            return self.inner(z) + self.w * z

    for f in (lambda t, z: inner(z), lambda t, z: inner(z) + w * z, Layer()):
        with pytest.raises(UsageError, match=r"tf\.function of its own"):
            odeint(f, z0, (0, 1))
        with pytest.raises(Exception, match=r"tf\.function of its own"):
            tf.function(lambda f=f: odeint(f, z0, (0, 1)).z, autograph=False)()
    np.testing.assert_allclose(inner(z0), [0.7])


@pytest.mark.parametrize("gradient", ["adjoint", "discrete"])
@pytest.mark.parametrize("graph", [False, True])
def test_a_function_in_f(gradient, graph):
    """One that is given values is right; so are tf.recompute_grad, and an odeint within f, that read them.

    z' = w z is e^w, with derivative e^w; within f, odeint makes it z' = (e^w - 1) z.
    """
    w, z0 = tf.Variable(0.7, dtype=F64), tf.constant([1.0], F64)
    given = tf.function(lambda w, z: w * z)
    e = np.exp(0.7)
    cases = [
        (lambda t, z: given(1.0 * w, z), e),
        (lambda t, z: tf.recompute_grad(lambda z: w * z)(z), e),
        (lambda t, z: odeint(lambda s, y: w * y, z, (0, 1)).z[-1] - z, np.exp(e - 1) * e),
    ]
    for f, expected in cases:

        def run(f=f):
            with tf.GradientTape() as tape:
                z = odeint(f, z0, (0, 1), gradient=gradient).z[-1]
            return tape.gradient(z, w)

        np.testing.assert_allclose(tf.function(run)() if graph else run(), expected, rtol=1e-4)


def test_nothing_is_traced_twice():
    """Neither a list of times, nor numbers of equal value, nor a batch that came before are a reason to trace f."""
    traces = []

    def f(t, z):
        traces.append(1)
        return -z

    def solve(n, t, rtol):
        before = len(traces)
        odeint(f, tf.ones([n, 2]), t, rtol=rtol, atol=rtol)
        return len(traces) - before

    solve(8, [0, 1], 1e-3)
    assert solve(8, [0, 1], 1e-3) == 0
    assert solve(8, (0.0, 2.0), float("1e-3")) == 0
    assert solve(8, np.array([0, 3]), np.float64(1e-3)) == 0
    assert solve(5, [0, 1], 1e-3) <= 1
    assert solve(8, [0, 1], 1e-3) == solve(5, [0, 1], 1e-3) == 0


def test_torchdiffeq_agrees():
    """Values and gradients of a small convolutional f with copied weights."""
    torch = pytest.importorskip("torch")
    torchdiffeq = pytest.importorskip("torchdiffeq")
    f, z0 = bent(), image()
    f(T[0], z0)
    w1, b1, w2, b2, time = (
        torch.tensor(v.numpy(), requires_grad=True)
        for v in (f.inner.kernel, f.inner.bias, f.outer.kernel, f.outer.bias, f.bias)
    )

    class Same(torch.nn.Module):
        def forward(self, t, z):
            conv = torch.nn.functional.conv2d
            inner = conv(z, w1.permute(3, 2, 0, 1), b1, padding=1) + t * time[:, None, None]
            return conv(torch.tanh(inner), w2.permute(3, 2, 0, 1), b2, padding=1)

    x0 = torch.tensor(z0.numpy().transpose(0, 3, 1, 2), requires_grad=True)
    t = torch.tensor(T.numpy(), requires_grad=True)
    z = torchdiffeq.odeint_adjoint(Same(), x0, t, rtol=1e-9, atol=1e-11, adjoint_params=(w1, b1, w2, b2, time))
    value = (torch.sin(z) * torch.arange(1, 4, dtype=torch.float64).reshape(-1, 1, 1, 1, 1)).sum()
    value.backward()
    ours, gradients = value_and_gradients(f, z0, T, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(ours, value.item(), rtol=1e-8)
    named = dict(zip([v.path for v in f.trainable_variables], gradients[2:], strict=True))
    for variable, other in ((f.inner.kernel, w1), (f.outer.bias, b2), (f.bias, time)):
        np.testing.assert_allclose(named[variable.path], other.grad, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(gradients[0], x0.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(gradients[1], t.grad, rtol=1e-6, atol=1e-8)
