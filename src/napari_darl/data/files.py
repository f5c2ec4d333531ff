"""Reading images from files: every frame whole, or an error that says what to do."""

import math
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import imageio.v3 as iio
import numpy as np
import numpy.typing as npt
from PIL.Image import DecompressionBombError

from napari_darl.data.claims import can_unpack
from napari_darl.data.dicom import DICOM_SUFFIXES, read_dicom
from napari_darl.data.frames import Channel, ImageArray, iter_frames, looks_coloured, to_grey
from napari_darl.data.tiff import (
    TIFF_SUFFIXES,
    full_size_series,
    open_tiff,
    pixel_size,
    series_frames,
    stored_bits,
)
from napari_darl.errors import FileError, InputError

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class ImageFile:
    """An image as its file holds it.

    Attributes
    ----------
    path : Path
        The file.
    data : numpy.ndarray, shape (..., Y, X) or, where `rgb`, (..., Y, X, 3)
        Integers or floats in native byte order; pages and hyperstack axes lead; 1-bit images are 0 and 255.
    rgb : bool
        Whether the last axis holds colours; alpha is dropped.
    pixel_size : tuple of float, optional
        Height and width of a pixel, in `unit`.
    unit : str, optional
        Unit of length.
    bits : int, optional
        Bits that the values use, where fewer than the dtype has.
    """

    path: Path
    data: npt.NDArray[Any]
    rgb: bool = False
    pixel_size: tuple[float, float] | None = None
    unit: str | None = None
    bits: int | None = None


def read_image(path: PathLike) -> ImageFile:
    """Read an image or a stack of frames of one size.

    Parameters
    ----------
    path : path-like
        A TIFF (single or multi-page, ImageJ and OME included), PNG, JPEG, BMP, .npy or DICOM file.

    Returns
    -------
    ImageFile
        The pixels, and what the file tells of them.

    Raises
    ------
    FileError
        If the file is missing, isn't of a supported kind, is damaged or cut short, or holds
        frames of several sizes.
    """
    images = _read(Path(path))
    if len(images) > 1:
        raise FileError(
            f"{path} holds frames of {len(images)} different sizes or types: save each kind as its own file"
        )
    return images[0]


def read_images(path: PathLike) -> list[ImageFile]:
    """Read all images of a folder, or of a file; sizes and dtypes may differ.

    Parameters
    ----------
    path : path-like
        A folder of images, in natural order of their names, or an image as for `read_image`.

    Returns
    -------
    list of ImageFile
        At least one; a TIFF whose pages are of several kinds gives one for each kind.

    Raises
    ------
    FileError
        As `read_image`, or if a folder has no image.
    """
    source = Path(path)
    paths = image_paths(source) if os.path.isdir(source) else [source]
    return [image for file in paths for image in _read(file)]


Frames = list[npt.NDArray[Any]]


class Stack(NamedTuple):
    """Series of grey frames (Y, X) of any sizes and dtypes, and the bits their integers use, if known and the same.

    A series is what lies along the last axis before y and x; a single frame is a series of one.
    """

    series: list[Frames]
    bits: int | None = None

    @property
    def frames(self) -> Frames:
        """All frames, series by series."""
        return [frame for one in self.series for frame in one]

    def split(self, first: int) -> tuple[Frames, Frames | None]:
        """Split the series into angiograms and, before contrast comes, backgrounds.

        Parameters
        ----------
        first : int
            How many frames at the start of each series are backgrounds; 0 for none.

        Returns
        -------
        angiograms, backgrounds : list of numpy.ndarray
            Backgrounds are none, not empty, for 0.

        Raises
        ------
        InputError
            If no angiogram is left.
        """
        if first == 0:
            return self.frames, None
        rest = [frame for one in self.series for frame in one[first:]]
        if not rest:
            raise InputError(
                f"No series has more than {first} frames: take fewer as backgrounds, or give multi-page files."
            )
        return rest, [frame for one in self.series for frame in one[:first]]


