"""Hostile volumes, series and films: each kind of file with the words of the error that it must become.

Signals have theirs in the test of WAV files.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

import nibabel
import numpy as np
from dicom_series import encoded, slice_set
from film_files import animation, square_film, video
from malformed_images import chunk
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.dicom import read_dicom_series
from gradcam_cli.images.films import read_film
from gradcam_cli.images.nifti import read_nifti
from gradcam_cli.images.read_options import ReadOptions

OPTIONS = ReadOptions(max_pixels=1 << 16, rank=3)
SLICE = np.arange(6).reshape(2, 3)


class Case(NamedTuple):
    """A hostile file: what it is, its bytes, what reads it, and words of the error."""

    kind: str
    data: bytes
    read: Callable[[bytes], Decoded]
    refused: str


def nifti(data: bytes) -> Decoded:
    return read_nifti(data, OPTIONS)


def dicom(data: bytes) -> Decoded:
    return read_dicom_series([("a.dcm", lambda: data)], OPTIONS)


def film(data: bytes) -> Decoded:
    return read_film(data, OPTIONS)


def volume(dtype=np.int16, kind=nibabel.Nifti1Image, values=None, **fields) -> bytes:
    """A NIfTI file with fields of its header as they are given, valid or not."""
    values = np.arange(24).reshape(2, 3, 4).astype(dtype) if values is None else values
    data = bytearray(kind(values, np.diag([1, 2, 3, 1]), dtype=values.dtype).to_bytes())
    header = kind.header_class(bytes(data[: kind.header_class.sizeof_hdr]), check=False)
    for name, value in fields.items():
        header[name] = value
    data[: len(header.binaryblock)] = header.binaryblock
    return bytes(data)


def slice_file(**attributes) -> bytes:
    return encoded(slice_set(SLICE, **attributes))


def patched(data: bytes, after: bytes, skip: int, new: bytes) -> bytes:
    """A file with other bytes at a distance from a mark."""
    place = data.index(after) + len(after) + skip
    return data[:place] + new + data[place + len(new) :]


def niftis() -> Iterator[Case]:
    side = 32_767
    for kind, data, words in [
        ("empty", b"", "damaged NIfTI file"),
        ("text", b"hello" * 200, "not a NIfTI file"),
        ("header and values in two files", volume(magic=b"ni1"), "got a header alone"),
        ("huge sides", volume(dim=[3, side, side, side, 1, 1, 1, 1]), "too large: expected at most 65,536 voxels"),
        ("2^31", volume(kind=nibabel.Nifti2Image, dim=[3, 1 << 31, 1 << 31, 1 << 31, 1, 1, 1, 1]), "too large"),
        ("2^62", volume(kind=nibabel.Nifti2Image, dim=[3, 1 << 62, 2, 2, 1, 1, 1, 1]), "too large"),
        ("many channels", volume(dim=[4, 2, 3, 4, side, 1, 1, 1]), "too large"),
        ("side 0", volume(dim=[3, 2, 0, 4, 1, 1, 1, 1]), "damaged NIfTI file"),
        ("negative side", volume(dim=[3, 2, -3, 4, 1, 1, 1, 1]), "damaged NIfTI file"),
        ("99 axes", volume(dim=[99, 2, 3, 4, 1, 1, 1, 1]), "NIfTI file"),
        ("five axes", volume(dim=[5, 1, 2, 3, 2, 2, 1, 1]), "expected an array"),
        ("larger than the file", volume(dim=[3, 2, 3, 5, 1, 1, 1, 1]), "expected 412 bytes, got at most 400"),
        ("values at the start", volume(vox_offset=0), "damaged NIfTI file"),
        ("values far behind", volume(vox_offset=1e9), "damaged NIfTI file"),
        ("values nowhere", volume(vox_offset=np.nan), "damaged NIfTI file"),
        ("unknown type", volume(datatype=77), "damaged NIfTI file"),
        ("complex", volume(np.complex64), "expected a volume of real numbers, got complex64"),
        ("intercept NaN", volume(scl_slope=1, scl_inter=np.nan), "damaged NIfTI file"),
        ("slope 1e38", volume(np.float32, scl_slope=3e38), "finite values"),
        ("NaN", volume(values=np.full((2, 3, 4), np.nan, np.float32)), "finite values"),
        ("spacing -2", volume(pixdim=[1, 1, -2, 3, 1, 1, 1, 1]), "expected a positive spacing"),
        ("spacing NaN", volume(pixdim=[1, 1, np.nan, 3, 1, 1, 1, 1]), "expected a positive spacing"),
        ("gzip bomb behind", gzip.compress(volume(vox_offset=3e7)[:352] + bytes(50 << 20), 9), "damaged NIfTI file"),
        ("gzip bomb of headers", gzip.compress(bytes(50 << 20), 9), "not a NIfTI file"),
        ("gzip of 2 GB", gzip.compress(volume(dim=[3, 256, 256, 1, 1, 1, 1, 1])), "damaged NIfTI file"),
        ("gzip checksum", gzip.compress(volume())[:-8] + bytes(8), "damaged NIfTI file"),
        ("gzip of nothing", gzip.compress(b""), "damaged NIfTI file"),
    ]:
        yield Case(f"NIfTI: {kind}", data, nifti, words)


def nested(depth: int) -> bytes:
    """A DICOM file with sequences of undefined length in each other."""
    start = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    plain = slice_file()
    place = plain.index(b"\x20\0\x0e\0UI")  # before the series; (0008,1140) is a sequence of references
    return plain[:place] + start * depth


def dicoms() -> Iterator[Case]:
    jpeg = encapsulate([b"\xff\xd8\xff\xe0" + bytes(60)])
    rle = encapsulate([struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 50_000])
    one_group = {"PerFrameFunctionalGroupsSequence": [Dataset()]}
    for kind, data, words in [
        ("empty", b"", "a.dcm: not a DICOM file"),
        ("text", b"hello" * 200, "a.dcm: not a DICOM file"),
        ("no values", slice_file(PixelData=None), "damaged DICOM file"),
        ("no rows", slice_file(Rows=None), "the attribute Rows is missing"),
        ("no columns", slice_file(Columns=None), "the attribute Columns is missing"),
        ("no bits", slice_file().replace(b"\x28\0\0\1US", b"\x28\0\xee\1US"), "damaged DICOM file"),
        ("no photometric", slice_file(PhotometricInterpretation=None), "PhotometricInterpretation is missing"),
        ("rows 0", slice_file(Rows=0), "at least one value"),
        ("huge size", slice_file(Rows=65_535, Columns=65_535), "too large: expected at most 65,536 voxels"),
        ("larger than its values", slice_file(Rows=200, Columns=200), "damaged DICOM file"),
        ("millions of frames", slice_file(NumberOfFrames=2_000_000_000), "expected 1 to 65,536 frames"),
        ("frames without values", slice_file(NumberOfFrames=60_000, Rows=1, Columns=1), "damaged DICOM file"),
        ("frames without attributes", slice_file(NumberOfFrames=3, **one_group), "attributes of 3 frames"),
        ("spacing 0", slice_file(PixelSpacing=[-1, 1]), "expected a positive spacing"),
        ("one spacing", slice_file(PixelSpacing=[1]), "damaged DICOM file|expected 2 finite numbers"),
        ("position of two numbers", slice_file(ImagePositionPatient=[1, 2]), "expected 3 finite numbers"),
        ("no directions", slice_file(ImageOrientationPatient=[0] * 6), "perpendicular unit vectors"),
        ("slope too large", slice_file(RescaleSlope="1e300"), "finite values"),
        ("bits 17", slice_file(BitsAllocated=17), "damaged DICOM file"),
        ("deflated", slice_file(syntax=DeflatedExplicitVRLittleEndian), "deflated DICOM files are not supported"),
        ("JPEG of nothing", slice_file(syntax=JPEGBaseline8Bit, PixelData=jpeg), "a.dcm: "),
        ("run-length bomb", slice_file(syntax=RLELossless, PixelData=rle), "bytes of compressed values"),
        ("no items", slice_file(syntax=RLELossless, PixelData=encapsulate([b"\0\0"])), "a.dcm: "),
        ("length of 4 GB", patched(slice_file(Rows=200), b"\xe0\x7f\x10\x00OW\0\0", 0, b"\xfe\xff\xff\xff"), "a.dcm: "),
        ("sequences in sequences", nested(100_000), "a.dcm: "),
    ]:
        yield Case(f"DICOM: {kind}", data, dicom, words)


def films() -> Iterator[Case]:
    frames = square_film()
    gif, png, webp, mp4 = animation(frames), animation(frames, "PNG"), animation(frames, "WEBP"), video(frames)
    many = gif[: gif.index(b"!\xf9")] + b"!\xf9\4\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0" * 200 + b";"
    six = chunk(b"acTL", b"\0\0\0\x06" + bytes(4))
    for kind, data, words in [
        ("empty", b"", "the file is empty"),
        ("text", b"hello" * 200, "not a film: unknown format"),
        ("GIF of 65,535 x 65,535", gif[:6] + b"\xff\xff\xff\xff" + gif[10:], "too large"),
        ("GIF of many frames", many, "too large: expected at most 65,536 pixels"),
        ("PNG of 2^31 x 2^31", png[:8] + chunk(b"IHDR", b"\x7f\xff\xff\xff" * 2 + png[24:29]) + png[33:], "too large"),
        (
            "PNG without its frames",
            png.replace(six, chunk(b"acTL", b"\0\0\0\x09" + bytes(4))),
            "damaged animation",
        ),
        ("WebP of a chunk too long", patched(webp, b"ANMF", 0, b"\xff\xff\xff\x7f"), "damaged animation|not a film"),
        ("MP4 of 2^31 frames", patched(mp4, b"stsz", 4, struct.pack(">II", 1, 0x7FFFFFFF)), "2,147,483,647"),
        ("MP4 of no frames", patched(mp4, b"stsz", 4, struct.pack(">II", 0, 0)), "damaged video"),
        ("MP4 without pictures", mp4.replace(b"vide", b"soun"), "without pictures|damaged video"),
        ("MP4 with unknown codec", mp4.replace(b"avc1", b"zzzz"), "not supported|damaged video"),
        ("MP4 with a compressed header", mp4.replace(b"mvhd", b"cmov"), "compressed header"),
        ("MP4 header alone", mp4[: mp4.index(b"mdat") - 4], "damaged video|without pictures"),
        ("MP4 with changed pictures", patched(mp4, b"mdat", 700, b"\xff" * 900), "damaged video"),
        ("EBML alone", b"\x1aE\xdf\xa3" + b"\xff" * 30, "damaged video"),
        ("AVI alone", b"RIFF\xff\xff\xff\xffAVI LIST" + bytes(30), "damaged video"),
    ]:
        yield Case(f"film: {kind}", data, film, words)


CASES = [*niftis(), *dicoms(), *films()]
WHOLE = {
    "NIfTI-1": (volume(), nifti),
    "NIfTI-2": (volume(kind=nibabel.Nifti2Image), nifti),
    "NIfTI, gzip": (gzip.compress(volume(), mtime=0), nifti),
    "DICOM": (slice_file(), dicom),
    "GIF": (animation(square_film()), film),
    "PNG": (animation(square_film(), "PNG"), film),
    "WebP": (animation(square_film(), "WEBP"), film),
    **{kind: (video(square_film(), kind), film) for kind in ("mp4", "avi", "matroska", "webm")},
}
"""Valid files."""
