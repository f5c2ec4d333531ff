"""Open TIFF files, and read their frames and colours."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from tifffile import COMPRESSION, PHOTOMETRIC

from napari_darl.errors import DarlError, DarlWarning, FileError
from napari_darl.io.arrays import ImageData
from napari_darl.io.tiff_checks import check_chain, check_complete

TIFF_SUFFIXES = (".tif", ".tiff")

_FACSIMILES = {COMPRESSION[name] for name in ("CCITTRLE", "CCITT_T4", "CCITT_T6")}


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
        check_chain(path, tiff)
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


def full_size_series(tiff: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return the series of a file without thumbnails; the pages of a series have the same size and type."""
    return [series for series in tiff.series if not series.keyframe.is_reduced] or list(tiff.series)


def warn_of_pages_left_out(path: Path, tiff: tifffile.TiffFile) -> None:
    """Warn if the metadata of a file describe fewer pages than it has, so that the others are never read."""
    levels = [level for series in tiff.series for level in series.levels]
    described = sum(level.size // max(level.keyframe.size, 1) for level in levels)
    if (pages := len(tiff.pages)) > described:
        message = f"The file has {pages} pages, but its metadata describe {described}. The others are left out."
        warnings.warn(DarlWarning(message, path), stacklevel=2)


def joined(images: list[ImageData[npt.NDArray[Any]]]) -> list[ImageData[npt.NDArray[Any]]]:
    """Join the frames of several series into one stack, if they have the same size and type and at most one axis more.

    Programs that append pages to a file may begin a series with each.
    """
    first = images[0]
    same = {(image.rgb, image.frame_shape, image.data.dtype, image.bits) for image in images}
    if len(images) == 1 or len(same) > 1 or any(len(image.leading_shape) > 1 for image in images):
        return images
    frames = [image.data if image.leading_shape else image.data[None] for image in images]
    return [replace(first, data=np.concatenate(frames), axes="IYXS" if first.rgb else "IYX")]


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
    check_complete(path, series)
    page = series.keyframe
    data: npt.NDArray[Any] = series.asarray()
    axes = series.axes
    samples = "S" in axes
    if samples and data.ndim == len(axes):
        data = np.moveaxis(data, axes.index("S"), -1)
        axes = axes.replace("S", "") + "S"
    if planes_are_frames(tiff, series):
        return _image(path, series.asarray(), series.axes.replace("S", "Q"))
    if is_rgb(page):
        # Without samples, the file's own metadata calls the colours an axis, such as channels.
        rgb = samples and data.shape[-1] >= 3
        return _image(path, data[..., :3] if rgb else data, axes, rgb)
    kind = photometric(page)
    if kind == PHOTOMETRIC.PALETTE and page.colormap is not None and not tiff.is_imagej:
        colours = (np.moveaxis(page.colormap[:, data], 0, -1) >> 8).astype(np.uint8)
        return _image(path, colours, axes + "S", rgb=True)
    if kind not in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.PALETTE):
        raise FileError(f"{path} has colours of the kind {PHOTOMETRIC(kind).name}. Save it as grey or RGB.")
    if samples:
        if any(int(sample) in (1, 2) for sample in page.extrasamples):
            data, axes = data[..., 0], axes[:-1]  # alpha is dropped
        else:
            data, axes = np.moveaxis(data, -1, 0), "C" + axes[:-1]
    if data.dtype == np.bool_:
        data = data.astype(np.uint8) * np.uint8(255)
    if kind == PHOTOMETRIC.MINISWHITE:
        data = _inverted(page, data)
    return _image(path, data, axes)


def _inverted(page: tifffile.TiffPage, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values of a "white is zero" page with black as the least value."""
    if data.dtype.kind == "f":
        return -data
    if data.dtype.kind == "i":
        return ~data  # -1 - data, which maps the least value to the greatest
    bits = page.bitspersample if page.bitspersample > 1 else 8
    inverted: npt.NDArray[Any] = data.dtype.type(2**bits - 1) - data
    return inverted


def _image(path: Path, data: npt.NDArray[Any], axes: str, rgb: bool = False) -> ImageData[npt.NDArray[Any]]:
    return ImageData(data, rgb, axes=axes if len(axes) == data.ndim else None, path=path)


def planes_are_frames(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> bool:
    """Return whether planes that are tagged as colours are frames.

    By default, tifffile tags an array of shape (3, Y, X), (..., 3, Y, X) or the like as colours in
    planes. napari saves stacks that way, with zlib compression, and shows such files as frames. So planes are frames if
    tifffile's description has the shape of a single stack, or if the file is compressed as by napari.
    """
    page = series.keyframe
    if not tiff.shaped_metadata or photometric(page) != PHOTOMETRIC.RGB or "S" not in series.axes[:-2]:
        return False
    return len(series.shape) == 3 or page.compression == COMPRESSION.ADOBE_DEFLATE


def is_rgb(page: tifffile.TiffPage) -> bool:
    """Return whether a page decodes to red, green and blue, as JPEG's YCbCr does, too."""
    jpeg = page.compression in (COMPRESSION.JPEG, COMPRESSION.OJPEG)
    kind = photometric(page)
    return kind == PHOTOMETRIC.RGB or (kind == PHOTOMETRIC.YCBCR and jpeg)


def photometric(page: tifffile.TiffPage) -> int:
    """Return the PhotometricInterpretation of a page; of one that lacks the tag, what libtiff takes it for.

    Three samples are colours. Of a single sample, 0 is black, except in facsimiles.
    """
    if "PhotometricInterpretation" in page.tags or page.compression in _FACSIMILES:
        return int(page.photometric)
    return int(PHOTOMETRIC.RGB if page.samplesperpixel >= 3 else PHOTOMETRIC.MINISBLACK)
