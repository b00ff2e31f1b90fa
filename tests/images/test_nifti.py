"""NIfTI files: their values and spaces against nibabel, and maps written in the space of their volume."""

import gzip
import itertools
import struct
import sys

import nibabel
import numpy as np
import pytest

from gradcam_cli.errors import InputError
from gradcam_cli.images.nifti import header_of_affine, read_nifti, write_nifti
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.space import Space

OPTIONS = ReadOptions(rank=3)
STORED = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
OBLIQUE = np.array([[1.41, -0.3, 0.2, 5], [0.4, 1.9, -0.7, -70.123], [-0.1, 0.61, 2.83, 9], [0, 0, 0, 1]])
MIRRORED = OBLIQUE * [[-1], [1], [1], [1]]
KINDS = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}


def nifti(values=STORED, affine=OBLIQUE, version=1, order="<", slope=1, inter=0, units=("mm", "sec"), **fields):
    """A NIfTI file of any byte order."""
    header = KINDS[version].header_class(endianness=order)
    header.set_data_dtype(values.dtype)
    image = KINDS[version](values, affine, header)
    image.header.set_xyzt_units(*units)
    image.header["descrip"] = b"a scanner"
    if (slope, inter) != (1, 0):
        image.header.set_slope_inter(slope, inter)
    for name, value in fields.items():
        image.header[name] = value
    return image.to_bytes()


def opened(data, version=1):
    return KINDS[version].from_bytes(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)


def read(data, **options):
    return read_nifti(data, OPTIONS._replace(**options))


@pytest.mark.parametrize("compressed", [False, True])
def test_the_axes_are_slices_rows_and_columns(compressed):
    """The first axis of the file becomes the last one of the volume, as in SimpleITK; the values are nibabel's."""
    data = nifti(affine=np.diag([0.5, 2, 3, 1]), slope=0.5, inter=-7)
    volume = read(gzip.compress(data) if compressed else data)
    assert volume.bands.values.shape == (4, 3, 2, 1)
    assert np.array_equal(volume.bands.values[..., 0], opened(data).get_fdata(dtype=np.float32).T)
    assert volume.bands.values[3, 1, 0, 0] == STORED[0, 1, 3] * 0.5 - 7
    assert volume.space.kind == "volume"
    assert volume.space.spacing == (3, 2, 0.5)
    assert volume.space.stored_axes == (2, 1, 0)
    assert volume.pixels.shape == (4, 3, 2, 3)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "f4", "f8", "i8", "u8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_of_numbers_is_read(dtype, order):
    values = STORED.astype(dtype)
    assert np.array_equal(read(nifti(values, order=order)).bands.values[..., 0].T, STORED.astype(np.float32))


CASES = list(itertools.product((1, 2), "<>", (OBLIQUE, MIRRORED), (("mm", "sec"), ("micron", "unknown"))))


@pytest.mark.parametrize(("version", "order", "affine", "units"), CASES)
@pytest.mark.parametrize("codes", [(1, 2), (0, 4), (3, 0), (0, 0)])
def test_a_map_has_the_space_of_its_volume_to_the_bit(version, order, affine, units, codes):
    """Every byte of the header that says where voxels lie is that of the source."""
    source = nifti(
        affine=affine, version=version, order=order, units=units, slope=2, qform_code=codes[0], sform_code=codes[1]
    )
    heatmap = np.random.default_rng(0).random((4, 3, 2), np.float32)
    written = opened(write_nifti(heatmap, read(source).space), version)
    before = opened(source, version)
    assert np.array_equal(written.affine, before.affine)
    for field in _PLACES:
        assert written.header[field].tobytes() == before.header[field].tobytes(), field
    assert written.header.endianness == before.header.endianness
    assert written.shape == before.shape
    assert written.get_data_dtype() == np.dtype(order + "f4")
    assert np.array_equal(written.get_fdata(dtype=np.float32), heatmap.T)


_PLACES = (
    "qform_code sform_code quatern_b quatern_c quatern_d qoffset_x qoffset_y qoffset_z srow_x srow_y srow_z pixdim "
    "xyzt_units dim_info descrip dim"
).split()


