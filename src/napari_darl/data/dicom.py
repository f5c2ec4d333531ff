"""DICOM files of angiography (XA), radiofluoroscopy (RF) and ophthalmic photography (OP), without patient data."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_darl.data.tiff import MAX_BYTES
from napari_darl.errors import DarlError, FileError

if TYPE_CHECKING:
    from pydicom import Dataset

DICOM_SUFFIXES = (".dcm", ".dicom")

_DEFERRED = 2**16  # bytes; what is longer, as pixels are, is read only when it is asked for


class DicomImage(NamedTuple):
    """The pixels of a DICOM file, and what it tells of them; nothing that it tells of a patient.

    Attributes
    ----------
    data : numpy.ndarray, shape (T, Y, X), (Y, X) or, where `rgb`, with an axis of 3 colours behind
        Brighter is greater, whatever the photometric interpretation; integers, or float32 where the file has a rescale
        slope or intercept.
    rgb : bool
        Whether the last axis holds colours.
    pixel_size : tuple of float or None
        Height and width of a pixel in mm: PixelSpacing, else ImagerPixelSpacing, which is that of the detector.
    bits : int or None
        Bits that the values use, where fewer than the dtype has.
    frame_time : float or None
        Milliseconds from frame to frame.
    window : tuple of float or None
        Least and greatest value that the file wants shown.
    """

    data: npt.NDArray[Any]
    rgb: bool = False
    pixel_size: tuple[float, float] | None = None
    bits: int | None = None
    frame_time: float | None = None
    window: tuple[float, float] | None = None


def read_dicom(path: Path) -> DicomImage:
    """Read the frames of a DICOM file.

    Parameters
    ----------
    path : Path
        A file of one or several frames, compressed or not.

    Raises
    ------
    FileError
        If pydicom or a decoder isn't installed, or the file has no pixels, is damaged, cut short or oversized. The
        message has the file's name and nothing of its contents.
    """
    try:
        import pydicom
        from pydicom.pixels.processing import apply_color_lut
        from pydicom.pixels.utils import pixel_array
    except ImportError:
        raise FileError(f'{path} is a DICOM file: pip install "napari-darl[dicom]" to read it') from None
    with _quiet(path):
        dataset = pydicom.dcmread(path, defer_size=_DEFERRED)
        _check(path, dataset)
        photometric = str(dataset.PhotometricInterpretation)
        data: npt.NDArray[Any] = pixel_array(dataset)  # colours of the kind YBR become RGB
        rgb = int(dataset.SamplesPerPixel) == 3
        if photometric == "PALETTE COLOR":
            rgb, data = True, apply_color_lut(data, dataset)
            data = (data >> 8).astype(np.uint8) if data.dtype == np.uint16 else data
        if rgb:
            return DicomImage(data[..., :3], True, _pixel_size(dataset), None, _frame_time(dataset))
        stored = int(dataset.BitsStored)
        return _grey(data, dataset, stored, inverted=photometric == "MONOCHROME1")


def _grey(data: npt.NDArray[Any], dataset: "Dataset", stored: int, *, inverted: bool) -> DicomImage:
    slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
    window = _window(dataset)
    bits: int | None = stored if stored < 8 * data.dtype.itemsize and data.dtype.kind == "u" else None
    if (slope, intercept) != (1, 0):
        data, bits = data.astype(np.float32) * np.float32(slope) + np.float32(intercept), None
    if inverted:
        if data.dtype.kind == "f":
            data, window = -data, window and (-window[1], -window[0])
        else:
            top = 2**stored - 1 if data.dtype.kind == "u" else -1
            data, window = (top - data).astype(data.dtype), window and (top - window[1], top - window[0])
    return DicomImage(data, False, _pixel_size(dataset), bits, _frame_time(dataset), window)


def _check(path: Path, dataset: "Dataset") -> None:
    """Look at sizes and decoders before memory is taken."""
    from pydicom.pixels.decoders.base import get_decoder

    if "Rows" not in dataset or not any(f"{kind}PixelData" in dataset for kind in ("", "Float", "DoubleFloat")):
        raise FileError(f"{path} is a DICOM file without an image: choose one that has frames")
    frames, samples = int(dataset.get("NumberOfFrames") or 1), int(dataset.get("SamplesPerPixel", 1))
    rows, columns, allocated = int(dataset.Rows), int(dataset.Columns), int(dataset.get("BitsAllocated", 0))
    if min(frames, samples, rows, columns, allocated) < 1 or not 0 < int(dataset.get("BitsStored", 0)) <= allocated:
        raise FileError(f"{path} has frames of impossible sizes: copy or export it again")
    needed = frames * rows * columns * samples * allocated // 8
    if needed > MAX_BYTES:
        raise FileError(f"{path} claims {needed / 2**30:.0f} GiB of pixels: it is damaged, or must be split")
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        if needed > path.stat().st_size and not str(dataset.PhotometricInterpretation).endswith("422"):
            raise FileError(f"{path} is cut short: its header promises more data than it has, so copy it again")
        return
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        remedy = 'pip install "napari-darl[dicom]", or save it uncompressed'
        raise FileError(f"{path} is compressed by {syntax.name}, which can't be decoded here: {remedy}")


def _pixel_size(dataset: "Dataset") -> tuple[float, float] | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        value = dataset.get(name)
        if value is not None and len(value) == 2 and all(0 < float(length) < 1e6 for length in value):
            return float(value[0]), float(value[1])
    return None


def _frame_time(dataset: "Dataset") -> float | None:
    """Milliseconds from frame to frame; of a vector of them the median, whose first is 0."""
    vector = dataset.get("FrameTimeVector")
    if vector is not None and not isinstance(vector, float | int | str) and len(vector) > 1:
        found = float(np.median([float(value) for value in vector][1:]))
    elif dataset.get("FrameTime"):
        found = float(dataset.FrameTime)
    else:
        rate = dataset.get("CineRate") or dataset.get("RecommendedDisplayFrameRate")
        found = 1000 / float(rate) if rate and float(rate) > 0 else 0.0
    return found if 0 < found < 1e9 else None


def _window(dataset: "Dataset") -> tuple[float, float] | None:
    center, width = dataset.get("WindowCenter"), dataset.get("WindowWidth")
    if center is None or width is None:
        return None
    first = [float(value if isinstance(value, float | int | str) else value[0]) for value in (center, width)]
    low, high = first[0] - first[1] / 2, first[0] + first[1] / 2
    return (low, high) if low < high else None


@contextmanager
def _quiet(path: Path) -> Iterator[None]:
    """Turn what goes wrong into an error without its text, and drop warnings: both may tell of the patient."""
    log = logging.getLogger("pydicom")
    before = log.disabled
    log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DarlError:
        raise
    except (FileNotFoundError, PermissionError) as error:
        raise FileError(f"{path} can't be opened ({error.strerror}): check its name and its rights") from None
    except MemoryError:
        raise FileError(f"{path} doesn't fit into memory: split it into smaller files") from None
    except Exception:  # noqa: BLE001 - damaged files raise nearly anything
        raise FileError(f"{path} is damaged, cut short or no DICOM file: copy or export it again") from None
    finally:
        log.disabled = before
