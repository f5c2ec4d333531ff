"""Read frames, colours, stored bits and pixel size of TIFF files, and refuse damaged ones.

Decoders fill gaps in damaged files silently, allocate whatever a header declares, and follow pages that go in circles
without end. So a file is checked in four steps before any pixel is decoded:

1. The chain of pages ends (`_check_chain`).
2. The declared size is plausible (`_check_complete`).
3. The file holds as many bytes as its header promises, and they may unpack to that many pixels (`check_segments`).
4. Each JPEG or JPEG 2000 stream declares the size of its tile (`_check_coded_sizes`).
"""

import logging
import math
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from tifffile import COMPRESSION, PHOTOMETRIC, RESUNIT

from napari_darl.errors import DarlError, FileError
from napari_darl.io.arrays import ImageData
from napari_darl.io.size_limits import MAX_BYTES, MAX_RATIO, MAX_RATIO_OF_TILES, can_unpack, coded_size

TIFF_SUFFIXES = (".tif", ".tiff")
CENTIMETRES = {"nm": 1e-7, "µm": 1e-4, "mm": 0.1, "cm": 1.0, "m": 100.0}
"""Metric units in centimetres, the unit of TIFF's resolution tags."""


_HEAD = 2**12  # bytes of a JPEG that contain its size
_BYTEWISE = {COMPRESSION[name] for name in ("NONE", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "JPEG", "OJPEG")}
_JPEGS = {COMPRESSION[name] for name in ("JPEG", "JPEG2000", "APERIO_JP2000_RGB", "APERIO_JP2000_YCBC")}
_MICROMETRES = {"um", "micron", "microns", "micrometer", "\\u00B5m", "μm"}  # spellings in real files
_LENGTHLESS = {"", "pixel", "pixels", "none", "null"}


@contextmanager
def open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file, and turn any exception that its reading raises into a FileError.

    Parameters
    ----------
    path : Path
        A TIFF file.

    Yields
    ------
    tifffile.TiffFile
        The open file.

    Raises
    ------
    FileError
        If the file is missing, or anything in it can't be decoded.
    """
    with reading_tiff(path), tiff_file(path) as tiff:
        yield tiff


def tiff_file(path: Path) -> tifffile.TiffFile:
    """Open a TIFF file inside `reading_tiff`; the caller closes it."""
    # Of a data set of several files, only this one is read.
    tiff = tifffile.TiffFile(path, _multifile=False, is_mmstack=False, is_ndtiff=False)
    try:
        _check_chain(path, tiff)
    except BaseException:
        tiff.close()
        raise
    return tiff


@contextmanager
def reading_tiff(path: Path) -> Iterator[None]:
    """Turn exceptions and tifffile's logged errors, of this thread, into a FileError that says what to do."""
    complaints: list[str] = []

    def collect(record: logging.LogRecord) -> bool:
        if record.thread != threading.get_ident():
            return True
        # A tag that can't be read does no harm. If it matters, a later check misses it.
        if record.levelno >= logging.ERROR and "TiffTag" not in record.getMessage():
            complaints.append(record.getMessage())
        return False

    log = logging.getLogger("tifffile")
    log.addFilter(collect)
    try:
        yield
        if complaints:
            raise ValueError(complaints[0])
    except DarlError:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise FileError(f"{path} can't be opened ({error.strerror}). Check its name and its permissions.") from error
    except MemoryError as error:
        raise FileError(f"{path} doesn't fit into memory. Split it into smaller files.") from error
    except Exception as error:  # decoders raise nearly anything on damaged data
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        remedy = "Save or copy it again from its source."
        if "imagecodecs" in reason:
            remedy = "Install imagecodecs (pip install imagecodecs), or save it with zlib compression or none."
        raise FileError(f"{path} can't be read as a TIFF ({reason}). {remedy}") from error
    finally:
        log.removeFilter(collect)


def _check_chain(path: Path, tiff: tifffile.TiffFile) -> None:
    """Refuse pages that go in circles.

    Each page ends with the offset of the next. An offset that has come before closes a circle.
    """
    layout, file, seen = tiff.tiff, tiff.filehandle, set()
    offset = tiff.pages.first.offset
    with suppress(struct.error):  # at the end of a file that is cut short, which is checked later
        while 0 < offset < file.size:
            if offset in seen:
                raise FileError(f"{path} is damaged: its pages go in circles. Copy it again from its source.")
            seen.add(offset)
            file.seek(offset)
            (tags,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
            file.seek(offset + layout.tagnosize + tags * layout.tagsize)
            (offset,) = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))


