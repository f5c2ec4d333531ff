"""Second readings: what a file holds according to another library, read in another way than the package reads it.

An image that a reader accepts must have the values of the second reading. Where the other library refuses a file or
reads something that can't be compared, nothing is checked.
"""

import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import tifffile
import zarr
from PIL import Image, ImageSequence
from pydicom.pixels import apply_color_lut, pixel_array

from fuzzing.guard import BrokenPropertyError, check_sentence
from napari_darl.errors import DarlError
from napari_darl.io.arrays import ImageArray, ImageData

Array = np.ndarray[Any, Any]
Images = list[ImageData[Array]]


class _CannotCompareError(Exception):
    """The second reading says nothing about this file."""


@contextmanager
def _another_library() -> Iterator[None]:
    """Turn whatever another library raises or warns about into _CannotCompareError."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="error"):
            yield
    except Exception as error:
        raise _CannotCompareError from error
    finally:
        logging.disable(logging.NOTSET)


def checking(second: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a check that passes where the second reading says nothing."""

    def check(value: Any) -> None:
        try:
            second(value)
        except _CannotCompareError:
            return

    return check


def _compare(found: Array, wanted: Array, by: str, tolerance: float = 0) -> None:
    if found.shape != wanted.shape:
        raise BrokenPropertyError(f"shape {found.shape}, but {wanted.shape} by {by}")
    with np.errstate(all="ignore"):
        far = ~np.isclose(found.astype(float), wanted.astype(float), rtol=1e-6, atol=tolerance, equal_nan=True)
    if far.any():
        raise BrokenPropertyError(f"other values than by {by} at {far.mean():.2%} of the pixels")


# TIFF: napari reads the whole file, Pillow page by page with its own decoders.


@checking
def check_tiff(images: Images) -> None:
    """Compare the frames of a TIFF with those that napari shows and with the pages that Pillow reads."""
    for check in (_check_against_napari, _check_against_pillow):
        checking(check)(images)


def _check_against_napari(images: Images) -> None:
    """Compare with tifffile's first series, which napari shows, where pixels come as they are stored.

    Appended pages may begin a series each. napari shows the first only; the package joins them.
    """
    with _another_library(), tifffile.TiffFile(images[0].path) as tiff:
        page, wanted = tiff.series[0].keyframe, tiff.asarray()
        stacked = images[0].data.ndim > (3 if images[0].rgb else 2)
        if len(images) == 1 and len(tiff.series) > 1 and stacked:
            kinds = {(series.keyframe.photometric, series.dtype) for series in tiff.series}
            if kinds != {(page.photometric, tiff.series[0].dtype)}:
                raise _CannotCompareError
            parts = [series.asarray() for series in tiff.series]
            wanted = np.concatenate([part.reshape(-1, *images[0].data.shape[1:]) for part in parts])
        if tiff.is_ome and images[0].data.shape == (1, *wanted.shape):
            wanted = wanted[None]  # OME metadata name an axis of length 1, which tifffile leaves out
    plain = page.photometric in (1, 2) and "S" not in tiff.series[0].axes[:-1] and page.bitspersample > 1
    if len(images) > 1 or not plain:
        raise _CannotCompareError
    if images[0].rgb:
        wanted = wanted[..., :3]
    elif "S" in tiff.series[0].axes:
        raise _CannotCompareError
    _compare(images[0].data, wanted, "napari")


def _check_against_pillow(images: Images) -> None:
    """Compare each page that Pillow can read with the frame at its place."""
    frames = [frame for image in images for frame in _frames(image)]
    content = images[0].path.read_bytes()
    pages = list(_pages(content))
    if _in_one_block(content):
        del pages[1:]  # which tifffile, and so napari, finds behind the first, whatever their own offsets say
    if len(images) > 1:
        raise _CannotCompareError
    if not images[0].rgb and pages[0].ndim == 3:  # planes that are tagged as colours, and are frames
        pages = [page[..., channel] for page in pages for channel in range(3)]
    if len(pages) > len(frames):
        raise BrokenPropertyError(f"{len(frames)} frames, but {len(pages)} pages by Pillow")
    for frame, page in zip(frames, pages, strict=False):
        _compare(frame, page, "Pillow")


def _in_one_block(content: bytes) -> bool:
    with _another_library(), tifffile.TiffFile(BytesIO(content)) as tiff:
        return tiff.series[0].dataoffset is not None


