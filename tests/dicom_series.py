"""DICOM files of a series, made by pydicom."""

import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)


def slice_set(values, position=(10, 20, 30), directions=AXIAL, syntax=ExplicitVRLittleEndian, **attributes):
    """Return the data set of a CT slice of int16 values, in millimeters left, posterior and superior."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    uid = "1.2.3." + ".".join(str(abs(int(1000 * number))) for number in position)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.Modality = "1.2.3.4", "1.2.3.5", "CT"
    values = np.asarray(values, "<i2")
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.ImagePositionPatient = [f"{number:.6g}" for number in position]
    dataset.ImageOrientationPatient = [f"{number:.10g}" for number in directions]
    dataset.PixelSpacing = [0.5, 0.25]  # between rows, between columns
    dataset.PixelData = values.tobytes()
    for name, value in attributes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def encoded(dataset) -> bytes:
    """Return the bytes of a file."""
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def series(count=4, step=(0, 0, 2), start=(10, 20, 30), **attributes):
    """Return (name, data set) of slices in their order: slice k has the values 100 k, 100 k + 1, ..."""
    sets = []
    for k in range(count):
        position = tuple(np.add(start, np.multiply(step, k)))
        sets.append((f"{k}.dcm", slice_set(100 * k + np.arange(6).reshape(2, 3), position, **attributes)))
    return sets


def files(sets):
    """Return what `read_dicom_series` takes."""
    return [(name, lambda dataset=dataset: encoded(dataset)) for name, dataset in sets]
