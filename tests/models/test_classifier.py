"""Loading of classifiers by name, file and object: inferred properties, and errors."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli.errors import ModelError, UsageError, WeightsError
from gradcam_cli.models.catalog import catalog, find_spec, is_model_path
from gradcam_cli.models.classifier import load_model
from gradcam_cli.models.model_files import load_model_file


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    """MobileNetV2 with random weights, and its weight file in the Keras 2 format, as published by Keras."""
    keras.utils.set_random_seed(2)
    model = keras.applications.MobileNetV2(weights=None)
    path = tmp_path_factory.mktemp("weights") / "mobilenet.h5"
    with h5py.File(path, "w") as file:
        layers = list(model.layers)
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0".encode() for weight in layer.weights]
            group.attrs["weight_names"] = names
            for name, weight in zip(names, layer.weights, strict=True):
                group.create_dataset(name.decode(), data=weight.numpy())
    return model, path


def test_model_names_ignore_case_and_separators():
    for name in ("vgg19", "VGG19", "Vgg-19", "vgg_19"):
        assert find_spec(name).keras_function == "VGG19"
    assert find_spec("EfficientNetV2-B0").input_size == 224
    assert find_spec("vgg") is None


def test_paths_are_distinguished_from_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not is_model_path("vgg19")
    assert is_model_path("vgg19.keras")
    assert is_model_path("./vgg19")
    for name in ("vgg19", "custom"):
        (tmp_path / name).mkdir()
    assert not is_model_path("vgg19")
    assert is_model_path("custom")


def test_catalog_model_with_weight_file(mobilenet):
    """The classifier has the weights of the file, its name and its hash."""
    model, path = mobilenet
    classifier = load_model("mobilenetv2", weights=str(path))
    x = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    np.testing.assert_allclose(classifier.model(x), model(x), rtol=1e-4)
    assert (classifier.name, classifier.preprocess_mode, classifier.input_shape) == ("mobilenetv2", "tf", (224, 224, 3))
    assert classifier.labels.names[281] == "tabby"
    assert classifier.weights == "mobilenet.h5"
    assert len(classifier.weights_hash.result()) == 64


class Refusing(keras.initializers.Initializer):
    """An initializer that fails when it is called."""

    def __call__(self, shape, dtype=None, **options):
        raise AssertionError("weights were initialized before loading")


def test_loading_skips_weight_initialization(mobilenet, model_file, monkeypatch):
    """Catalog models and model files call no initializer of Keras layers."""
    _, path = mobilenet
    for initializer in (keras.initializers.GlorotUniform, keras.initializers.VarianceScaling, keras.initializers.Ones):
        monkeypatch.setattr(initializer, "__call__", Refusing.__call__)
    load_model("mobilenetv2", weights=str(path))
    load_model(model_file, preprocess="none")
    with pytest.raises(AssertionError):
        keras.layers.Dense(3).build((None, 2))


@keras.saving.register_keras_serializable("tests")
class Forgetful(L.Layer):
    """A custom layer with a weight that is not saved and is initialized to 2."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer=keras.initializers.Constant(2.0), trainable=False)

    def call(self, x):
        return x * self.scale

    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass


def test_custom_layers_keep_their_initializers(tmp_path):
    """A weight that the file lacks has its initial value, not uninitialized memory."""
    model = keras.Sequential([keras.Input((4, 4, 3)), L.Conv2D(2, 3), Forgetful(), L.Flatten(), L.Dense(2)])
    model.save(tmp_path / "forgetful.keras")
    loaded = load_model_file(tmp_path / "forgetful.keras", allow_unsafe=False, packages=[__name__.partition(".")[0]])
    x = np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))


def test_efficientnet_is_built_as_for_imagenet(tmp_path, monkeypatch):
    """Keras adds a scaling layer for `imagenet` only; a file of those weights needs it as well."""
    built = []
    monkeypatch.setattr(keras.Model, "load_weights", lambda model, path: built.append((model, str(path))))
    load_model("efficientnetb0", weights=str(_empty_h5(tmp_path)))
    ((model, path),) = built
    assert path == str(tmp_path / "empty.h5")
    assert [type(layer).__name__ for layer in model.layers].count("Rescaling") == 2


def _empty_h5(folder):
    path = folder / "empty.h5"
    h5py.File(path, "w").close()
    return path


def test_weight_file_of_another_model_names_the_mismatch(mobilenet, tmp_path):
    _, path = mobilenet
    with pytest.raises(WeightsError, match="does not fit mobilenet: layer conv1 is missing") as caught:
        load_model("mobilenet", weights=str(path))
    assert "mobilenet_1_0_224_tf.h5" in caught.value.hint
    changed = tmp_path / "changed.h5"
    changed.write_bytes(path.read_bytes())
    with h5py.File(changed, "a") as file:
        del file["predictions/predictions/kernel:0"]
        file["predictions/predictions/kernel:0"] = np.zeros((1280, 10), np.float32)
    with pytest.raises(WeightsError, match=r"layer predictions: expected weights of .*1280, 1000.* got .*1280, 10\b"):
        load_model("mobilenetv2", weights=str(changed))
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"not hdf5")
    with pytest.raises(WeightsError, match="not an HDF5 file"):
        load_model("mobilenetv2", weights=str(broken))


def test_unknown_names_have_near_matches():
    with pytest.raises(ModelError) as caught:
        load_model("vgg18")
    assert "vgg19" in caught.value.hint


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_model_file_keeps_outputs_name_and_shape(tmp_path, suffix):
    model = small_network()
    path = tmp_path / f"net{suffix}"
    model.save(path)
    classifier = load_model(path, preprocess="-1..1")
    x = np.zeros((1, 12, 12, 3), np.float32)
    np.testing.assert_allclose(classifier.model(x), model(x), rtol=1e-5)
    assert (classifier.name, classifier.class_count, classifier.input_shape) == ("net", 3, (12, 12, 3))
    assert classifier.labels.names == ()


