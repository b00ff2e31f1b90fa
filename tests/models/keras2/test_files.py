"""Files of TensorFlow 2.12 and 2.15: their maps and logits are those that this TensorFlow computed."""

import shutil

import numpy as np
import pytest
from small_models import small_network

from gradcam_cli import explain, load_model

FILES = [
    f"tf{version}_{kind}.{suffix}"
    for version in ("212", "215")
    for kind in ("flat", "nested", "sequential")
    for suffix in ("h5", "keras")
]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_map_and_logits_are_those_of_the_old_tensorflow(data, name):
    """The `.keras` files of TensorFlow 2.12 are HDF5 files."""
    stem = data / "legacy" / name.partition(".")[0]
    with np.load(f"{stem}.npz") as expected:
        raw, logits, c = expected["raw"].squeeze(), expected["logits"].squeeze(), int(expected["c"])
    result = explain(f"{stem}.png", load_model(data / "legacy" / name, preprocess="none"), target_class=c)
    assert np.linalg.norm(result.cam - raw) < 1e-5 * np.linalg.norm(raw)
    assert result.prediction.logit == pytest.approx(logits[c], rel=1e-5)


@pytest.mark.parametrize(
    ("saved", "given"), [("m.keras", "M.KERAS"), ("m.h5", "M.H5"), ("m.keras", "m.h5"), ("m.h5", "m.keras")]
)
def test_content_decides_not_the_suffix(tmp_path, saved, given):
    """Capital suffixes, an archive named `.h5`, and HDF5 named `.keras`."""
    model = small_network()
    model.save(tmp_path / saved)
    shutil.move(tmp_path / saved, tmp_path / "moved")
    shutil.move(tmp_path / "moved", tmp_path / given)
    x = np.random.default_rng(0).normal(size=(2, 12, 12, 3)).astype(np.float32)
    opened = load_model(tmp_path / given, preprocess="none").model
    np.testing.assert_allclose(opened.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)
