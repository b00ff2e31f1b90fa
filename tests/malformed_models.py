"""Model files that are damaged, claim too much, or carry code: `CASES` makes each from a sound one.

Started as a program (`python malformed_models.py FOLDER`), it opens all files of a folder and tells what came of each,
so that a crash, a hang and the memory that they take can be seen from outside.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
import zipfile
from pathlib import Path

import h5py

TRACE = "trace"
"""The file that a payload leaves where it runs, in the working directory."""
OPENED = "opened"


def layer_of(module, name, config, registered=None):
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


def function_of(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def sequential(*layers):
    start = layer_of("keras.layers", "InputLayer", {"batch_shape": [None, 12, 12, 3], "dtype": "float32", "name": "i"})
    config = {"name": "s", "trainable": True, "layers": [start, *layers], "build_input_shape": [None, 12, 12, 3]}
    return layer_of("keras", "Sequential", config)


def nested(depth):
    """Models within models: no config that a person writes is as deep."""
    inner = sequential(layer_of("keras.layers", "Flatten", {"name": "f"}))
    for number in range(depth):
        start = {"batch_shape": [None, 12, 12, 3], "dtype": "float32", "name": f"i{number}"}
        layers = [layer_of("keras.layers", "InputLayer", start), inner]
        inner = layer_of("keras", "Sequential", {"name": f"s{number}", "layers": layers})
    return inner


def lambda_layer():
    """A marshalled function that makes the trace file, as Keras itself would write it."""
    import keras

    payload = keras.layers.Lambda(lambda x: (open("trace", "a").close(), x)[1], output_shape=(12, 12, 3), name="l")
    return keras.saving.serialize_keras_object(payload)


CONFIGS = {
    "lambda": lambda: sequential(lambda_layer()),
    "lambda-within": lambda: sequential(layer_of("keras.layers", "TimeDistributed", {"layer": lambda_layer()})),
    "popen": lambda: sequential(layer_of("subprocess", "Popen", {"args": ["touch", TRACE]})),
    "system": lambda: sequential(
        layer_of("keras.layers", "Activation", {"activation": function_of("os", "system"), "name": "a"})
    ),
    "evaluate": lambda: sequential(
        layer_of("keras.layers", "Activation", {"activation": function_of("builtins", "eval"), "name": "a"})
    ),
    "unlock": lambda: sequential(
        layer_of("keras.config", "enable_unsafe_deserialization", {}),
        lambda_layer(),
    ),
    "fetch": lambda: sequential(
        layer_of("keras.layers", "Activation", {"activation": function_of("keras.utils", "get_file"), "name": "a"})
    ),
    "saved-model": lambda: sequential(layer_of("keras.layers", "TFSMLayer", {"filepath": ".", "name": "t"})),
    "words": lambda: sequential(layer_of("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd", "name": "w"})),
    "custom": lambda: sequential(layer_of("mine", "Mine", {}, "mine>Mine")),
    "wide": lambda: sequential(
        layer_of("keras.layers", "Flatten", {"name": "f"}),
        layer_of("keras.layers", "Dense", {"units": 10**9, "name": "d"}),
    ),
    "wider": lambda: sequential(layer_of("keras.layers", "Conv2D", {"filters": 10**8, "kernel_size": 11, "name": "c"})),
    "nested": lambda: nested(300),
    "layer": lambda: layer_of("keras.layers", "Flatten", {"name": "f"}),
    "null": lambda: None,
    "list": list,
    "number": lambda: 7,
    "no-config": lambda: {"module": "keras", "class_name": "Sequential"},
    "odd-config": lambda: {"module": "keras", "class_name": "Sequential", "config": "odd"},
    "unhashable": lambda: {"module": [], "class_name": {}, "config": {}},
}


def rewritten(sound, **changes):
    """A .keras file with members replaced, added or, where None, left out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sound)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        contents = {name: old.read(name) for name in old.namelist()} | changes
        for name, content in contents.items():
            if content is not None:
                new.writestr(name, content)
    return buffer.getvalue()


