"""Reading of `.npz` files: sizes and types are checked before arrays are read."""

import io
import os
import struct
import zipfile
from contextlib import nullcontext

import numpy as np
import pytest

from gradcam_cli.errors import InputError
from gradcam_cli.storage import arrays
from gradcam_cli.storage.arrays import ArrayHeader, open_arrays


def npy(header, data=b"", version=(1, 0)):
    """Return the bytes of an .npy file with this header text."""
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header.encode() + data


def declared(shape, dtype="'|u1'", data=b""):
    return npy(f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}", data)


def write(path, method=zipfile.ZIP_DEFLATED, **members):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_arrays_are_read_by_name(tmp_path):
    """Values, shapes, memory order and strings are those that NumPy has written."""
    saved = {
        "x": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "text": np.array("word"),
        "none": np.zeros((0, 5)),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **saved)
        with open_arrays(tmp_path / "a.npz", 10_000) as file:
            assert set(file) == set(saved)
            assert file.header("x") == ArrayHeader((2, 3, 4), np.dtype(np.float32))
            for name, array in saved.items():
                np.testing.assert_array_equal(file[name], array)
            with pytest.raises(KeyError):
                file["missing"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (declared((10**12,)), "expected at most 100,000 bytes"),
        (declared((10**12,), "'|S0'"), "expected at most 100,000 bytes"),
        (declared((300, 300)), "its size differs"),
        (declared((2,), data=b"abc"), "its size differs"),
        (declared((-5,)), "without negative numbers"),
        (declared((1,), "'|O'", b"pickled"), "got type object"),
        (declared((1,), "[('a', '<i4')]", b"1234"), "expected an array of bool"),
        (declared((1,), "'<c8'", b"12345678"), "got type complex64"),
        (declared((1,), "'<M8[s]'", b"12345678"), "got type datetime64"),
        (npy("(" * 5_000), "Header"),
        (npy("-" * 900 + "1"), "malformed node"),
        (npy(" " * 7_000), "Header info length"),
        (npy("{}", version=(3, 0)), "version"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "EOF"),
        (b"", "EOF"),
        (b"no array", "magic"),
    ],
)
def test_damaged_or_oversized_arrays_are_refused(tmp_path, content, message):
    write(tmp_path / "a.npz", x=content)
    with open_arrays(tmp_path / "a.npz", 100_000) as file, pytest.raises(InputError, match=message):
        file["x"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is no .npz file, or is truncated"),
        (b"PK\x03\x04 no archive", "it is no .npz file, or is truncated"),
        (b"\x80\x04pickle", "it is no .npz file, or is truncated"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=message), open_arrays(tmp_path / "a.npz", 1000):
        pass


def test_archive_above_the_limit_is_refused_before_reading(tmp_path):
    """The declared sizes of all members count together."""
    write(tmp_path / "a.npz", x=bytes(60_000), y=bytes(60_000))
    assert (tmp_path / "a.npz").stat().st_size < 1000
    with pytest.raises(InputError, match="at most 100,000 decompressed bytes, got 120,000"):
        open_arrays(tmp_path / "a.npz", 100_000).__enter__()


def test_members_with_other_compression_are_refused(tmp_path):
    write(tmp_path / "a.npz", zipfile.ZIP_LZMA, x=declared((1,), data=b"1"))
    with pytest.raises(InputError, match="stored or deflated"):
        open_arrays(tmp_path / "a.npz", 1000).__enter__()


def test_every_truncated_or_changed_file_is_read_or_refused(tmp_path):
    """Files cut at each length, or with one changed byte, raise InputError or return arrays of the right shape."""
    buffer, path = io.BytesIO(), tmp_path / "a.npz"
    np.savez_compressed(buffer, x=np.arange(20), y=np.array("text"))
    content, rng = buffer.getvalue(), np.random.default_rng(0)
    damaged = [content[:length] for length in range(0, len(content), 3)]
    for position in rng.integers(0, len(content), 300):
        damaged.append(content[:position] + bytes([rng.integers(256)]) + content[position + 1 :])
    for data in damaged:
        path.write_bytes(data)
        try:
            with open_arrays(path, 10_000) as file:
                shapes = {name: file[name].shape for name in file}
        except InputError:
            continue
        assert shapes.get("x", (20,)) == (20,)


@pytest.mark.skipif(os.name == "nt", reason="no FIFOs")
def test_fifos_devices_and_directories_are_refused(tmp_path):
    """A FIFO without a writer is not waited for."""
    os.mkfifo(tmp_path / "fifo.npz")
    (tmp_path / "folder.npz").mkdir()
    for path in (tmp_path / "fifo.npz", tmp_path / "folder.npz", "/dev/zero", tmp_path / "missing.npz"):
        with pytest.raises(InputError, match=r"expected a regular file|No such file|Is a directory"):
            open_arrays(path, 1000).__enter__()


@pytest.mark.parametrize("order", "<>")
def test_strings_without_code_points_are_refused(tmp_path, order):
    codes = np.array([97, 0x110000], order + "u4")
    np.savez(tmp_path / "a.npz", bad=codes.view(order + "U2").reshape(()), good=np.array("aé", order + "U2"))
    with open_arrays(tmp_path / "a.npz", 1000) as file:
        assert str(file["good"]) == "aé"
        with pytest.raises(InputError, match="bad: expected Unicode characters"):
            file["bad"]


@pytest.mark.parametrize("zip64", [False, True])
def test_archives_with_a_large_directory_are_refused(tmp_path, monkeypatch, zip64):
    """The directory, which Python reads whole, is limited; also if its size is in a zip64 record."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 10 if zip64 else 1 << 16)
    monkeypatch.setattr(arrays, "MAX_DIRECTORY_BYTES", 3_000)
    for count, allowed in ((40, True), (80, False)):
        write(tmp_path / "a.npz", **{f"x{number:02}": declared((1,), data=b"1") for number in range(count)})
        with nullcontext() if allowed else pytest.raises(InputError, match="of the archive's directory"):
            open_arrays(tmp_path / "a.npz", 100_000).__enter__()
