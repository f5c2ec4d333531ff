"""DICOM files like those of angiographs and fundus cameras, with a patient whose data must not leave them."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pydicom")

import pydicom
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from napari_darl.io.dicom import DicomMovie, read_dicom

PATIENT = "Mustermann^Erika"
RNG = np.random.default_rng(0)
MOVIE = RNG.integers(0, 256, (5, 40, 50), np.uint8)
DEEP = RNG.integers(0, 4096, (5, 40, 50), np.uint16)
SIGNED = RNG.integers(-2048, 2048, (5, 40, 50), np.int16)
SMOOTH = np.add.outer(np.arange(0, 80, 2), np.arange(50)).astype(np.uint8)
COLOURS = np.stack([SMOOTH, 255 - SMOOTH, SMOOTH // 2], -1)
CLASSES = {
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
    "RF": "1.2.840.10008.5.1.4.1.1.12.2",
    "OP": "1.2.840.10008.5.1.4.1.1.77.1.5.1",
}


def dataset(data: np.ndarray, bits: int | None = None, modality: str = "XA", **elements: Any) -> Any:
    """Return a data set of frames (T, Y, X), (Y, X) or, of uint8 and modality OP, (Y, X, 3)."""
    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = CLASSES[modality]
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.PatientName, made.PatientID, made.PatientBirthDate = PATIENT, PATIENT, "19640812"
    made.StudyDescription = made.SeriesDescription = made.ImageComments = PATIENT
    made.Modality = modality
    rgb = modality == "OP" and data.shape[-1] == 3
    made.SamplesPerPixel = 3 if rgb else 1
    made.PhotometricInterpretation = "RGB" if rgb else "MONOCHROME2"
    if rgb:
        made.PlanarConfiguration = 0
    shape = data.shape[:-1] if rgb else data.shape
    made.Rows, made.Columns = shape[-2:]
    if len(shape) == 3:
        made.NumberOfFrames = shape[0]
    made.BitsAllocated = data.dtype.itemsize * 8
    made.BitsStored = bits or made.BitsAllocated
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(data.dtype.kind == "i")
    values = data.tobytes()
    made.PixelData = values + b"\0" * (len(values) % 2)
    made["PixelData"].VR = "OB" if made.BitsAllocated == 8 else "OW"
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def compressed(made: Any, frames: list[bytes], syntax: str) -> Any:
    """Put compressed frames into a data set, and return it."""
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.PixelData = encapsulate(frames)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return made


def jpeg(frame: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def saved(path: Path, made: Any) -> Path:
    made.save_as(path, enforce_file_format=True)
    return path


def reread(folder: Path, made: Any) -> DicomMovie:
    """Write a data set to a file, and read it."""
    return read_dicom(saved(folder / "a.dcm", made))


@contextlib.contextmanager
def nothing_said(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that nothing is logged or warned about, at any level."""
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert caplog.records == []
    assert caught == []
