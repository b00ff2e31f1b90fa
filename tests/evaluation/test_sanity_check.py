"""The sanity check: randomized and restored weights, compared steps, insensitive methods."""

import keras
import numpy as np
import pytest
from small_models import small_network

from gradcam_cli import load_model
from gradcam_cli.evaluation import sanity_check
from gradcam_cli.evaluation.metrics.summary import insensitive_methods
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.model_input import to_model_input
from gradcam_cli.pipeline.run import prepare_run

NAMES = ["predictions", "hidden", "conv2", "conv1"]


@pytest.fixture(scope="module")
def classifier():
    return load_model(small_network(), preprocess="-1..1")


def check(classifier, *methods, layers=("conv1",)):
    rng = np.random.default_rng(3)
    images = [LoadedImage(str(i), rng.integers(0, 256, (20, 16, 3), np.uint8)) for i in range(6)]
    run = prepare_run(classifier, ExplainConfig(layers=layers, methods=methods))
    return list(sanity_check.check_sanity(run, [to_model_input(run, image) for image in images], seed=1))


def test_layers_are_listed_from_output_to_input(classifier):
    assert [path for path, _ in sanity_check.layers_top_down(classifier.model)] == NAMES


def test_weights_are_drawn_by_the_initializers(classifier):
    """Glorot's limit is sqrt(6 / (fan in + fan out)), biases are zero; then the trained weights are restored."""
    layer = classifier.model.get_layer("hidden")
    trained = [layer.kernel.numpy(), np.ones(6, np.float32)]
    layer.set_weights(trained)
    with sanity_check.restored_weights(classifier.model):
        sanity_check.randomize(layer, np.random.default_rng(0))
        limit = np.sqrt(6 / (125 + 6))
        assert 0.9 * limit < np.abs(layer.kernel.numpy()).max() <= limit
        assert np.corrcoef(layer.kernel.numpy().ravel(), trained[0].ravel())[0, 1] < 0.1
        assert not layer.bias.numpy().any()
    for a, b in zip(trained, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    layer.set_weights([trained[0], np.zeros(6, np.float32)])


def test_weights_without_initializer_keep_their_scale():
    """A custom layer's matrix is drawn with its standard deviation, its vector is shuffled."""

    class CustomLayer(keras.Layer):
        def build(self, shape):
            self.W = self.add_weight(shape=(50, 60), initializer=keras.initializers.RandomNormal(3, 0.5), name="W")
            self.v = self.add_weight(shape=(7,), initializer="uniform", name="v")

    layer = CustomLayer()
    layer.build(None)
    before = layer.v.numpy()
    sanity_check.randomize(layer, np.random.default_rng(0))
    assert layer.W.numpy().mean() == pytest.approx(0, abs=0.05)
    assert layer.W.numpy().std() == pytest.approx(0.5, rel=0.05)
    np.testing.assert_array_equal(np.sort(layer.v.numpy()), np.sort(before))


def test_weights_are_restored_after_an_error(classifier):
    before = classifier.model.get_weights()

    def fail():
        with sanity_check.restored_weights(classifier.model):
            sanity_check.randomize(classifier.model.get_layer("conv1"), np.random.default_rng(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    for a, b in zip(before, classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_each_step_counts_its_downstream_layers(classifier):
    """One step per layer; conv1 has three downstream layers, conv2 two; the weights are restored."""
    before = classifier.model.get_weights()
    steps = check(classifier, "gradcam", layers=("conv1", "conv2"))
    assert [(s.last_randomized_layer, s.layer, s.all_downstream_randomized) for s in steps] == [
        (name, layer, step >= (3 if layer == "conv1" else 2))
        for step, name in enumerate(NAMES, 1)
        for layer in ("conv1", "conv2")
    ]
    for a, b in zip(before, classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_maps_of_insensitive_methods_do_not_change(classifier):
    """Eigencam and random do not depend on the layers downstream of theirs: their maps stay exactly the same."""
    steps = check(classifier, "gradcam", "random", "eigencam")
    downstream = [step for step in steps if step.last_randomized_layer in NAMES[:3] and step.method != "gradcam"]
    assert all(step.rank == pytest.approx(1) and step.ssim == pytest.approx(1) for step in downstream)
    assert insensitive_methods(steps) == [("conv1", "random"), ("conv1", "eigencam")]
    gradcam = [step.rank for step in steps if step.method == "gradcam"]
    assert min(gradcam) < 0.5


def test_steps_are_reproducible_with_a_seed(classifier):
    assert check(classifier, "gradcam") == check(classifier, "gradcam")