def claiming(data, name, size):
    """The same archive, whose directory says that a member has so many bytes."""
    start = data.rindex(b"PK\x01\x02")
    while data[start + 46 : start + 46 + len(name)] != name:
        start = data.rindex(b"PK\x01\x02", 0, start)
    return data[: start + 24] + struct.pack("<I", size) + data[start + 28 :]


def h5_of(config):
    """An .h5 file with nothing but a configuration, as text."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=True, libver="latest") as file:
        file.attrs["model_config"] = config
        file.create_group("model_weights")
    return buffer.getvalue()


def terabyte():
    """Arrays that take no room in their file until someone reads them."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("layers/conv1/vars/0", shape=(1 << 38,), dtype="f4", chunks=(1 << 20,), fillvalue=1)
    return buffer.getvalue()


def cases(sound, sound_h5):
    """Yield names and bytes of files that must be refused."""
    for name, config in CONFIGS.items():
        yield f"{name}.keras", rewritten(sound, **{"config.json": json.dumps(config())})
        yield f"{name}.h5", h5_of(json.dumps(config()))
    deep = "[" * 100_000
    for name, text in {"deep": deep, "deep-objects": '{"a":' * 100_000, "text": "hello", "empty": ""}.items():
        yield f"{name}.keras", rewritten(sound, **{"config.json": text})
        yield f"{name}.h5", h5_of(text)
    for tenth in range(10):
        yield f"cut-{tenth}.keras", sound[: len(sound) * tenth // 10]
        yield f"cut-{tenth}.h5", sound_h5[: len(sound_h5) * tenth // 10]
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        weights = archive.read("model.weights.h5")
    for tenth in range(0, 10, 3):
        cut = weights[: len(weights) * tenth // 10]
        yield f"weights-cut-{tenth}.keras", rewritten(sound, **{"model.weights.h5": cut})
    for name, leading in {
        "up": "../x",
        "root": "/tmp/x",
        "within": "a/../../x",
        "drive": "C:\\x",
        "back": "..\\x",
    }.items():
        yield f"{name}.keras", rewritten(sound, **{leading: b"x"})
    yield "no-config-file.keras", rewritten(sound, **{"config.json": None})
    yield "no-weights.keras", rewritten(sound, **{"model.weights.h5": None})
    yield "long-config.keras", rewritten(sound, **{"config.json": b" " * (40 << 20)})
    yield "claimed-config.keras", claiming(rewritten(sound), b"config.json", 0xFFFFFFF0)
    yield "claimed-weights.keras", claiming(rewritten(sound), b"model.weights.h5", 0xFFFFFFF0)
    yield "unfolding.keras", rewritten(sound, more=bytes(300 << 20))
    yield "members.keras", rewritten(sound, **{f"assets/{number}": b"" for number in range(10_001)})
    yield "terabyte.keras", rewritten(sound, **{"model.weights.h5": terabyte()})
    yield "terabyte.h5", terabyte()
    yield "other.h5", b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 9
    yield "pickle.h5", b"\x80\x04\x95\x0f\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
    yield "text.keras", b"hello"
    yield "zip.h5", sound


def open_all(folder: Path) -> None:
    """Open each file and print its name, what came of it, and how much more memory the process took until then."""
    from gradcam_cli.errors import GradcamError
    from gradcam_cli.models.classifier import load_model

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in sorted(folder.iterdir()):
        print(path.name, file=sys.stderr, flush=True)  # the last of them crashed
        try:
            load_model(path, preprocess="none")
            outcome = OPENED
        except GradcamError as error:
            outcome = error.message
        except Exception as error:
            outcome = f"unexpected {type(error).__name__}: {error}"
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps([path.name, outcome, grown // 1024]), flush=True)


if __name__ == "__main__":
    open_all(Path(sys.argv[1]))
