"""Read the tensors of a file that torch 1.5 or older wrote with `torch.save`, without torch.

The file is a sequence of pickles (magic number, protocol version, properties of the machine, state dict, keys of the
storages), followed by the storages: their number of elements, and the elements. The unpickler creates ordered
dictionaries and tensors only; any other name in the file is an error.
"""

from __future__ import annotations

import collections
import pickle
import struct
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""Magic number and version with which these files begin."""
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class Storage(NamedTuple):
    """A flat array that tensors view.

    Attributes:
        key: its name in the file.
        dtype: type of its elements.
        num_elements: number of its elements.
    """

    key: str
    dtype: np.dtype[Any]
    num_elements: int


class Tensor(NamedTuple):
    """A view of a storage: element (i, j, ...) is at offset + i * strides[0] + j * strides[1] + ...

    Attributes:
        storage: the flat array.
        offset: index of the first element.
        shape: size of each axis.
        strides: distance of neighbors along each axis, in elements.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict by name, as contiguous arrays.

    Raises:
        pickle.UnpicklingError: the file names anything but ordered dictionaries, tensors and their storages.
        ValueError: it is another kind of file, it is damaged, or a tensor exceeds its storage.
    """
    with open(path, "rb") as file:
        for name, expected in (("magic number", MAGIC), ("protocol", PROTOCOL)):
            if (value := _load(file)) != expected:
                raise ValueError(f"{path}: {name}: expected {expected}, got {value!r}")
        if not (_load(file) or {}).get("little_endian"):
            raise ValueError(f"{path}: expected little-endian numbers")
        tensors = {name: tensor for name, tensor in _load(file).items() if isinstance(tensor, Tensor)}
        storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        contents = {key: _read_storage(file, storages[key]) for key in _load(file)}
    return {name: _view(name, tensor, contents[tensor.storage.key]) for name, tensor in tensors.items()}


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        allowed = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        }
        if (module, name) in allowed:
            return allowed[module, name]
        raise pickle.UnpicklingError(f"expected tensors only, got {module}.{name}")

    def persistent_load(self, identifier: Any) -> Storage:
        kind, dtype, key, _device, num_elements, view = identifier
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"expected a storage, got {identifier!r}")
        return Storage(key, dtype, num_elements)


def _rebuild_tensor(
    storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_unused: object
) -> Tensor:
    return Tensor(storage, offset, shape, strides)


def _load(file: IO[bytes]) -> Any:
    return _TensorUnpickler(file).load()


def _read_storage(file: IO[bytes], storage: Storage) -> np.ndarray:
    (num_elements,) = struct.unpack("<q", file.read(8))
    content = file.read(storage.num_elements * storage.dtype.itemsize)
    if num_elements != storage.num_elements or len(content) != num_elements * storage.dtype.itemsize:
        raise ValueError(f"storage {storage.key}: expected {storage.num_elements} elements, got {num_elements}")
    return np.frombuffer(content, storage.dtype)


def _view(name: str, tensor: Tensor, content: np.ndarray) -> np.ndarray:
    """Return the elements of a tensor in the order of its axes."""
    last = tensor.offset + sum((side - 1) * stride for side, stride in zip(tensor.shape, tensor.strides, strict=True))
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or last >= len(content):
        raise ValueError(f"tensor {name} exceeds its storage: expected indices below {len(content)}, got {last}")
    strides = [stride * content.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(content[tensor.offset :], tensor.shape, strides).copy()
