"""DICOM files that the tests write themselves."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless, generate_uid

PATIENT = "Doe^Jane"
XA = "1.2.840.10008.5.1.4.1.1.12.1"  # X-Ray Angiographic Image Storage


def write_dicom(
    path: Path, frames: np.ndarray, *, compression: str | None = None, stored: int | None = None, **tags: Any
) -> Path:
    """Write frames (T, Y, X), or colours (T, Y, X, 3), with any further elements."""
    colours = frames.ndim == 4
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = XA
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.Modality = PATIENT, "4711", "XA"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape[:3]
    dataset.SamplesPerPixel = 3 if colours else 1
    if colours:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if colours else "MONOCHROME2"
    dataset.BitsAllocated = 8 * frames.dtype.itemsize
    dataset.BitsStored = stored or dataset.BitsAllocated
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(frames.dtype.kind == "i")
    dataset.PixelData = frames.tobytes()
    if compression == "rle":
        dataset.compress(RLELossless)
    elif compression == "jpeg":
        pictures = []
        for frame in frames:
            Image.fromarray(frame).save(picture := BytesIO(), "JPEG", quality=95)
            pictures.append(picture.getvalue())
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PixelData = encapsulate(pictures)
        dataset["PixelData"].VR = "OB"
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path
