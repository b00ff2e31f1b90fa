"""Files of torch: strided tensors are read, and anything but tensors is refused."""

import collections
import io
import os
import pickle
import struct
import sys
import types

import numpy as np
import pytest
import torch_file


class Name:
    """An object that is pickled as a global name or as its call."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.fixture
def torch(monkeypatch):
    """Names of torch, which the pickles of its files contain; torch is not needed."""
    modules = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
    for module, name in (("torch", "FloatStorage"), ("torch", "LongStorage"), ("torch", "HalfStorage")):
        setattr(modules[module], name, type(name, (), {"__module__": module}))

    def _rebuild_tensor_v2(*arguments):
        raise AssertionError("only read")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return types.SimpleNamespace(**vars(modules["torch"]), rebuild=_rebuild_tensor_v2)


@pytest.fixture
def write(torch, tmp_path):
    """Write a file of one tensor; returns its path."""

    def write(values, shape, strides, offset=0, *, storage=None, magic=torch_file.MAGIC, extra=None, size=None):
        identifier = ("storage", storage or torch.FloatStorage, "1", "cpu", size or len(values), None)
        kernel = Name(torch.rebuild, identifier, offset, shape, strides, False, collections.OrderedDict())
        state = collections.OrderedDict({"kernel": kernel} | ({"extra": extra} if extra else {}))
        file = io.BytesIO()
        for value in (magic, torch_file.PROTOCOL, {"little_endian": True}):
            pickle.dump(value, file, 2)
        pickler = pickle.Pickler(file, 2)
        pickler.persistent_id = lambda value: value if value is identifier else None
        pickler.dump(state)
        pickle.dump(["1"], file, 2)
        file.write(struct.pack("<q", len(values)) + np.array(values, "<f4").tobytes())
        path = tmp_path / "weights.pth"
        path.write_bytes(file.getvalue())
        return path

    return write


def test_strides_and_offset_are_applied(write):
    """Element (i, j) of storage 0..6 with offset 1 and strides (1, 2) is 1 + i + 2 j."""
    array = torch_file.read_torch_file(write(range(7), (2, 3), (1, 2), 1))["kernel"]
    assert array.tolist() == [[1, 3, 5], [2, 4, 6]]
    assert (array.dtype, array.flags.c_contiguous) == (np.float32, True)


def test_a_tensor_must_lie_in_its_storage(write):
    for shape, strides, offset in (((2, 3), (1, 2), 2), ((2, 3), (1, 2), -1), ((2, 2), (-1, 1), 1), ((-1,), (1,), 0)):
        with pytest.raises(ValueError, match="exceeds its storage"):
            torch_file.read_torch_file(write(range(7), shape, strides, offset))


@pytest.mark.parametrize("function", [os.system, eval, exec, np.array], ids=["system", "eval", "exec", "array"])
def test_other_names_are_refused_before_they_are_called(write, tmp_path, function):
    """A name outside ordered dictionaries, tensors and storages is an error, and is not called."""
    path = write([1], (1,), (1,), extra=Name(function, f"touch {tmp_path}/called"))
    with pytest.raises(pickle.UnpicklingError, match="expected tensors only, got"):
        torch_file.read_torch_file(path)
    assert not (tmp_path / "called").exists()


def test_other_storages_and_files_are_refused(write, torch, tmp_path):
    with pytest.raises(pickle.UnpicklingError, match=r"got torch\.HalfStorage"):
        torch_file.read_torch_file(write([1], (1,), (1,), storage=torch.HalfStorage))
    with pytest.raises(pickle.UnpicklingError, match="expected a storage"):
        torch_file.read_torch_file(write([1], (1,), (1,), storage=collections.OrderedDict))
    with pytest.raises(ValueError, match="magic number"):
        torch_file.read_torch_file(write([1], (1,), (1,), magic=7))
    with pytest.raises(ValueError, match="expected 3 elements, got 2"):
        torch_file.read_torch_file(write([1, 2], (1,), (1,), size=3))