def test_weight_file_replaces_the_weights_of_a_model_file(tmp_path, model_file):
    other = small_network()
    other.layers[-1].bias.assign([1, 2, 3])
    other.save_weights(tmp_path / "other.weights.h5")
    classifier = load_model(model_file, weights=str(tmp_path / "other.weights.h5"), preprocess="none")
    np.testing.assert_array_equal(classifier.model.layers[-1].bias, [1, 2, 3])
    with pytest.raises(WeightsError, match="does not fit the model"):
        load_model(model_file, weights=str(_empty_h5(tmp_path)))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_model_file_is_not_run(tmp_path, monkeypatch, suffix):
    """A Lambda layer raises ModelError without running its code, unless `allow_unsafe` is set."""
    trace = tmp_path / "trace"
    monkeypatch.setenv("TRACE", str(trace))
    payload = L.Lambda(lambda x: (open(__import__("os").environ["TRACE"], "a").close(), x)[1], output_shape=(8, 8, 3))
    model = keras.Sequential([keras.Input((8, 8, 3)), payload, L.Conv2D(2, 3), L.GlobalAveragePooling2D(), L.Dense(2)])
    path = tmp_path / f"lambda{suffix}"
    model.save(path)
    trace.unlink(missing_ok=True)
    with pytest.raises(ModelError, match="Lambda") as caught:
        load_model(path, preprocess="none")
    assert "--allow-unsafe-model" in caught.value.hint
    assert not trace.exists()
    load_model(path, preprocess="none", allow_unsafe=True).model(np.zeros((1, 8, 8, 3)))
    assert trace.exists()


def test_invalid_model_file_is_refused_with_its_reason(tmp_path, model_file):
    """Each kind of invalid file has a specific message and hint."""
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").touch()
    (tmp_path / "text.keras").write_text("hello")
    small_network().save_weights(tmp_path / "only.weights.h5")
    custom = tmp_path / "custom.keras"
    with zipfile.ZipFile(model_file) as source, zipfile.ZipFile(custom, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                config.update(module="custom", class_name="Custom", registered_name="custom>Custom")
                content = json.dumps(config).encode()
            target.writestr(name, content)
    for name, words, hint in [
        ("saved", "SavedModel", "model.save('model.keras')"),
        ("missing.keras", "not found", None),
        ("text.keras", "not a zip archive", None),
        ("only.weights.h5", "only weights", "--weights"),
        ("custom.keras", "cannot open", "gradcam_cli.explain"),
    ]:
        with pytest.raises(ModelError, match=words) as caught:
            load_model(tmp_path / name)
        assert "\n" not in caught.value.message
        assert hint is None or hint in caught.value.hint


def convolutional(*first, size=(20, 20, 3), name=None):
    last = [L.Conv2D(2, 3), L.GlobalAveragePooling2D(), L.Dense(2)]
    return keras.Sequential([keras.Input(size), *first, *last], name=name)


def test_input_size_is_that_of_the_model_or_the_option():
    assert load_model(convolutional(size=(None, None, 3)), preprocess="none").input_shape == (224, 224, 3)
    variable = load_model(convolutional(size=(None, None, 1)), preprocess="none", input_size=(30, 40))
    assert variable.input_shape == (30, 40, 1)
    with pytest.raises(UsageError, match="requires 20x20, got 30x30"):
        load_model(convolutional(), input_size=(30, 30))
    with pytest.raises(ModelError, match="the number of channels in the last dimension") as caught:
        load_model(keras.Sequential([keras.Input((3, 20, 20)), L.Flatten(), L.Dense(2)]))
    assert "channels_last" in caught.value.hint
    with pytest.raises(ModelError, match="no input shape"):
        load_model(keras.Sequential([L.Conv2D(2, 3), L.Flatten(), L.Dense(2)]))


def test_preprocessing_is_inferred():
    """`none` for models that scale their input, the mode of known models, else `0..1` as a guess."""
    assert load_model(convolutional(L.Rescaling(1 / 127.5, -1))).preprocess_mode == "none"
    inner = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(96, 96, 3))
    outer = keras.Sequential([keras.Input((96, 96, 3)), inner, L.GlobalAveragePooling2D(), L.Dense(4)])
    assert load_model(outer).preprocess_choice == ("tf", "as for mobilenetv2, whose name it contains", False)
    assert load_model(convolutional()).preprocess_choice[::2] == ("0..1", True)
    x = keras.Input((20, 20, 3))
    preprocessed = keras.applications.mobilenet_v2.preprocess_input(x)
    scaled = keras.Model(x, L.Dense(2)(L.GlobalAveragePooling2D()(L.Conv2D(2, 3)(preprocessed))))
    assert load_model(scaled).preprocess_mode == "none"


def test_number_of_labels_must_match(tmp_path, model_file):
    (tmp_path / "names").write_text("a\nb\nc\n")
    assert load_model(model_file, labels=tmp_path / "names", preprocess="none").labels.names == ("a", "b", "c")
    (tmp_path / "names").write_text("a\nb\n")
    with pytest.raises(UsageError, match="expected 3 names, got 2"):
        load_model(model_file, labels=tmp_path / "names")


def test_catalog_is_complete():
    """Every classifier of the installed Keras is in the catalog."""
    import inspect

    functions = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert {spec.keras_function for spec in catalog().values() if not spec.built_in} == functions
    assert catalog()["vgg19"].num_params == 143_667_240