def read_stack(path: PathLike, channel: Channel = "green") -> Stack:
    """Read the grey frames of a folder, of a multi-page file or of an image.

    Parameters
    ----------
    path : path-like
        A folder or an image, as for `read_images`; or a folder of folders, each of which is a series of its own.
    channel : {"green", "luminance", "brightest"}
        How colours become grey, see `to_grey`: "brightest" for masks.

    Returns
    -------
    Stack
        The frames as stored.

    Raises
    ------
    FileError
        As `read_images`.
    """
    folders = series_folders(path)
    groups = [read_images(folder) for folder in folders or [Path(path)]]
    bits = {image.bits for images in groups for image in images}
    split = [[split_series(image.data, rgb=image.rgb, channel=channel) for image in images] for images in groups]
    if folders:
        series = [[frame for image in images for one in image for frame in one] for images in split]
    else:
        series = [one for images in split for image in images for one in image]
    return Stack(series, bits.pop() if len(bits) == 1 else None)


def split_series(data: ImageArray, *, rgb: bool, channel: Channel = "green") -> list[Frames]:
    """Split an image into its series: grey frames that follow each other along the last axis before y and x.

    Parameters
    ----------
    data : array-like, shape (..., T, Y, X), (Y, X) or, where `rgb`, with an axis of colours behind
        As in an `ImageFile`, or lazy.
    rgb : bool
        Whether the last axis holds colours.
    channel : {"green", "luminance", "brightest"}
        How they become grey, see `to_grey`.

    Returns
    -------
    list of list of numpy.ndarray
        One list a series; a single frame is a series of one.
    """
    frames = [to_grey(frame, channel) if rgb else frame for _, frame in iter_frames(data, rgb=rgb)]
    leading = data.shape[: -3 if rgb else -2]
    length = leading[-1] if leading else 1
    return [frames[start : start + length] for start in range(0, len(frames), length)]


def series_folders(path: PathLike) -> list[Path]:
    """List the folders of images in a folder that has no image itself, in natural order; else nothing."""
    try:
        entries = sorted(Path(path).iterdir(), key=_natural)
    except OSError:
        return []
    if any(map(_is_image, entries)):
        return []
    return [entry for entry in entries if entry.is_dir() and any(map(_is_image, entry.iterdir()))]


def image_paths(folder: PathLike) -> list[Path]:
    """List the images of a folder in natural order: frame_2 before frame_10.

    Parameters
    ----------
    folder : path-like
        A folder; its subfolders and hidden files are left out.

    Returns
    -------
    list of Path
        At least one.

    Raises
    ------
    FileError
        If the folder is missing, can't be listed or has no image.
    """
    root = Path(folder)
    try:
        entries = list(root.iterdir())
    except OSError as error:
        raise FileError(f"{root} can't be listed ({error.strerror}): hand a folder of images") from error
    images = [entry for entry in entries if _is_image(entry)]
    if not images:
        raise FileError(f"{root} has no image: put files of the kinds {_supported()} into it")
    return sorted(images, key=_natural)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _READERS and not path.name.startswith(".") and path.is_file()


def _natural(path: Path) -> tuple[list[str | int], str]:
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path.name


def _supported() -> str:
    return ", ".join(SUPPORTED)


def _read(path: Path) -> list[ImageFile]:
    if os.path.isdir(path):
        raise FileError(f"{path} is a folder: hand one of the files in it")
    if path.suffix.lower() not in _READERS and path.exists():
        raise FileError(f"{path} is of no supported kind: convert it to one of {_supported()}")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError as error:
        raise FileError(f"{path} isn't there: check its name and its folder") from error
    except OSError as error:
        raise FileError(f"{path} can't be opened ({error.strerror}): check the rights to read it") from error
    if empty:
        raise FileError(f"{path} is an empty file: copy it again from its source")
    images = _READERS[path.suffix.lower()](path)
    if any(image.data.size == 0 for image in images):
        raise FileError(f"{path} holds an image without pixels: save it again from its source")
    return images