def test_the_determinant_of_a_mirrored_space_is_negative():
    """The case above is one."""
    assert np.linalg.det(OBLIQUE[:3, :3]) > 0 > np.linalg.det(opened(nifti(affine=MIRRORED)).affine[:3, :3])


def test_written_bytes_are_always_the_same():
    space = read(nifti()).space
    heatmap = np.ones((4, 3, 2), np.float32)
    assert write_nifti(heatmap, space) == write_nifti(heatmap, space)
    assert gzip.decompress(write_nifti(heatmap, space)) == write_nifti(heatmap, space, compressed=False)


def test_other_axes_are_transposed_back():
    """A file of slices, rows, columns."""
    source = nifti(affine=np.diag([3, 2, 0.5, 1]))
    volume = read(source, axes="DHW")
    assert np.array_equal(volume.bands.values[..., 0], STORED.astype(np.float32))
    assert volume.space.spacing == (3, 2, 0.5)
    assert np.array_equal(opened(write_nifti(volume.bands.values[..., 0], volume.space)).get_fdata(), STORED)


def test_a_fourth_axis_is_of_channels():
    stored = np.arange(48, dtype=np.float32).reshape(2, 3, 4, 2)
    volume = read(nifti(stored))
    assert np.array_equal(volume.bands.values, stored.transpose(2, 1, 0, 3))
    written = opened(write_nifti(volume.bands.values[..., 1], volume.space))
    assert np.array_equal(written.get_fdata(), stored[..., 1])


def test_a_fourth_axis_of_time_gives_a_film():
    """Of one slice: (W, H, 1, T), every 250 ms."""
    data = nifti(
        np.arange(24, dtype=np.int16).reshape(2, 3, 1, 4), units=("mm", "msec"), pixdim=[1, 2, 3, 4, 250, 0, 0, 0]
    )
    film = read(data, axes="WHCT")
    assert film.space.kind == "film"
    assert film.space.spacing == (0.25, 3, 2)
    assert film.bands.values.shape == (4, 3, 2, 1)
    written = opened(write_nifti(film.bands.values[..., 0], film.space))
    assert np.array_equal(written.get_fdata(), opened(data).get_fdata())


def test_axes_of_length_one_are_left_out():
    assert read(nifti(STORED[..., None])).bands.values.shape == (4, 3, 2, 1)
    assert read(nifti(np.stack([STORED, STORED], -1)[:, :, :, None])).bands.values.shape == (4, 3, 2, 2)
    assert read(nifti(STORED[..., 0])).bands.values.shape == (1, 3, 2, 1)


@pytest.mark.parametrize(("unit", "millimeters"), [("meter", 1000), ("micron", 0.001), ("unknown", 1)])
def test_the_spacing_is_in_millimeters(unit, millimeters):
    assert read(nifti(affine=np.diag([1, 2, 4, 1]), units=(unit, "sec"))).space.spacing == tuple(
        side * millimeters for side in (4, 2, 1)
    )


def test_a_volume_of_another_format_has_a_header_of_its_spacing():
    heatmap = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    written = opened(write_nifti(heatmap, Space("volume", (3, 2, 0.5))))
    assert written.header.get_zooms() == (0.5, 2, 3)
    assert np.array_equal(written.get_fdata(), heatmap.T)
    assert (written.header["qform_code"], written.header["sform_code"]) == (0, 0)
    assert opened(write_nifti(heatmap, Space("volume"))).header.get_zooms() == (1, 1, 1)
    wide = np.zeros((1, 1, 40_000), np.float32)
    assert opened(write_nifti(wide, Space("volume")), 2).shape == (40_000, 1, 1)


def test_a_header_has_its_affine():
    header = nibabel.Nifti1Header(header_of_affine((2, 3, 4), MIRRORED))
    assert np.array_equal(header.get_sform(), np.float32(MIRRORED))
    assert header.get_xyzt_units()[0] == "mm"


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(InputError, match="a NIfTI file requires the package nibabel") as caught:
        read(nifti_without_import())
    assert caught.value.hint == "pip install 'gradcam-cli[nifti]'"


def nifti_without_import():
    return struct.pack("<i", 348) + bytes(400)
