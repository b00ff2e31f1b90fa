"""A model is traced once for the same maps, and again when a layer has changed."""

import copy
import gc
import pickle
import weakref

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli import explain, load_model
from gradcam_cli.errors import GradcamError
from gradcam_cli.network.trace_cache import MAX_TRACES, TraceCache, trace_cache

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)


class Counting(L.Layer):
    """Passes its input on, and lists how often Python calls it: once a trace."""

    calls = []  # noqa: RUF012  # of the class: an attribute of the layer that changes would be another layer

    def call(self, x):
        self.calls.append(x.shape)
        return x


def counting_network():
    keras.utils.set_random_seed(3)
    counting = Counting(name="counting")
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            counting,
            L.Conv2D(4, 3, activation="relu", name="conv"),
            L.GlobalAveragePooling2D(),
            L.Dense(3, activation="softmax", name="predictions"),
        ]
    )
    return model, counting


@pytest.mark.parametrize("loaded", [False, True], ids=["model", "classifier"])
@pytest.mark.parametrize(
    "options",
    [{}, {"layer": "conv"}, {"method": "scorecam"}, {"target": "class@0"}],
    ids=["auto", "named", "scorecam", "head"],
)
def test_the_second_map_of_a_model_needs_no_trace(loaded, options):
    model, counting = counting_network()
    explained = load_model(model) if loaded else model
    first = explain(IMAGE, explained, **options)
    traces = len(counting.calls)
    assert traces > 0
    np.testing.assert_array_equal(explain(IMAGE, explained, **options).heatmap, first.heatmap)
    assert len(counting.calls) == traces


def test_new_weights_give_their_map_without_a_trace():
    model, counting = counting_network()
    explain(IMAGE, model)
    traces = len(counting.calls)
    model.get_layer("conv").set_weights([w + 0.3 for w in model.get_layer("conv").get_weights()])
    changed = explain(IMAGE, model)
    assert len(counting.calls) == traces
    fresh, _ = counting_network()
    fresh.set_weights(model.get_weights())
    np.testing.assert_array_equal(changed.cam, explain(IMAGE, fresh).cam)


def changed_activation(model):
    model.get_layer("conv").activation = keras.activations.tanh


def changed_number(model):
    model.get_layer("conv").padding = "same"


def added_layer(model):
    model.pop()
    model.add(L.Dense(3, activation="softmax", kernel_initializer="ones"))


@pytest.mark.parametrize("change", [changed_activation, changed_number, added_layer])
@pytest.mark.parametrize("loaded", [False, True], ids=["model", "classifier"])
def test_changed_layers_give_the_map_of_a_new_model(change, loaded):
    model, _ = counting_network()
    explained = load_model(model) if loaded else model
    before = explain(IMAGE, explained, "conv").cam
    change(model)
    after = explain(IMAGE, explained, "conv").cam
    fresh, _ = counting_network()
    change(fresh)
    fresh.set_weights(model.get_weights())
    np.testing.assert_array_equal(after, explain(IMAGE, fresh, "conv").cam)
    assert before.shape != after.shape or not np.allclose(before, after)


class Scaled(L.Layer):
    """Multiplies its input by numbers in a list or a dict."""

    def __init__(self, scales, **kwargs):
        super().__init__(**kwargs)
        self.scales = scales

    def call(self, x):
        return x * self.scales["red"][0]


def test_a_changed_number_inside_a_list_is_noticed():
    """The CAM of a linear head doubles with the activations."""
    scaled = Scaled({"red": [1.0]}, name="scaled")
    model = keras.Sequential([keras.Input((12, 12, 3)), scaled, L.GlobalAveragePooling2D(), L.Dense(2)])
    before = explain(IMAGE, model, "scaled", target_class=0).cam
    scaled.scales["red"][0] = 2.0
    after = explain(IMAGE, model, "scaled", target_class=0).cam
    assert before.max() > 0
    np.testing.assert_allclose(after, 2 * before, rtol=1e-5)


def test_a_model_compiled_again_is_read_as_its_new_loss_says():
    """A single linear output is a value, and with a binary loss the logit of class 1."""
    model = small_network(classes=1, activation=None)
    assert explain(IMAGE, model).prediction.value is not None
    model.compile(loss="binary_crossentropy")
    assert explain(IMAGE, model).prediction.value is None
    model.trainable = False
    assert explain(IMAGE, model).prediction.value is None


def test_a_refusal_is_measured_again():
    """With other weights a layer may pass, such as behind a head that begins with zeros."""
    classifier = load_model(small_network())
    with pytest.raises(GradcamError):
        classifier.find_layer("hidden")
    assert not any("check" in key[0] for key in trace_cache(classifier.model)._traces if isinstance(key, tuple))


def test_traces_are_freed_with_their_model():
    model, _ = counting_network()
    explain(IMAGE, model)
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_copies_and_files_of_a_model_have_no_traces(tmp_path):
    model = small_network()
    expected = explain(IMAGE, model).cam
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), keras.models.clone_model(model)):
        assert not trace_cache(other)._traces
    model.save(tmp_path / "net.keras")
    np.testing.assert_array_equal(explain(IMAGE, tmp_path / "net.keras", preprocess="0..1").cam, expected)
    assert not copy.copy(trace_cache(model))._traces


def test_a_model_keeps_a_bounded_number_of_traces():
    """The traces that were used last are kept."""
    cache = TraceCache()
    for number in range(MAX_TRACES + 5):
        cache.get(number, lambda: number)  # noqa: B023
        cache.get(0, lambda: 0)
    assert len(cache._traces) == MAX_TRACES
    assert {0, MAX_TRACES + 4} <= set(cache._traces)
    assert 1 not in cache._traces