def full_size_series(tiff: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return the series of a file without thumbnails; the pages of a series have the same size and type."""
    return [series for series in tiff.series if not series.keyframe.is_reduced] or list(tiff.series)


def series_frames(path: Path, tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> ImageData[npt.NDArray[Any]]:
    """Read the frames of a series.

    Parameters
    ----------
    path : Path
        The file's name, for messages.
    tiff : tifffile.TiffFile
        The open file.
    series : tifffile.TiffPageSeries
        One of its series.

    Returns
    -------
    ImageData
        Pages and hyperstack axes lead. Alpha is dropped, palettes become colours, and "white is zero" is inverted.
        Pixel size and bits aren't filled in.

    Raises
    ------
    FileError
        If data are missing, or the colours are of a kind that isn't supported.
    """
    _check_complete(path, series)
    page = series.keyframe
    data: npt.NDArray[Any] = series.asarray()
    axes = series.axes
    samples = "S" in axes
    if samples and data.ndim == len(axes):
        data = np.moveaxis(data, axes.index("S"), -1)
        axes = axes.replace("S", "") + "S"
    if is_rgb(page):
        # Without samples, the file's own metadata calls the colours an axis, such as channels.
        rgb = samples and data.shape[-1] >= 3
        return _image(path, data[..., :3] if rgb else data, axes, rgb)
    if page.photometric == PHOTOMETRIC.PALETTE and page.colormap is not None and not tiff.is_imagej:
        colours = (np.moveaxis(page.colormap[:, data], 0, -1) >> 8).astype(np.uint8)
        return _image(path, colours, axes + "S", rgb=True)
    if page.photometric not in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.PALETTE):
        kind = PHOTOMETRIC(page.photometric).name
        raise FileError(f"{path} has colours of the kind {kind}. Save it as grey or RGB.")
    if samples:
        if any(int(sample) in (1, 2) for sample in page.extrasamples):
            data, axes = data[..., 0], axes[:-1]  # alpha is dropped
        else:
            data, axes = np.moveaxis(data, -1, 0), "C" + axes[:-1]
    if data.dtype == np.bool_:
        data = data.astype(np.uint8) * np.uint8(255)
    if page.photometric == PHOTOMETRIC.MINISWHITE and data.dtype.kind == "u":
        bits = page.bitspersample if page.bitspersample > 1 else 8
        data = data.dtype.type(2**bits - 1) - data
    return _image(path, data, axes)


def _image(path: Path, data: npt.NDArray[Any], axes: str, rgb: bool = False) -> ImageData[npt.NDArray[Any]]:
    return ImageData(data, rgb, axes=axes if len(axes) == data.ndim else None, path=path)


def is_rgb(page: tifffile.TiffPage) -> bool:
    """Return whether a page decodes to red, green and blue, as JPEG's YCbCr does, too."""
    jpeg = page.compression in (COMPRESSION.JPEG, COMPRESSION.OJPEG)
    return page.photometric == PHOTOMETRIC.RGB or (page.photometric == PHOTOMETRIC.YCBCR and jpeg)


def _check_complete(path: Path, series: tifffile.TiffPageSeries) -> None:
    """Refuse a series whose type is unknown or whose size isn't plausible, or that lacks data."""
    if series.dtype is None:
        raise FileError(f"{path} holds values of an unknown type. Save it as grey or RGB of 8 or 16 bits.")
    declared = math.prod(series.shape) * series.dtype.itemsize
    if declared > MAX_BYTES:
        raise FileError(f"{path} declares {declared / 2**30:.0f} GiB of pixels. It is damaged, or must be split.")
    check_segments(path, series, math.prod(series.shape))


def check_segments(path: Path, series: tifffile.TiffPageSeries, at_once: int) -> None:
    """Check that a series has the data that its header promises, without reading them.

    An uncompressed series in one block ends before the end of the file. In any other, the segments (strips or tiles) of
    each page lie within the file, an uncompressed page has as many bytes as its pixels need, and the file as a whole
    isn't smaller than the strongest compression would make it.

    Parameters
    ----------
    path : Path
        The file's name, for messages.
    series : tifffile.TiffPageSeries
        One of its series, of a known type.
    at_once : int
        Number of values that are decoded at once.

    Raises
    ------
    FileError
        If data are missing, or can't be as many as declared.
    """
    page = series.keyframe
    size = series.parent.filehandle.size if series.parent else path.stat().st_size
    if series.dataoffset is not None:  # one block; tifffile may list only its first page
        complete = series.dataoffset + math.prod(series.shape) * series.dtype.itemsize <= size
    else:
        pages = [part for part in series.pages if part is not None]
        if len(pages) < len(series.pages):
            raise FileError(f"{path} lacks frames that its metadata promises. Copy or export it again.")
        needed = page.size * page.bitspersample // 8 if page.compression == COMPRESSION.NONE else 1
        packed = at_once * min(page.bitspersample / 8, series.dtype.itemsize)
        ratio = MAX_RATIO if page.compression in _BYTEWISE else MAX_RATIO_OF_TILES
        complete = can_unpack(size, packed, ratio) and all(
            sum(part.databytecounts) >= needed
            and all(start + count <= size for start, count in zip(part.dataoffsets, part.databytecounts, strict=True))
            for part in pages
        )
        if complete and page.compression in _JPEGS:
            _check_coded_sizes(path, pages)
    if not complete:
        raise FileError(f"{path} is cut short: its header promises more data than it has. Copy it again.")


def _check_coded_sizes(path: Path, pages: list[Any]) -> None:
    """Refuse tiles whose streams declare far more pixels than the page's header; decoders believe the streams."""
    for page in pages:
        height, width = page.keyframe.chunks[:2]
        file = page.parent.filehandle
        for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            file.seek(start)
            size = coded_size(file.read(min(count, _HEAD)))
            if size is not None and math.prod(size) > max(4 * height * width, 2**20):
                raise FileError(f"{path} is damaged: it has a tile of {size[0]} x {size[1]} pixels. Copy it again.")


def stored_bits(series: tifffile.TiffPageSeries, data: npt.NDArray[Any]) -> int | None:
    """Return how many bits the values use, if fewer than their dtype has: 12 for most X-ray detectors.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        A series of a TIFF file.
    data : numpy.ndarray
        Its values.

    Returns
    -------
    int or None
        From OME's SignificantBits or the tags BitsPerSample and MaxSampleValue. None where they say no more than
        the dtype, or contradict the values.
    """
    bits = promised_bits(series)
    return bits if bits and data.size and data.dtype == series.dtype and int(data.max()) < 2**bits else None


def promised_bits(series: tifffile.TiffPageSeries) -> int | None:
    """Return what `stored_bits` does by the metadata alone, unchecked against the values."""
    if series.dtype is None or series.dtype.kind != "u":
        return None
    width = series.dtype.itemsize * 8
    bits = min(int(series.keyframe.bitspersample), _significant_bits(series) or width)
    highest = series.keyframe.tags.valueof("MaxSampleValue")
    if bits >= width > 8 and highest is not None:  # in 8 bits the tag is no more than the brightest value
        bits = int(np.max(highest)).bit_length()
    return bits if 1 < bits < width else None


def _significant_bits(series: tifffile.TiffPageSeries) -> int | None:
    """Return SignificantBits of an OME-TIFF, if it gives them."""
    tiff = series.parent
    if tiff is None or not tiff.is_ome:
        return None
    bits = str(_ome_pixels(tiff).get("SignificantBits", ""))
    return int(bits) if bits.isdecimal() and int(bits) > 0 else None


def _ome_pixels(tiff: tifffile.TiffFile) -> dict[str, Any]:
    """Return the attributes of the first image's Pixels in OME-XML."""
    if not tiff.ome_metadata:
        return {}
    return _first(_first(tifffile.xml2dict(tiff.ome_metadata)["OME"].get("Image", {})).get("Pixels", {}))


def pixel_size(tiff: tifffile.TiffFile) -> tuple[tuple[float, float] | None, str | None]:
    """Return height and width of a pixel and their unit of length.

    They are looked up in this project's own description, then OME's, then ImageJ's, then in resolution tags per
    centimetre. Tags per inch are ignored, since they are about printing.

    Parameters
    ----------
    tiff : tifffile.TiffFile
        The open file.

    Returns
    -------
    size : tuple of float, optional
        Height and width; None if the file doesn't hold them.
    unit : str, optional
        The unit; "µm" for any spelling of it.
    """
    page = tiff.pages.first
    own = (tiff.shaped_metadata or ({},))[0]
    if "pixel_size" in own:
        return checked_size(own["pixel_size"], own.get("unit"))
    if tiff.is_ome and tiff.ome_metadata:
        pixels = _ome_pixels(tiff)
        size = [pixels.get("PhysicalSizeY"), pixels.get("PhysicalSizeX")]
        return checked_size(size, pixels.get("PhysicalSizeXUnit", "µm"))
    width, height = (1 / density if density > 0 else 0 for density in page.resolution)
    if tiff.is_imagej and tiff.imagej_metadata and "unit" in tiff.imagej_metadata:
        return checked_size([height, width], tiff.imagej_metadata["unit"])
    if page.resolutionunit == RESUNIT.CENTIMETER and "XResolution" in page.tags:
        return checked_size([height * 1e4, width * 1e4], "µm")
    return None, None


def _first(entry: Any) -> dict[str, Any]:
    first = entry[0] if isinstance(entry, list) else entry
    return first if isinstance(first, dict) else {}


def checked_size(size: Any, unit: Any) -> tuple[tuple[float, float] | None, str | None]:
    """Return height and width of a pixel and their unit, or None for both unless they are positive lengths."""
    try:
        height, width = (float(length) for length in size)
    except (TypeError, ValueError):
        return None, None
    name = str(unit or "").strip()
    if name.lower() in _LENGTHLESS or not (0 < height < math.inf and 0 < width < math.inf):
        return None, None
    return (height, width), "µm" if name in _MICROMETRES else name
