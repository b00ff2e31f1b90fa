"""`gradcam compare --grid` of signals, volumes and films."""

import shutil

import numpy as np
import pytest
from corner_network import SHAPES, corner_arrays, corner_network
from PIL import Image


def write_inputs(kind, folder):
    folder.mkdir()
    rng = np.random.default_rng(0)
    arrays = corner_arrays(SHAPES[1 if kind == "signal" else 3])[:2]
    noisy = (arrays + rng.uniform(0, 1, arrays.shape)) / 2
    for number, array in enumerate(noisy):
        if kind == "film":
            frames = [Image.fromarray(frame) for frame in (255 * array).astype(np.uint8)]
            frames[0].save(folder / f"{number}.gif", save_all=True, append_images=frames[1:], duration=100)
        else:
            np.save(folder / f"{number}.npy", array.astype(np.float32))


@pytest.mark.parametrize("kind", ["signal", "volume", "film"])
def test_grid_of_other_kinds(cli, kind):
    """The maps are drawn over their inputs, and alone if these are missing."""
    network = corner_network(SHAPES[1 if kind == "signal" else 3])
    network.save("before.keras")
    conv = network.get_layer("conv")
    conv.set_weights([np.random.default_rng(1).normal(size=weight.shape) for weight in conv.get_weights()])
    network.save("after.keras")
    write_inputs(kind, cli.here / "in")
    preprocess = "0..1" if kind == "film" else "none"
    for run in ("before", "after"):
        words = ("--model", f"{run}.keras", "--preprocess", preprocess, "--class", "0", "--save", "npz", "-o", run)
        assert cli("in", *words).status == 0
    assert cli("compare", "before", "after", "--grid", "with.png").status == 0
    shutil.rmtree("in")
    assert cli("compare", "before", "after", "--grid", "without.png").status == 0
    over, alone = (np.asarray(Image.open(name)) for name in ("with.png", "without.png"))
    assert over.shape == alone.shape
    assert (over != alone).mean() > 0.01