def _frames(image: ImageData[Array]) -> Array:
    return image.data.reshape(-1, *image.data.shape[-3 if image.rgb else -2 :])


def _pages(content: bytes) -> Iterator[Array]:
    """Yield the pages that are laid out as the first one; tifffile takes the layout of a series from its first page."""
    with _another_library(), Image.open(BytesIO(content)) as picture:
        first = _layout(picture)
        for page in ImageSequence.Iterator(picture):
            if _layout(page) != first:
                return
            pixels = _as_grey_or_colours(page)
            told = page.tag_v2.get(_PHOTOMETRIC)
            if told is None or (told == _WHITE_IS_ZERO and page.mode not in ("1", "L")):
                raise _CannotCompareError  # Pillow takes white for 0 by default, and inverts up to 8 bits only
            if page.mode.startswith("RGB") and max(page.tag_v2.get(_BITS, (1,))) > 8:
                raise _CannotCompareError  # of which it reads the upper 8 bits
            if max(page.tag_v2.get(_BITS, (1,))) in (2, 4):
                raise _CannotCompareError  # which it spreads over 8 bits
            if any(page.tag_v2.tagtype.get(tag) == _DIRECTORY for tag in _LAYOUT):
                raise _CannotCompareError  # a type of integers that it takes for something else
            if page.tag_v2.get(_COMPRESSION) in _FACSIMILES:
                raise _CannotCompareError  # of which damaged lines are filled in another way
            yield pixels


def _layout(page: Any) -> list[Any]:
    return [page.tag_v2.get(tag) for tag in _LAYOUT]


_BITS, _COMPRESSION, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 259, 262, 0
_FACSIMILES, _DIRECTORY = (2, 3, 4), 13
_LAYOUT = (256, 257, _BITS, _COMPRESSION, _PHOTOMETRIC, 277, 278, 284, 317, 322, 323, 338, 339)


def _as_grey_or_colours(picture: Image.Image) -> Array:
    """Return a picture's pixels without alpha, palettes as colours, and bits as 0 and 255."""
    if picture.mode == "P":
        picture = picture.convert("RGB")
    pixels = np.asarray(picture)
    if picture.mode == "1":
        return pixels.astype(np.uint8) * np.uint8(255)
    if picture.mode == "LA":
        return pixels[..., 0]
    if picture.mode in ("RGB", "RGBA", "RGBX"):
        return pixels[..., :3]
    if picture.mode not in ("L", "F") and not picture.mode.startswith("I"):
        raise _CannotCompareError
    return pixels


# Pictures: the package reads them by Pillow, this module by imagecodecs, which has libpng, libjpeg and giflib.


@checking
def check_picture(images: Images) -> None:
    """Compare a PNG, JPEG, BMP or GIF with what imagecodecs decodes, and netpbm with what its bytes say."""
    image = images[0]
    content = image.path.read_bytes()
    decode = next((decoder for magic, decoder in _DECODERS.items() if content.startswith(magic)), None)
    if decode is None:
        raise _CannotCompareError
    with _another_library():
        wanted = decode(content)
    grey_and_alpha = wanted.ndim == 3 and wanted.shape[-1] == 2
    _compare(
        _colours(image.data, image.rgb),
        _colours(wanted[..., 0] if grey_and_alpha else wanted, wanted.ndim == 3 and not grey_and_alpha),
        "imagecodecs",
        tolerance=2 if decode is imagecodecs.jpeg8_decode else 0,
    )


def _colours(pixels: Array, rgb: bool) -> Array:
    """Return pixels as colours without alpha."""
    return pixels[..., :3] if rgb else np.stack([pixels] * 3, -1)


