"""Train a continuous normalizing flow on two moons, and draw docs/two_moons.png: data, density and samples.

Usage:
    python tools/plot_two_moons.py [STEPS]

STEPS is the number of training steps (1500, about four minutes).
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from PIL import Image

from gradcam_cli.neuralode.demos.normalizing_flow import (
    DensityFlow,
    draw_samples,
    log_density,
    train_flow,
    two_moons,
)

TARGET = Path(__file__).parent.parent / "docs/two_moons.png"
LIMIT, SIDE, NUM_POINTS, HELD_OUT_SEED = 2.2, 221, 2000, 10**6


def main() -> None:
    """Train, print the log-likelihood of new points and the integral of the density, and draw the figure."""
    flow = train_flow(int(sys.argv[1]) if len(sys.argv) > 1 else 1500)
    points = two_moons(NUM_POINTS, seed=HELD_OUT_SEED)
    print(f"mean log p of new points: {float(tf.reduce_mean(log_density(flow, tf.constant(points)))):.3f}")
    figure = draw(flow, points)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    with Image.open(buffer) as image:
        image.convert("RGB").quantize(128).save(TARGET, optimize=True)


def draw(flow: DensityFlow, points: np.ndarray) -> Figure:
    """Return the figure of the points (n, 2), the density on a grid, and as many samples."""
    line = np.linspace(-LIMIT, LIMIT, SIDE, dtype=np.float32)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    density = np.exp(log_density(flow, tf.constant(grid)).numpy()).reshape(SIDE, SIDE)
    print(f"integral of the density: {density.sum() * (line[1] - line[0]) ** 2:.4f}")
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    data_axes, density_axes, sample_axes = figure.subplots(1, 3)
    data_axes.scatter(*points.T, s=2, color="C0")
    data_axes.set_title("data")
    image = density_axes.imshow(density, extent=(-LIMIT, LIMIT) * 2, origin="lower", cmap="viridis")
    density_axes.set_title("density p(x)")
    figure.colorbar(image, ax=density_axes, shrink=0.8)
    sample_axes.scatter(*draw_samples(flow, len(points)).numpy().T, s=2, color="C1")
    sample_axes.set_title("samples")
    for axes in (data_axes, density_axes, sample_axes):
        axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    return figure


if __name__ == "__main__":
    main()