def _read_tiff(path: Path) -> list[ImageFile]:
    images = []
    with open_tiff(path) as tiff:
        size, unit = pixel_size(tiff)
        for series in full_size_series(tiff):
            data, rgb = series_frames(path, tiff, series)
            bits = stored_bits(series, data)
            images.append(ImageFile(path, _native(path, data), rgb, size, unit, bits))
    if not images:
        raise FileError(f"{path} holds no image: copy it again from its source")
    return images


def _read_picture(path: Path) -> list[ImageFile]:
    """Read a PNG, JPEG or BMP; 16 bits survive in grey, while Pillow reduces 16-bit colours to 8."""
    try:
        content = path.read_bytes()  # what a damaged header claims isn't asked of a file then
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures and odd metadata, which do no harm
            told = iio.improps(content, plugin="pillow", index=0)
            bits = 1 if told.dtype == np.bool_ else 8 * told.dtype.itemsize
            if not can_unpack(len(content), math.prod(told.shape) * bits / 8):
                raise ValueError("more pixels than it can have")
            mode = iio.immeta(content, plugin="pillow", index=0)["mode"]
            grey = mode in ("1", "L", "LA") or mode.startswith(("I", "F"))
            target = {"1": "L", "LA": "L"}.get(mode) if grey else "RGB"
            data = iio.imread(content, plugin="pillow", index=0, mode=target)
    except Exception as error:  # decoders raise nearly anything on damaged data
        if isinstance(error.__cause__, DecompressionBombError):
            raise FileError(f"{path} has too many pixels for a file of its kind: save it as a TIFF") from error
        raise FileError(f"{path} is damaged, cut short or no image: copy it again from its source") from error
    return [ImageFile(path, _native(path, data), rgb=not grey)]


def _read_npy(path: Path) -> list[ImageFile]:
    try:
        _check_npy_header(path)
        with warnings.catch_warnings(action="ignore"):  # of shapes that no integer holds, which are refused
            data = np.array(np.lib.format.open_memmap(path, mode="r"))  # refuses Python objects and cut files
    except Exception as error:  # a damaged header is parsed as Python, and fails in as many ways
        raise FileError(
            f"{path} is no plain array of numbers, or is cut short: save it again with numpy.save"
        ) from error
    rgb = looks_coloured(data.shape)
    return [ImageFile(path, _native(path, data[..., :3] if rgb else data), rgb)]


def _check_npy_header(path: Path) -> None:
    """Refuse a header that claims to be longer than its file: NumPy takes memory for it before it looks."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[6:7] >= b"\2" and int.from_bytes(head[8:12], "little") > os.fstat(file.fileno()).st_size:
            raise ValueError("a header that is cut short")


def _read_dicom(path: Path) -> list[ImageFile]:
    image = read_dicom(path)
    unit = "mm" if image.pixel_size else None
    return [ImageFile(path, _native(path, image.data), image.rgb, image.pixel_size, unit, image.bits)]


def _native(path: Path, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if data.dtype.kind not in "buif" or data.ndim < 2:
        kind = str(data.dtype)[:40]  # of tables, it names each column
        raise FileError(f"{path} holds {kind} of shape {data.shape}, no image: save frames of real numbers")
    return data.astype(data.dtype.newbyteorder("="), copy=False)


_READERS: dict[str, Callable[[Path], list[ImageFile]]] = {
    **dict.fromkeys(TIFF_SUFFIXES, _read_tiff),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp"), _read_picture),
    ".npy": _read_npy,
    **dict.fromkeys(DICOM_SUFFIXES, _read_dicom),
}

SUPPORTED = tuple(_READERS)
"""Suffixes of the files that are read, in lower case."""
