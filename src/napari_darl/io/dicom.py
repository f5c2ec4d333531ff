"""Read movies and pictures of DICOM files, without anything that identifies the patient."""

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_darl.errors import FileError
from napari_darl.io.arrays import ImageData, masked_padding
from napari_darl.io.bounded import BoundedFile
from napari_darl.io.dicom_header import (
    AGAIN,
    ELEMENTS,
    PALETTE,
    bits_of,
    finisher,
    frame_time_of,
    layout_of,
    modality_of,
    padding_of,
    pixel_size_of,
    window_of,
)
from napari_darl.io.dicom_pixels import Array, check_pixel_data, check_syntax, decoded

if TYPE_CHECKING:
    from pydicom.uid import UID

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")

LONGEST = 2**20
"""Bytes of an element; a longer one is damaged."""

# The elements that files without a preamble begin with, each with its value representation or, if that is implicit, the
# possible lengths of its value: group lengths, character set, image type, class.
_FIRST = {
    b"\x02\0\0\0": (b"UL", b"\4\0"),
    b"\x08\0\0\0": (b"UL", b"\4\0"),
    b"\x08\0\5\0": (b"CS", *(bytes([length, 0]) for length in range(2, 64, 2))),
    b"\x08\0\x08\0": (b"CS", *(bytes([length, 0]) for length in range(2, 128, 2))),
    b"\x08\0\x16\0": (b"UI", *(bytes([length, 0]) for length in range(2, 66, 2))),
}
_DIRECTORY = "1.2.840.10008.1.3.10"  # SOP class of DICOMDIR
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
    padding : tuple of float, optional
        The first and the last of the values that mean that nothing was recorded there.
    inverted : bool
        Whether the file is MONOCHROME1, in which greater values are darker, and `data` is inverted.
    is_volume : bool
        Whether the first of three axes is space, as for slices, and not time.
    slice_distance : float, optional
        Distance of slices, in mm.
    """

    data: Array
    rgb: bool = False
    bits: int | None = None
    pixel_size: tuple[float, float] | None = None
    pixel_size_from: Literal["PixelSpacing", "ImagerPixelSpacing"] | None = None
    frame_time: float | None = None
    window: tuple[float, float] | None = None
    modality: str = ""
    padding: tuple[float, float] | None = None
    inverted: bool = False
    is_volume: bool = False
    slice_distance: float | None = None

    def image(self, path: Path) -> ImageData[Array]:
        """Return the frames of the file `path` as an image, in which padding is masked."""
        axes = ("Z" if self.is_volume else "T") + ("YXS" if self.rgb else "YX")
        return ImageData(
            masked_padding(self.data, self.padding),
            self.rgb,
            self.pixel_size,
            "mm" if self.pixel_size else None,
            self.bits,
            axes[-self.data.ndim :],
            path,
            at_detector=self.pixel_size_from == "ImagerPixelSpacing",
            frame_time=self.frame_time,
            slice_distance=self.slice_distance,
        )


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
        with in_silence():
            return _read(Path(path))
    except FileError as error:
        problem = str(error)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        problem = f"{path} can't be opened ({error.strerror}). Check its name and its permissions."
    except MemoryError:
        problem = f"{path} doesn't fit into memory. Split it into files of fewer frames."
    except Exception:  # noqa: BLE001 (damaged data raise nearly anything)
        problem = f"{path} is damaged, or no image as DICOM defines it. {AGAIN}"
    raise FileError(problem)


@contextmanager
def in_silence() -> Iterator[None]:
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
        header = dcmread(file, defer_size=LONGEST, stop_before_pixels=True, force=True, specific_tags=list(ELEMENTS))
        for tag in list(header.keys()):
            if getattr(header.get_item(tag), "value", None) is None:  # empty, or longer than LONGEST
                del header[tag]
        layout = layout_of(path, header)
        stored = check_pixel_data(path, file, syntax, layout)
        if stored > layout.frames and "NumberOfFrames" in header:
            raise FileError(f"{path} holds {stored} frames, but its header declares {layout.frames}. {AGAIN}")
        layout = layout._replace(frames=stored)
        finish, limits = finisher(header, layout)
        data = decoded(path, file, syntax, layout, finish)
    rgb = layout.samples == 3 or layout.photometric == PALETTE
    size, element = pixel_size_of(header)
    return DicomMovie(
        data if layout.frames > 1 else data[0],
        rgb,
        bits_of(layout, data) if limits == layout.range and layout.photometric != PALETTE else None,
        size,
        element,
        frame_time_of(header),
        None if rgb else window_of(header, layout, limits, data),
        modality_of(header),
        padding_of(header, layout, finish),
        layout.photometric == "MONOCHROME1",
    )


def is_dicom(path: Path) -> bool:
    """Return whether a file of any name is a DICOM file, judged by its preamble or, without one, its first element."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return False
    return start[128:] == b"DICM" or (len(start) > 8 and start[4:6] in _FIRST.get(start[:4], ()))


def is_dicomdir(path: Path) -> bool:
    """Return whether a path is a DICOMDIR, the index of a medium, judged by its name and its content."""
    return path.name.upper() == "DICOMDIR" and is_dicom(path)


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
