"""An ODEBlock in several threads and under a distribution strategy."""

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ode_networks import TanhConv

from gradcam_cli.neuralode import ODEBlock

pytestmark = pytest.mark.slow
REPEATS = 2


def build_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            ODEBlock(TanhConv(2), name="ode", rtol=1e-4, atol=1e-4),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )


def gradients(model, x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=True) ** 2)
    return tape.gradient(loss, [v.value for v in model.trainable_variables])


def test_four_threads_with_different_batch_sizes():
    """Calls, `predict`, eager and compiled gradients at once equal those of one thread; no evaluation count is lost."""
    inputs = [np.random.default_rng(n).normal(size=(n, 4, 4, 2)).astype(np.float32) for n in (1, 2, 3, 5)]
    reference, model = build_model(), build_model()
    expected = [(reference(x).numpy(), [g.numpy() for g in gradients(reference, x)]) for x in inputs]
    compiled = tf.function(lambda x: gradients(model, x))
    counts = [reference.get_layer("ode").nfe_forward, reference.get_layer("ode").nfe_backward]
    tasks = {
        "call": lambda x, output, _: np.testing.assert_allclose(model(x), output, rtol=1e-4),
        "predict": lambda x, output, _: np.testing.assert_allclose(model.predict(x, verbose=0), output, rtol=1e-4),
        "gradient": lambda x, _, g: [
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(gradients(model, x), g, strict=True)
        ],
        "compiled": lambda x, _, g: [
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(compiled(x), g, strict=True)
        ],
    }
    errors = []

    def work(task, i):
        try:
            for _ in range(REPEATS):
                task(inputs[i], *expected[i])
        except Exception as error:
            errors.append(error)

    for task in tasks.values():
        model.get_layer("ode").reset_nfe()
        threads = [threading.Thread(target=work, args=(task, i)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert int(model.get_layer("ode").nfe_forward) == REPEATS * int(counts[0]) // 2
    assert int(model.get_layer("ode").nfe_backward) == REPEATS * int(counts[1])


@pytest.mark.extended
@pytest.mark.parametrize("devices", [1, 2])
def test_mirrored_strategy(devices):
    """Training on one and on two replicas gives the weights of training without a strategy."""
    code = f"""
        import sys
        sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[2])]}
        import keras, numpy as np, tensorflow as tf
        device = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * {devices})
        from test_threads import build_model
        rng = np.random.default_rng(0)
        x, y = (rng.normal(size=shape).astype("float32") for shape in ((16, 4, 4, 2), (16, 2)))

        def train(model):
            model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
            model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
            return [w.numpy() for w in model.trainable_variables], model.predict(x, verbose=0), model

        expected = train(build_model())
        with tf.distribute.MirroredStrategy([f"CPU:{{i}}" for i in range({devices})]).scope():
            model = build_model()
        weights, output, model = train(model)
        for a, b in zip(weights, expected[0]):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(output, expected[1], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(model(x), expected[1], rtol=1e-3, atol=1e-4)  # outside the strategy
        assert model.get_layer("ode").nfe_backward.numpy() > 0
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
