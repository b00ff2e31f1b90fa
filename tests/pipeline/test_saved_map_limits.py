"""Saved maps that declare too large sizes, and names of saved maps outside their directory."""

import tracemalloc
import zipfile

import numpy as np
import pytest

from gradcam_cli.errors import InputError
from gradcam_cli.pipeline.saved import load_saved_map
from gradcam_cli.storage.paths import as_path, is_inside


def make_bomb(path, shape, num_bytes=0, dtype=np.float32, **arrays):
    """Write a compressed file whose heatmap has a header of a shape, followed by zeros."""
    np.savez(path, **arrays)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("heatmap.npy", "w", force_zip64=True) as member,
    ):
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(num_bytes >> 20):
            member.write(bytes(1 << 20))


@pytest.mark.parametrize(
    ("shape", "num_bytes", "dtype"),
    [
        ((5000, 8000), 160 << 20, np.float32),
        ((3, 3), 160 << 20, np.float32),
        ((1 << 20, 1 << 20), 0, np.float64),
        ((1 << 40, 0), 0, np.float32),
        ((1000, 1000), 0, np.longdouble),
    ],
)
def test_decompression_bombs_use_little_memory(tmp_path, shape, num_bytes, dtype):
    """Arrays that inflate to 1,000 times the file's size, that are shorter or longer than declared, or empty."""
    make_bomb(tmp_path / "bomb.npz", shape, num_bytes, dtype)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"bomb\.npz"):
            load_saved_map(tmp_path / "bomb.npz")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_huge_directory_of_an_archive_is_refused(tmp_path):
    """`zipfile` would read it into memory."""
    np.savez(tmp_path / "x.npz", heatmap=np.eye(2))
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[-22 + 12 : -22 + 16] = (1 << 30).to_bytes(4, "little")
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"of the archive.s directory"):
        load_saved_map(tmp_path / "x.npz")


def test_names_of_maps_in_a_store_stay_in_the_directory():
    """Of an object `maps/../x.npz`, no file outside the output directory of `compare` is written."""
    maps = as_path("memory://bucket/maps")
    assert is_inside("memory://bucket/maps/sub/x.npz", maps)
    for url in ("memory://bucket/maps/../x.npz", "memory://bucket/x.npz", "memory://other/maps/x.npz", "/maps/x.npz"):
        assert not is_inside(url, maps)
