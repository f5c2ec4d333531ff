"""Read movies and pictures of DICOM files, without anything that identifies the patient."""

import logging
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from napari_darl.errors import FileError
from napari_darl.io.bounded import BoundedFile
from napari_darl.io.dicom_pixels import Array, Layout, check_pixel_data, check_syntax, decoded
from napari_darl.io.size_limits import MAX_BYTES

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_PALETTE = "PALETTE COLOR"
# Only these elements are read. None of them identifies the patient.
_ELEMENTS = (
    *("Modality", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows"),
    *("Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept"),
    *("PixelSpacing", "ImagerPixelSpacing", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *(f"{c}PaletteColorLookupTable{part}" for c in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")),
)
# An element may hold anything, a name included, so a modality is passed on only if DICOM defines it.
_MODALITIES = (
    *("AR", "BI", "CR", "CT", "DMS", "DX", "ECG", "ES", "GM", "IO", "IVOCT", "IVUS", "LS", "MG", "MR", "NM", "OAM"),
    *("OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PT", "PX", "RF", "RG", "SC", "SM", "TG"),
    *("US", "VA", "XA", "XC"),
)
_LONGEST = 2**20  # bytes of an element; a longer one is damaged
_DIRECTORY = "1.2.840.10008.1.3.10"  # SOP class of DICOMDIR
_AGAIN = "Export or copy it again from its source."
_LOGGERS = ("pydicom", "pylibjpeg", "libjpeg", "openjpeg")


@dataclass(frozen=True, eq=False)
class DicomMovie:
    """Frames of a DICOM file, and those parts of its header that aren't about the patient.

    Attributes
    ----------
    data : numpy.ndarray, shape (T, Y, X), (Y, X) or, where `rgb`, (T, Y, X, 3) or (Y, X, 3)
        Integers, or float32 if the rescaling isn't by integers. Greater values are brighter: MONOCHROME1 is inverted.
        Bitmaps are 0 and 255.
    rgb : bool
        Whether the last axis holds colours.
    bits : int, optional
        Bits that the values use, where fewer than the dtype has.
    pixel_size : tuple of float, optional
        Height and width of a pixel, in mm.
    pixel_size_from : {"PixelSpacing", "ImagerPixelSpacing"}, optional
        The element that holds the pixel size. PixelSpacing applies to the patient. ImagerPixelSpacing applies to the
        detector, where everything is larger by the magnification.
    frame_time : float, optional
        Time from one frame to the next, in ms.
    window : tuple of float, optional
        The values to show as black and as white.
    modality : str
        Such as "XA" or "OP"; empty unless DICOM defines it.
    """

    data: Array
    rgb: bool = False
    bits: int | None = None
    pixel_size: tuple[float, float] | None = None
    pixel_size_from: Literal["PixelSpacing", "ImagerPixelSpacing"] | None = None
    frame_time: float | None = None
    window: tuple[float, float] | None = None
    modality: str = ""


def read_dicom(path: str | os.PathLike[str]) -> DicomMovie:
    """Read the frames of a DICOM file: angiography, fluoroscopy, photographs of the eye, and the like.

    Parameters
    ----------
    path : path-like
        A DICOM file of any name with one frame or more, grey, with a palette or in colours, uncompressed or
        compressed. Colours become RGB. Rescaling (slope and intercept) is applied if it is the same for all frames.
        Lookup tables other than palettes aren't: those of XA files aren't meant for display.

    Returns
    -------
    DicomMovie
        The frames. Nothing about the patient is read, nor does it reach messages or logs.

    Raises
    ------
    FileError
        If the file is missing, damaged, cut short or no DICOM image, declares more than `MAX_BYTES` or fewer frames
        than it holds, is compressed in a way that no installed package can decode, or if pydicom isn't installed.
    """
    try:
        import pydicom.pixels  # noqa: F401
    except ImportError:
        message = f'{path} is a DICOM file. Install what reads it: pip install "napari-darl[dicom]".'
        raise FileError(message) from None
    # Errors of pydicom quote values of the file, so none is chained to the raised one.
    try:
        with _in_silence():
            return _read(Path(path))
    except FileError as error:
        problem = str(error)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        problem = f"{path} can't be opened ({error.strerror}). Check its name and its permissions."
    except MemoryError:
        problem = f"{path} doesn't fit into memory. Split it into files of fewer frames."
    except Exception:  # noqa: BLE001 (damaged data raise nearly anything)
        problem = f"{path} is damaged, or no image as DICOM defines it. {_AGAIN}"
    raise FileError(problem)


@contextmanager
def _in_silence() -> Iterator[None]:
    """Suppress this thread's warnings and logs, which may quote values of the file."""
    thread = threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    names = [name for name in list(logging.root.manager.loggerDict) if name.split(".")[0] in _LOGGERS]
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(others)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(others)


def _read(path: Path) -> DicomMovie:
    from pydicom import dcmread

    with BoundedFile(path) as file:
        syntax = check_syntax(path, _transfer_syntax(path, file))
        file.seek(0)
        # Of a file without file meta information, dcmread finds out the transfer syntax itself.
        header = dcmread(file, defer_size=_LONGEST, stop_before_pixels=True, force=True, specific_tags=list(_ELEMENTS))
        for tag in list(header.keys()):
            if getattr(header.get_item(tag), "value", None) is None:  # empty, or longer than _LONGEST
                del header[tag]
        layout = _layout(path, header)
        stored = check_pixel_data(path, file, syntax, layout)
        if stored > layout.frames and "NumberOfFrames" in header:
            raise FileError(f"{path} holds {stored} frames, but its header declares {layout.frames}. {_AGAIN}")
        layout = layout._replace(frames=stored)
        finish, limits = _finisher(header, layout)
        data = decoded(path, file, syntax, layout, finish)
    rgb = layout.samples == 3 or layout.photometric == _PALETTE
    size, element = _pixel_size(header)
    modality = str(header.get("Modality", ""))
    return DicomMovie(
        data if layout.frames > 1 else data[0],
        rgb,
        _bits(layout, data) if limits == layout.range and layout.photometric != _PALETTE else None,
        size,
        element,
        _frame_time(header),
        None if rgb else _window(header, layout, limits, data),
        modality if modality in _MODALITIES else "",
    )


def is_dicom(path: Path) -> bool:
    """Return whether a file of any name is a DICOM file, judged by its preamble."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _transfer_syntax(path: Path, file: BoundedFile) -> "UID | None":
    """Return the transfer syntax of a DICOM file.

    Files of old devices may lack the preamble, and the file meta information that holds the transfer syntax. They begin
    with an element of the group 0008, whose encoding shows whether the value representation is explicit.
    """
    from pydicom.filereader import read_dataset
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    start = file.read(132)
    if start[128:] != b"DICM":
        file.seek(0)
        if start[:2] == b"\x08\0":
            return ExplicitVRLittleEndian if start[4:6].isalpha() else ImplicitVRLittleEndian
        if start[:2] != b"\x02\0":
            raise FileError(f"{path} isn't a DICOM file. Export it again from its source as DICOM (Part 10).")
    meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    if meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
        raise FileError(f"{path} is a DICOMDIR, an index of other files. Pass those files, or their folder.")
    syntax: UID | None = meta.get("TransferSyntaxUID")
    return syntax


def _layout(path: Path, header: "Dataset") -> Layout:
    if "Rows" not in header or "BitsAllocated" not in header:
        raise FileError(f"{path} holds no image. Choose the file of a movie or a picture.")
    whole = {name: int(header.get(name) or 0) for name in ("Rows", "Columns", "BitsAllocated", "BitsStored")}
    frames = int(header.get("NumberOfFrames") or 1)
    allocated, stored = whole["BitsAllocated"], whole["BitsStored"]
    if min(frames, *whole.values()) < 1:
        raise FileError(f"{path} declares no pixels. {_AGAIN}")
    if max(allocated, stored) > 64:
        raise FileError(f"{path} is damaged, or no image as DICOM defines it. {_AGAIN}")
    if allocated not in (1, 8, 16, 32) or stored > allocated or int(header.get("HighBit", stored - 1)) != stored - 1:
        raise FileError(
            f"{path} stores its values in an unusual way ({stored} of {allocated} bits). Export it with 8 or 16 bits."
        )
    samples, photometric = int(header.get("SamplesPerPixel") or 1), str(header.get("PhotometricInterpretation", ""))
    if photometric not in {1: (*_GREY, _PALETTE), 3: _COLOURS}.get(samples, ()):
        raise FileError(f"{path} has colours of an unusual kind. Export it as grey or RGB.")
    signed = bool(header.get("PixelRepresentation", 0))
    layout = Layout(
        frames, whole["Rows"], whole["Columns"], samples, allocated, stored, signed and samples == 1, photometric
    )
    if layout.values * math.ceil(allocated / 8) > MAX_BYTES:
        raise FileError(f"{path} is damaged: it declares more than {MAX_BYTES // 2**30} GiB of pixels. {_AGAIN}")
    return layout


def _finisher(header: "Dataset", layout: Layout) -> tuple[Callable[[Array], Array], tuple[float, float]]:
    """Return the function that finishes each decoded frame, and the range of values that it returns."""
    low, high = layout.range
    if layout.photometric == _PALETTE:
        return lambda frame: _coloured(frame, header), (low, high)
    if layout.samples == 3:
        return lambda frame: frame, (low, high)
    if layout.allocated == 1:
        turned = layout.photometric == "MONOCHROME1"
        return lambda frame: ((frame == 0) == turned).astype(np.uint8) * np.uint8(255), (0, 1)
    slope = (_numbers(header, "RescaleSlope") or [1.0])[0] or 1.0
    intercept = (_numbers(header, "RescaleIntercept") or [0.0])[0]
    ends = sorted((low * slope + intercept, high * slope + intercept))
    if max(map(abs, ends)) > np.finfo(np.float32).max:
        raise ValueError("rescaled values overflow float32")
    types = ("u1", "u2", "i2", "i4") if slope.is_integer() and intercept.is_integer() else ()
    fitting = (np.dtype(kind) for kind in types if np.iinfo(kind).min <= ends[0] and ends[1] <= np.iinfo(kind).max)
    dtype = next(fitting, np.dtype(np.float32))

    def finish(frame: Array) -> Array:
        if layout.photometric == "MONOCHROME1":
            frame = frame.dtype.type(low + high) - frame
        if (slope, intercept) == (1, 0):
            return frame
        return (frame * np.float64(slope) + intercept).astype(dtype)

    return finish, (ends[0], ends[1])


def _coloured(frame: Array, header: "Dataset") -> npt.NDArray[np.uint8]:
    from pydicom.pixels import apply_color_lut

    colours = apply_color_lut(frame, header)[..., :3]
    deep = colours.dtype.itemsize > 1 and colours.max() > 255  # some files store colours of 8 bits in 16
    return (colours >> 8 if deep else colours).astype(np.uint8)


def _bits(layout: Layout, data: Array) -> int | None:
    fewer = 1 < layout.stored < data.dtype.itemsize * 8
    return layout.stored if fewer and data.dtype.kind == "u" and int(data.max()) < 2**layout.stored else None


def _numbers(header: "Dataset", keyword: str) -> list[float]:
    """Return the finite numbers of an element that are the same for all frames; none if there are none.

    Enhanced files keep them in functional groups, either one shared by all frames or one per frame.
    """
    with suppress(Exception):
        shared = [_groups(group) for group in header.get("SharedFunctionalGroupsSequence") or ()]
        for datasets in ([header], *shared):
            if numbers := _values(datasets, keyword):
                return numbers
        first, *others = header.get("PerFrameFunctionalGroupsSequence") or [[]]
        numbers = _values(_groups(first), keyword)
        if numbers and all(_values(_groups(other), keyword) == numbers for other in others):
            return numbers
    return []


def _groups(group: "Dataset") -> "list[Dataset]":
    return [dataset for element in group if element.VR == "SQ" for dataset in element.value]


def _values(datasets: "list[Dataset]", keyword: str) -> list[float]:
    for dataset in datasets:
        if keyword in dataset:
            values = np.atleast_1d(np.asarray(dataset[keyword].value, float))
            return values.tolist() if np.isfinite(values).all() else []
    return []


def _pixel_size(
    header: "Dataset",
) -> tuple[tuple[float, float] | None, Literal["PixelSpacing", "ImagerPixelSpacing"] | None]:
    elements: tuple[Literal["PixelSpacing", "ImagerPixelSpacing"], ...] = ("PixelSpacing", "ImagerPixelSpacing")
    sizes = {element: _numbers(header, element) for element in elements}
    for element, size in sizes.items():
        if len(size) == 2 and min(size) > 0:
            # PixelSpacing that repeats the detector's hasn't been calibrated (DICOM PS3.3, section 10.7.1.3).
            return (size[0], size[1]), element if size != sizes["ImagerPixelSpacing"] else "ImagerPixelSpacing"
    return None, None


def _frame_time(header: "Dataset") -> float | None:
    vector = _numbers(header, "FrameTimeVector")[1:]  # the first entry is the time before the first frame
    times = [*_numbers(header, "FrameTime")[:1], *([float(np.median(vector))] if vector else [])]
    for rate in ("CineRate", "RecommendedDisplayFrameRate"):
        times += [1000 / value for value in _numbers(header, rate)[:1] if value > 0]
    return next((time for time in times if 0 < time < math.inf), None)


def _window(header: "Dataset", layout: Layout, limits: tuple[float, float], data: Array) -> tuple[float, float] | None:
    centre, width = _numbers(header, "WindowCenter"), _numbers(header, "WindowWidth")
    if not centre or not width or layout.allocated == 1:
        return None
    half, middle = width[0] / 2, centre[0]
    if str(header.get("VOILUTFunction") or "LINEAR") == "LINEAR":  # its ends lie half a value further inside
        half, middle = half - 0.5, middle - 0.5
    low, high = middle - half, middle + half
    if layout.photometric == "MONOCHROME1":
        low, high = sum(limits) - high, sum(limits) - low
    return (low, high) if low < high and low < data.max() and high > data.min() else None
