"""DICOM series: order, place, units and picture of their slices against numbers by hand; irregular ones are refused."""

import sys

import nibabel
import numpy as np
import pytest
from dicom_series import AXIAL, SAGITTAL, encoded, files, series, slice_set
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLosslessSV1, RLELossless

from gradcam_cli.errors import InputError
from gradcam_cli.images.dicom import read_dicom_series
from gradcam_cli.images.nifti import write_nifti
from gradcam_cli.images.read_options import ReadOptions

OPTIONS = ReadOptions(rank=3)
VALUES = np.stack([100 * k + np.arange(6).reshape(2, 3) for k in range(4)])
"""The values of `series`, (slices, rows, columns)."""


def read(sets, **options):
    return read_dicom_series(files(sets), OPTIONS._replace(**options))


def affine(volume):
    return nibabel.Nifti1Header(volume.space.nifti_header).get_best_affine()


def test_slices_are_sorted_by_their_position():
    """The order of the files does not matter: slice k lies at z = 30 + 2 k."""
    sets = series()
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        volume = read([sets[i] for i in order])
        assert np.array_equal(volume.bands.values[..., 0], VALUES)
        assert volume.space.kind == "volume"
        assert volume.space.spacing == (2, 0.5, 0.25)
        assert volume.pixels.shape == (4, 2, 3, 3)


def test_the_affine_of_axial_slices():
    """Columns go left by 0.25, rows to the back by 0.5, slices up by 2; NIfTI counts right and front as positive."""
    assert affine(read(series())).tolist() == [
        [-0.25, 0, 0, -10],
        [0, -0.5, 0, -20],
        [0, 0, 2, 30],
        [0, 0, 0, 1],
    ]


def test_the_affine_of_sagittal_slices():
    """Columns go to the back, rows down; the normal of (0, 1, 0) and (0, 0, -1) is (-1, 0, 0), to the right."""
    volume = read(series(step=(-3, 0, 0), directions=SAGITTAL))
    assert np.array_equal(volume.bands.values[..., 0], VALUES)
    assert affine(volume).tolist() == [
        [0, 0, 3, -10],
        [-0.25, 0, 0, -20],
        [0, -0.5, 0, 30],
        [0, 0, 0, 1],
    ]


def test_slices_that_go_against_their_normal_are_turned():
    """The first slice is the lowest along the normal."""
    volume = read(series(step=(3, 0, 0), directions=SAGITTAL))
    assert np.array_equal(volume.bands.values[..., 0], VALUES[::-1])
    assert affine(volume)[:3, 3].tolist() == [-19, -20, 30]
    assert affine(volume)[:3, 2].tolist() == [3, 0, 0]