def _netpbm(content: bytes) -> Array:
    """Return the values of a binary PBM, PGM or PPM, scaled to all of 8 or 16 bits."""
    pattern = rb"P4\s+(\d+)\s+(\d+)\s()" if content.startswith(b"P4") else rb"P[56]\s+(\d+)\s+(\d+)\s+(\d+)\s"
    header: Any = re.match(pattern, content)
    width, height, most = (int(number or 1) for number in header.groups())
    if content.startswith(b"P4"):
        rows = np.frombuffer(content, "u1", -(-width // 8) * height, header.end()).reshape(height, -1)
        return np.where(np.unpackbits(rows, axis=1)[:, :width], 0, 255)
    kind = np.dtype("u1" if most < 256 else ">u2")
    shape = (height, width, 3) if content.startswith(b"P6") else (height, width)
    values = np.frombuffer(content, kind, math.prod(shape), header.end()).reshape(shape)
    highest = int(np.iinfo(kind).max)
    return np.minimum(np.rint(values / most * highest), highest)


def _gif(content: bytes) -> Array:
    """Return the pixels of a GIF whose picture fills its screen; what lies outside has no defined colour."""
    with Image.open(BytesIO(content)) as picture:
        if picture.tile[0][1] != (0, 0, *picture.size):
            raise _CannotCompareError
    return np.asarray(imagecodecs.gif_decode(content))


_DECODERS: dict[bytes, Callable[[bytes], Array]] = {
    b"\x89PNG": imagecodecs.png_decode,
    b"\xff\xd8": imagecodecs.jpeg8_decode,
    b"BM": imagecodecs.bmp_decode,
    b"GIF8": _gif,
    **dict.fromkeys((b"P4", b"P5", b"P6"), _netpbm),
}


# Arrays on disk


@checking
def check_npy(images: Images) -> None:
    """Compare with what NumPy loads."""
    with _another_library():
        wanted = np.load(images[0].path, allow_pickle=False)
    _compare(images[0].data, wanted[..., :3] if images[0].rgb else wanted, "NumPy")


@checking
def check_zarr(image: ImageData[ImageArray]) -> None:
    """Compare with what zarr reads without the package's store, from the level that the metadata name first."""
    found = _whole(image)  # first, since zarr alone would take all memory that a damaged chunk asks for
    with _another_library():
        node: Any = zarr.open(image.path, mode="r")
        while isinstance(node, zarr.Group):
            attributes = node.attrs.asdict()
            levels = attributes.get("ome", attributes).get("multiscales")
            node = node[levels[0]["datasets"][0]["path"]] if levels else next(iter(dict(node.members()).values()))
        wanted = np.asarray(node[...])
    _compare(found, wanted, "zarr")


@checking
def check_lazy_tiff(image: ImageData[ImageArray]) -> None:
    """Compare a TIFF that is read part by part with what tifffile reads as a whole."""
    found = _whole(image)
    with _another_library():
        wanted = tifffile.imread(image.path)
    _compare(found, wanted, "tifffile")


def _whole(image: ImageData[ImageArray]) -> Array:
    """Return all pixels of a lazy image, unless one of its parts is refused."""
    try:
        return np.asarray(image.data)
    except DarlError as error:
        check_sentence(str(error))
        raise _CannotCompareError from error


# DICOM


@checking
def check_dicom(images: Images) -> None:
    """Compare with pydicom's pixels, to which palette, polarity and rescaling are applied here."""
    with _another_library():
        header = pydicom.dcmread(images[0].path, force=True)
        wanted = _finished(header, pixel_array(header))
    _compare(images[0].data, wanted, "pydicom", tolerance=1e-3)


def _finished(header: pydicom.Dataset, pixels: Array) -> Array:
    photometric = header.PhotometricInterpretation
    if header.get("SamplesPerPixel", 1) > 1:
        return pixels
    if header.BitsAllocated == 1:
        return ((pixels == 0) == (photometric == "MONOCHROME1")).astype(np.uint8) * np.uint8(255)
    stored, signed = int(header.BitsStored), bool(header.PixelRepresentation)
    values = pixels.astype(np.int64) & (2**stored - 1)
    if signed:
        values -= (values >> (stored - 1) & 1) << stored
    if photometric == "PALETTE COLOR":
        colours = apply_color_lut(pixels, header)
        return np.asarray(colours >> 8 if colours.max() > 255 else colours)
    if photometric == "MONOCHROME1":
        values = (-1 if signed else 2**stored - 1) - values
    return np.asarray(values * (_number(header, "RescaleSlope") or 1) + _number(header, "RescaleIntercept"))


def _number(header: pydicom.Dataset, element: str) -> float:
    """Return the first number of an element, 0 unless it is finite."""
    value = np.atleast_1d(np.asarray(header.get(element) or 0, float))
    return float(value[0]) if np.isfinite(value).all() else 0
