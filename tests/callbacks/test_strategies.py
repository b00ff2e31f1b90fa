"""Training with `tf.distribute`, in a process of its own, since devices are set before the first use of TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import tensorflow as tf
devices = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(devices[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from pathlib import Path
import numpy as np
from gradcam_cli.callbacks import GradCAM
from small_training import cams, grad_cam, images, network, recorded, train

x, y = images()
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = network()
    model = train([GradCAM(x[:5], log_dir="logs", classes=y[:5])], model=model)
assert strategy.num_replicas_in_sync == 2
np.testing.assert_allclose(cams(recorded(Path("logs"))[-1]), grad_cam(model, x[:5], y[:5]),
                           rtol=1e-4, atol=1e-6)
print("equal")
"""


@pytest.mark.extended
def test_mirrored_strategy_with_two_devices(tmp_path):
    paths = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().endswith("equal"), done.stderr