def test_the_affine_of_oblique_slices():
    """Turned by 3-4-5 triangles around x: rows along (0, 0.8, 0.6), the normal is (0, -0.6, 0.8)."""
    volume = read(series(step=(0, -1.2, 1.6), directions=(1, 0, 0, 0, 0.8, 0.6)))
    expected = [[-0.25, 0, 0, -10], [0, -0.4, 1.2, -20], [0, 0.3, 1.6, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(affine(volume), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(volume.space.spacing, (2, 0.5, 0.25))


def test_a_tilted_gantry_is_kept():
    """Slices shifted against each other: the third column is the step, not the normal."""
    assert affine(read(series(step=(0, 0.5, 2))))[:3, 2].tolist() == [0, -0.5, 2]


def test_a_map_is_written_in_the_space_of_the_series():
    volume = read(series())
    heatmap = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    written = nibabel.Nifti1Image.from_bytes(write_nifti(heatmap, volume.space, compressed=False))
    assert np.array_equal(written.affine, affine(volume))
    assert np.array_equal(written.get_fdata(), heatmap.T)


def test_units_of_each_slice_are_applied():
    sets = series(2)
    sets[0][1].RescaleSlope, sets[0][1].RescaleIntercept = 2, -1024
    sets[1][1].RescaleSlope = 0.5
    assert read(sets).bands.values[:, 0, 1, 0].tolist() == [2 * 1 - 1024, 0.5 * 101]


def test_people_see_the_window_of_the_file():
    """The first of several. In DICOM, a width of 11 around 5.5 is 0 to 10. The model gets the values."""
    volume = read(series(2, WindowCenter=[5.5, 400], WindowWidth=[11, 2000]))
    assert volume.pixels[..., 0].ravel().tolist() == [0, 26, 51, 76, 102, 128] + [255] * 6
    assert not volume.bands.scaled
    assert read(series(2, WindowCenter=5.5, WindowWidth=11)).pixels.tolist() == volume.pixels.tolist()
    wide = read(series(2, WindowCenter=50, WindowWidth=100), window=(50, 1000))
    assert wide.bands.scaled
    assert wide.bands.values[0, 0, 0, 0] == 255 * 450 / 1000


def test_low_values_of_monochrome1_are_bright():
    dark, bright = (read(series(2, PhotometricInterpretation=f"MONOCHROME{i}")) for i in (2, 1))
    assert (bright.pixels == 255 - dark.pixels).mean() > 0.9  # halves are rounded to even
    assert abs(bright.pixels + dark.pixels.astype(int) - 255).max() <= 1
    assert np.array_equal(bright.bands.values, dark.bands.values)


def multiframe():
    """Four frames in one file, stored in the order 2, 0, 3, 1."""
    order = (2, 0, 3, 1)
    dataset = slice_set(VALUES[list(order)], NumberOfFrames=4, ImagePositionPatient=None)
    dataset.PerFrameFunctionalGroupsSequence = []
    for k in order:
        plane, group = Dataset(), Dataset()
        plane.ImagePositionPatient = [10, 20, 30 + 2 * k]
        group.PlanePositionSequence = [plane]
        dataset.PerFrameFunctionalGroupsSequence.append(group)
    measures, group, orientation, units = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, orientation.ImageOrientationPatient = [0.5, 0.25], list(AXIAL)
    units.RescaleSlope, units.RescaleIntercept = 2, 1
    group.PixelMeasuresSequence, group.PlaneOrientationSequence = [measures], [orientation]
    group.PixelValueTransformationSequence = [units]
    dataset.SharedFunctionalGroupsSequence = [group]
    del dataset.PixelSpacing, dataset.ImageOrientationPatient
    return dataset


def test_frames_of_one_file_are_slices():
    volume = read([("all.dcm", multiframe())])
    assert np.array_equal(volume.bands.values[..., 0], 2 * VALUES + 1)
    assert np.array_equal(affine(volume), affine(read(series())))


def test_frames_without_positions_keep_their_order():
    """There is no affine, and the distance of slices is that of the file."""
    volume = read([("all.dcm", slice_set(VALUES, NumberOfFrames=4, SpacingBetweenSlices=3))])
    assert np.array_equal(volume.bands.values[..., 0], VALUES)
    assert volume.space.spacing == (3, 0.5, 0.25)
    assert volume.space.nifti_header is None


def test_one_slice_is_a_volume():
    volume = read(series(1, SliceThickness=5))
    assert volume.space.spacing == (5, 0.5, 0.25)
    assert affine(volume)[2].tolist() == [0, 0, 5, 30]


def test_run_length_encoding_is_read():
    sets = series()
    for _, dataset in sets:
        dataset.compress(RLELossless, generate_instance_uid=False)
    assert np.array_equal(read(sets).bands.values[..., 0], VALUES)


def changed(index=1, **attributes):
    """A series in which the attributes of one slice are changed."""
    sets = series()
    for name, value in attributes.items():
        setattr(sets[index][1], name, value)
    return sets


IRREGULAR = {
    "missing slice": (
        [series(6)[i] for i in (0, 1, 2, 4, 5)],
        r"slices are missing between 2.dcm and 4.dcm: .*2 mm.*4 mm",
    ),
    "duplicate": ([*series(), series()[2]], r"expected one slice at each position, got two: 2.dcm and 2.dcm"),
    "uneven": (changed(ImagePositionPatient=[10, 20, 32.5]), r"unevenly spaced between 0.dcm and 1.dcm: .*2.5 mm"),
    "shifted": (changed(ImagePositionPatient=[11, 20, 32]), r"unevenly spaced between 0.dcm and 1.dcm"),
    "two series": (changed(SeriesInstanceUID="1.9"), r"1.dcm has another series than 0.dcm"),
    "size": ([*series(), ("4.dcm", slice_set(np.zeros((3, 3)), (10, 20, 38)))], r"4.dcm has another size than 0.dcm"),
    "orientation": (changed(ImageOrientationPatient=[0, 1, 0, 1, 0, 0]), r"1.dcm has another orientation"),
    "spacing": (changed(PixelSpacing=[0.5, 0.5]), r"1.dcm has another spacing"),
    "photometric": (changed(PhotometricInterpretation="MONOCHROME1"), r"another photometric interpretation"),
    "no positions": (series(ImagePositionPatient=None), r"the order of the slices is unknown"),
    "colors": (series(PhotometricInterpretation="RGB"), r"0.dcm: expected gray values, got RGB"),
    "none": ([], r"at least one DICOM file"),
}


@pytest.mark.parametrize("case", IRREGULAR)
def test_irregular_series_are_refused(case):
    sets, message = IRREGULAR[case]
    with pytest.raises(InputError, match=message):
        read(sets)


def test_rounded_positions_are_no_gaps():
    """Slices of 0.625 mm whose positions have one decimal."""
    sets = series(9)
    for k, (_, dataset) in enumerate(sets):
        dataset.ImagePositionPatient = [0, 0, f"{0.625 * k * 8:.1f}"]
    assert read(sets).space.spacing[0] == pytest.approx(5)


def test_other_compressions_name_their_packages(monkeypatch):
    dataset = slice_set(VALUES[0], syntax=JPEGLosslessSV1)
    from pydicom.encaps import encapsulate

    dataset.PixelData = encapsulate([bytes(100)])
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", property(lambda self: False))
    with pytest.raises(InputError, match=r"0.dcm: the compression JPEG Lossless.* requires other packages") as caught:
        read([("0.dcm", dataset)])
    assert "pylibjpeg" in caught.value.hint


def test_a_missing_package_is_named(monkeypatch):
    data = encoded(series()[0][1])
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match="a DICOM file requires the package pydicom") as caught:
        read_dicom_series([("0.dcm", lambda: data)], OPTIONS)
    assert caught.value.hint == "pip install 'gradcam-cli[dicom]'"
