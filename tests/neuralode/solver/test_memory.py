"""Memory of the backward pass: constant for adjoint gradients, growing with sqrt(steps) for discrete gradients."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from pathlib import Path
import tensorflow as tf
from gradcam_cli.neuralode.solver.odeint import odeint

z0 = tf.ones([250, 1000])  # 1 MB

def f(t, z):
    return -z

def peak(gradient, steps):
    with tf.GradientTape() as tape:
        tape.watch(z0)
        solution = odeint(f, z0, (0, 1), solver="euler", step_size=1 / steps, gradient=gradient)
        value = tf.reduce_sum(solution.z[-1])
    tape.gradient(value, z0)
    assert solution.num_accepted_steps == steps
    # getrusage would include the peak of the parent process
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

print(*(peak(gradient, steps) for gradient in ("adjoint", "discrete") for steps in (16, 1600)))
"""


@pytest.mark.extended
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_adjoint_memory_does_not_grow_with_the_steps():
    """From 16 to 1,600 steps of a 1 MB state, the peak grows by under 60 MB, and by under 160 MB for `discrete`.

    `discrete` stores 2 * 40 states. All states would be 1,600 MB.
    """
    process = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    adjoint16, adjoint1600, discrete16, discrete1600 = map(float, process.stdout.split())
    assert adjoint1600 - adjoint16 < 60
    assert discrete1600 - discrete16 < 160
