"""Movies and pictures of DICOM files, without anything that tells who they are of."""

import logging
import math
import os
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_darl.bounded import BoundedFile
from napari_darl.data.claims import coded_size
from napari_darl.data.tiff import MAX_BYTES
from napari_darl.errors import FileError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

DICOM_SUFFIXES = (".dcm", ".dicom")

Array = npt.NDArray[Any]

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_PALETTE = "PALETTE COLOR"
# No other elements are taken from a file: none of these tells who a patient is.
_ELEMENTS = (
    *("Modality", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows"),
    *("Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept"),
    *("PixelSpacing", "ImagerPixelSpacing", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate", "SharedFunctionalGroupsSequence"),
    *(f"{c}PaletteColorLookupTable{part}" for c in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")),
)
# An element may hold anything, a name included, so only what means a kind of image is told.
_MODALITIES = (
    *("AR", "BI", "CR", "CT", "DMS", "DX", "ECG", "ES", "GM", "IO", "IVOCT", "IVUS", "LS", "MG", "MR", "NM", "OAM"),
    *(
        "OCT",
        "OP",
        "OPM",
        "OPT",
        "OPTBSV",
        "OPTENF",
        "OPV",
        "OSS",
        "OT",
        "PT",
        "PX",
        "RF",
        "RG",
        "SC",
        "SM",
        "TG",
        "US",
    ),
    *("US", "VA", "XA", "XC"),
)
_LONGEST = 2**20  # bytes; an element that is longer can only be damaged
_DENSEST = 1000  # times that a movie shrinks by compression; only frames without an image shrink more,
_HARMLESS = 2**26  # and may, if they unpack to so few bytes
_LOGGERS = ("pydicom", "pylibjpeg", "libjpeg", "openjpeg")
_PIXEL_DATA = (0x7FE0, 0x0010)
_ITEM, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_UNDEFINED = 0xFFFFFFFF
_UNCOMPRESSED = "export it without compression (Explicit VR Little Endian)"


@dataclass(frozen=True, eq=False)
class DicomMovie:
    """Frames of a DICOM file, and what of its header isn't about a patient.

    Attributes
    ----------
    data : numpy.ndarray, shape (T, Y, X), (Y, X) or, where `rgb`, (T, Y, X, 3) or (Y, X, 3)
        Integers, or float32 where the rescaling isn't by integers. Bigger is brighter: MONOCHROME1 is turned round.
        A bitmap is 0 and 255.
    rgb : bool
        Whether the last axis holds colours.
    bits : int, optional
        Bits that the values use, from 0, where fewer than the dtype has.
    pixel_size : tuple of float, optional
        Height and width of a pixel, in mm.
    pixel_size_from : {"PixelSpacing", "ImagerPixelSpacing"}, optional
        Which element told it: PixelSpacing is meant for the patient, ImagerPixelSpacing is that of the detector, where
        all is larger by the magnification.
    frame_time : float, optional
        From one frame to the next, in ms.
    window : tuple of float, optional
        The values to be shown black and white.
    modality : str
        Such as "XA" or "OP", of those that DICOM defines; empty if it is none of them.
    """

    data: Array
    rgb: bool = False
    bits: int | None = None
    pixel_size: tuple[float, float] | None = None
    pixel_size_from: Literal["PixelSpacing", "ImagerPixelSpacing"] | None = None
    frame_time: float | None = None
    window: tuple[float, float] | None = None
    modality: str = ""


class _Layout(NamedTuple):
    """What the header promises; sizes in pixels."""

    frames: int
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    signed: bool
    photometric: str

    @property
    def values(self) -> int:
        return self.frames * self.rows * self.columns * self.samples

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"{'i' if self.signed else 'u'}{math.ceil(self.allocated / 8)}")

    @property
    def range(self) -> tuple[int, int]:
        half = 2 ** (self.stored - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)


def read_dicom(path: str | os.PathLike[str]) -> DicomMovie:
    """Read the frames of a DICOM file: angiography, fluoroscopy, photographs of the eye, and the like.

    Parameters
    ----------
    path : path-like
        A file in the DICOM File Format with a single frame or many, grey, with a palette or in colours, uncompressed or
        compressed. Colours become RGB. A rescaling (slope and intercept) is applied, other tables aren't: those of XA
        files aren't meant for display.

    Returns
    -------
    DicomMovie
        The frames. Nothing about the patient is taken from the file, and neither messages nor logs have any of it.

    Raises
    ------
    FileError
        If the file is missing, damaged, cut short or no DICOM image, promises more than `MAX_BYTES`, is compressed in a
        way that nothing installed can undo, or if pydicom isn't installed.
    """
    try:
        import pydicom.pixels  # noqa: F401
    except ImportError:
        raise FileError(f'{path} is a DICOM file, which needs pydicom: pip install "napari-darl[dicom]"') from None
    # Errors of pydicom quote values of the file, so none is chained to the one that is raised.
    try:
        with _in_silence():
            return _read(Path(path))
    except FileError as error:
        problem = str(error)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        problem = f"{path} can't be opened ({error.strerror}): check its name and its rights"
    except MemoryError:
        problem = f"{path} doesn't fit into memory: split it into files of fewer frames"
    except Exception:  # noqa: BLE001 (damaged data raise nearly anything)
        problem = f"{path} is damaged, or no image as DICOM defines it: export or copy it again from its source"
    raise FileError(problem)


@contextmanager
def _in_silence() -> Iterator[None]:
    """Keep warnings and logs of this thread back that may quote values of the file."""
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
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_dataset, read_preamble

    with BoundedFile(path) as file:
        try:
            read_preamble(file, force=False)
        except InvalidDicomError:
            raise FileError(f"{path} is no DICOM file: export it again from its source, as DICOM (Part 10)") from None
        about = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
        syntax = about.get("TransferSyntaxUID")
        _check_syntax(path, syntax)
        file.seek(0)
        header = dcmread(file, defer_size=_LONGEST, stop_before_pixels=True, specific_tags=list(_ELEMENTS))
        for tag in list(header.keys()):
            if getattr(header.get_item(tag), "value", None) is None:  # empty, or too long to be read
                del header[tag]
        layout = _layout(path, header)
        _check_pixel_data(path, file, syntax, layout)
        finish, limits = _finisher(header, layout)
        data = _decoded(path, file, syntax, layout, finish)
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


def _check_syntax(path: Path, syntax: "UID | None") -> None:
    from pydicom.pixels import get_decoder
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    if not syntax:
        raise FileError(f"{path} doesn't tell how it is encoded: export it again from its source")
    name = "an unknown transfer syntax" if syntax.name == str(syntax) else syntax.name  # others have no name
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise FileError(f"{path} is compressed as can't be read here ({name}): {_UNCOMPRESSED}") from None
    if syntax == DeflatedExplicitVRLittleEndian:  # its size is known only when all of it is in memory
        raise FileError(f"{path} is compressed as a whole, header included ({name}): {_UNCOMPRESSED}")
    if not decoder.is_available:
        raise FileError(f'{path} is compressed ({name}): pip install "napari-darl[dicom]", or {_UNCOMPRESSED}')


def _layout(path: Path, header: "Dataset") -> _Layout:
    if "Rows" not in header or "BitsAllocated" not in header:
        raise FileError(f"{path} holds no image: choose the file of a movie or a picture")
    whole = {name: int(header.get(name) or 0) for name in ("Rows", "Columns", "BitsAllocated", "BitsStored")}
    frames = int(header.get("NumberOfFrames") or 1)
    allocated, stored = whole["BitsAllocated"], whole["BitsStored"]
    if min(frames, *whole.values()) < 1:
        raise FileError(f"{path} promises no pixels: export or copy it again from its source")
    if max(allocated, stored) > 64:
        raise FileError(f"{path} is damaged, or no image as DICOM defines it: export or copy it again from its source")
    if allocated not in (1, 8, 16, 32) or stored > allocated or int(header.get("HighBit", stored - 1)) != stored - 1:
        raise FileError(
            f"{path} keeps its values in an unusual way ({stored} of {allocated} bits): export it with 8 or 16 bits"
        )
    samples, photometric = int(header.get("SamplesPerPixel") or 1), str(header.get("PhotometricInterpretation", ""))
    if photometric not in {1: (*_GREY, _PALETTE), 3: _COLOURS}.get(samples, ()):
        raise FileError(f"{path} has colours of an unusual kind: export it as grey or RGB")
    signed = bool(header.get("PixelRepresentation", 0))
    layout = _Layout(
        frames, whole["Rows"], whole["Columns"], samples, allocated, stored, signed and samples == 1, photometric
    )
    if layout.values * math.ceil(allocated / 8) > MAX_BYTES:
        raise FileError(
            f"{path} promises more than {MAX_BYTES // 2**30} GiB of pixels, which is damage: copy it again from its "
            "source"
        )
    return layout


def _check_pixel_data(path: Path, file: BinaryIO, syntax: "UID", layout: _Layout) -> None:
    """See that the file has what its header promises; the file is at the element of the pixels, and comes back."""
    start = file.tell()
    order = "<" if syntax.is_little_endian else ">"
    head = file.read(8)
    tag = struct.unpack(order + "HH", head[:4]) if len(head) == 8 else None
    if tag != _PIXEL_DATA:
        raise FileError(f"{path} holds no pixels, or is cut short before them: copy it again from its source")
    length = struct.unpack(order + "L", head[4:] if syntax.is_implicit_VR else file.read(4))[0]
    values = file.tell()
    there = os.fstat(file.fileno()).st_size - values
    if syntax.is_encapsulated:
        promised = layout.values * math.ceil(layout.allocated / 8)
        complete = promised <= max(there * _DENSEST, _HARMLESS) and _fragments(file, there) >= layout.frames
        file.seek(values)
        complete = complete and _check_sizes(path, file, syntax, layout) == layout.frames
    else:
        samples = 2 if layout.photometric == "YBR_FULL_422" else layout.samples  # two pixels share their colours
        promised = math.ceil(layout.values // layout.samples * samples * layout.allocated / 8)
        complete = promised <= (there if length == _UNDEFINED else min(there, length))
    if not complete:
        raise FileError(f"{path} is cut short: its header promises more pixels than it has, so copy it again")
    file.seek(start)


def _fragments(file: BinaryIO, there: int) -> int:
    """Count the pieces of compressed data that are there in whole, without reading them."""
    end = file.tell() + there
    count = -1  # the first one is a table of offsets
    while len(head := file.read(8)) == 8:
        *tag, length = struct.unpack("<HHL", head)
        if tuple(tag) != _ITEM or file.tell() + length > end:
            return count if tuple(tag) == _END else -1
        file.seek(length, os.SEEK_CUR)
        count += 1
    return count if not head else -1


def _check_sizes(path: Path, file: BinaryIO, syntax: "UID", layout: _Layout) -> int:
    """Count the compressed frames, and refuse any that would unpack to another size than the header tells."""
    from pydicom.encaps import generate_frames
    from pydicom.uid import RLELossless

    count = 0
    for frame in islice(generate_frames(file, number_of_frames=layout.frames), layout.frames):
        count += 1
        if syntax == RLELossless or frame[4:8] == b"jP  ":  # can't unpack to more; is checked by its decoder
            continue
        if coded_size(frame) != (layout.rows, layout.columns):
            raise FileError(f"{path} is damaged at frame {count}: copy it again from its source")
    return count


def _decoded(path: Path, file: BinaryIO, syntax: "UID", layout: _Layout, finish: Callable[[Array], Array]) -> Array:
    from pydicom.pixels import iter_pixels

    colours = (3,) if layout.samples == 3 else ()
    count, data = 0, np.empty(0)
    try:
        for frame in islice(iter_pixels(file), layout.frames):
            if frame.shape != (layout.rows, layout.columns, *colours) or frame.itemsize > layout.dtype.itemsize:
                raise ValueError("a frame of another kind")
            finished = finish(frame.astype(layout.dtype, copy=False))  # some decoders give fewer bytes
            if count == 0:
                data = np.empty((layout.frames, *finished.shape), finished.dtype)
            data[count] = finished
            count += 1
        if count < layout.frames:
            raise ValueError("too few frames")
    except MemoryError:
        raise
    except Exception:
        if not syntax.is_encapsulated:
            raise
        raise FileError(
            f"{path} has a frame that can't be decompressed ({syntax.name}): "
            f'pip install "napari-darl[dicom]" if that isn\'t done, copy it again, or {_UNCOMPRESSED}'
        ) from None
    return data


def _finisher(header: "Dataset", layout: _Layout) -> tuple[Callable[[Array], Array], tuple[float, float]]:
    """Say what is done to each frame, and how far the values may reach then."""
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
        raise ValueError("a rescaling beyond all floats")
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
    deep = colours.dtype.itemsize > 1 and colours.max() > 255  # some keep colours of 8 bits in 16
    return (colours >> 8 if deep else colours).astype(np.uint8)


def _bits(layout: _Layout, data: Array) -> int | None:
    fewer = 1 < layout.stored < data.dtype.itemsize * 8
    return layout.stored if fewer and data.dtype.kind == "u" and int(data.max()) < 2**layout.stored else None


def _datasets(header: "Dataset") -> "Iterator[Dataset]":
    """Go through the places of values that hold for all frames; newer kinds of files have them in groups."""
    yield header
    for group in header.get("SharedFunctionalGroupsSequence") or ():
        for element in group:
            if element.VR == "SQ":
                yield from element.value


def _numbers(header: "Dataset", keyword: str) -> list[float]:
    """Take finite numbers from an element; none if it isn't there or holds anything else."""
    with suppress(Exception):
        for dataset in _datasets(header):
            if keyword in dataset:
                values = np.atleast_1d(np.asarray(dataset[keyword].value, float))
                return values.tolist() if np.isfinite(values).all() else []
    return []


def _pixel_size(
    header: "Dataset",
) -> tuple[tuple[float, float] | None, Literal["PixelSpacing", "ImagerPixelSpacing"] | None]:
    elements: tuple[Literal["PixelSpacing", "ImagerPixelSpacing"], ...] = ("PixelSpacing", "ImagerPixelSpacing")
    for element in elements:
        size = _numbers(header, element)
        if len(size) == 2 and min(size) > 0:
            return (size[0], size[1]), element
    return None, None


def _frame_time(header: "Dataset") -> float | None:
    vector = _numbers(header, "FrameTimeVector")[1:]  # the first one is the time before the first frame
    times = [*_numbers(header, "FrameTime")[:1], *([float(np.median(vector))] if vector else [])]
    for rate in ("CineRate", "RecommendedDisplayFrameRate"):
        times += [1000 / value for value in _numbers(header, rate)[:1] if value > 0]
    return next((time for time in times if 0 < time < math.inf), None)


def _window(header: "Dataset", layout: _Layout, limits: tuple[float, float], data: Array) -> tuple[float, float] | None:
    centre, width = _numbers(header, "WindowCenter"), _numbers(header, "WindowWidth")
    if not centre or not width or layout.allocated == 1:
        return None
    half, middle = width[0] / 2, centre[0]
    if str(header.get("VOILUTFunction") or "LINEAR") == "LINEAR":  # its ends are pixel values, half a step inside
        half, middle = half - 0.5, middle - 0.5
    low, high = middle - half, middle + half
    if layout.photometric == "MONOCHROME1":
        low, high = sum(limits) - high, sum(limits) - low
    return (low, high) if low < high and low < data.max() and high > data.min() else None
