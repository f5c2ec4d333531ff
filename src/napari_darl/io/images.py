"""Open images from files. Every frame is complete, or an error says what to do."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from napari_darl.errors import FileError
from napari_darl.io.arrays import ImageArray, ImageData, check_image, looks_coloured
from napari_darl.io.dicom import DICOM_SUFFIXES, is_dicom, is_dicomdir, read_dicom
from napari_darl.io.dicom_series import DicomSeries, find_series, listed_files, read_dicom_series, series_note
from napari_darl.io.lazy import is_zarr, open_lazily
from napari_darl.io.microscopes import MICROSCOPE_SUFFIXES, read_microscope
from napari_darl.io.npy import read_npy
from napari_darl.io.ome_tiff import with_lost_axes
from napari_darl.io.pictures import PICTURE_SUFFIXES, read_picture
from napari_darl.io.tiff import (
    TIFF_SUFFIXES,
    full_size_series,
    joined,
    open_tiff,
    series_frames,
    warn_of_pages_left_out,
)
from napari_darl.io.tiff_metadata import (
    at_detector,
    channel_names,
    frame_time,
    own_description,
    pixel_size,
    slice_distance,
    stored_bits,
)

PathLike = str | os.PathLike[str]
FileImage = ImageData[npt.NDArray[Any]]
"""An image in memory: integers or floats in native byte order, without alpha, 1-bit images as 0 and 255."""


def open_image(path: PathLike, *, lazy: bool | None = None) -> ImageData[ImageArray]:
    """Open an image or a stack of frames, whole or part by part.

    Parameters
    ----------
    path : path-like
        A zarr array (v2 or v3), an OME-Zarr image (its finest level), a TIFF (multi-page, ImageJ and OME included),
        a PNG, JPEG, BMP, GIF or netpbm file, an .npy or a DICOM file.
    lazy : bool, optional
        Whether pixels are read only when they are sliced, which zarr and TIFF can. By default, only zarr is lazy.

    Returns
    -------
    ImageData
        The pixels, a NumPy array unless lazy, and what the file says about them.

    Raises
    ------
    FileError
        If the file is missing, of an unsupported kind, damaged or cut short, holds frames of several sizes, or can't
        be read part by part though `lazy` is true.
    InputError
        If zarr is needed and isn't installed.

    Examples
    --------
    >>> from napari_darl import open_image
    >>> from napari_darl.samples import sample_path
    >>> image = open_image(sample_path("fundus"))
    >>> image.data.shape, image.rgb, image.axes
    ((960, 999, 3), True, 'YXS')
    """
    file = Path(path)
    if lazy or (lazy is None and is_zarr(file)):
        return open_lazily(file)
    return read_image(file)


def read_image(path: PathLike) -> FileImage:
    """Read an image or a stack of frames of one size into memory.

    Parameters
    ----------
    path : path-like
        A TIFF (single or multi-page, ImageJ and OME included), PNG, JPEG, BMP, GIF, netpbm, .npy or DICOM file, zarr,
        or a DICOMDIR that lists one series.

    Returns
    -------
    FileImage
        The pixels and what the file says about them.

    Raises
    ------
    FileError
        If the file is missing, of an unsupported kind, damaged or cut short, or holds frames of several sizes.
    """
    images = _read(Path(path))
    if len(images) > 1 and is_dicomdir(Path(path)):
        listed = series_note(find_series(listed_files(Path(path))))
        raise FileError(f"{path} lists {len(images)} series or images ({listed}). Pass the files of one of them.")
    if len(images) > 1:
        raise FileError(
            f"{path} holds {len(images)} images, of different sizes, types or scenes. Save each as its own file."
        )
    return images[0]


def read_images(path: PathLike) -> list[FileImage]:
    """Read all images of a folder, or of a file; sizes and dtypes may differ.

    Parameters
    ----------
    path : path-like
        A folder, whose images are read in the natural order of their names, a DICOMDIR, or an image as for
        `read_image`.

    Returns
    -------
    list of FileImage
        At least one. A TIFF whose pages differ in size or type gives one for each kind, and DICOM files of one series
        give one together: slices in the order of their places, other frames in that of their numbers.

    Raises
    ------
    FileError
        As `read_image`, or if a folder holds no image.
    """
    source = Path(path)
    folder = os.path.isdir(source) and not is_zarr(source)
    return _in_series(image_paths(source)) if folder else _read(source)


def dicom_series(folder: PathLike) -> list[DicomSeries]:
    """Return the DICOM series of a folder, if any of them consists of several files; none otherwise."""
    series = find_series(image_paths(folder))
    return series if any(len(one.paths) > 1 for one in series) else []


def _in_series(paths: list[Path]) -> list[FileImage]:
    """Read images; DICOM files of one series, such as slices, become one image where the first of them stands."""
    series = [one for one in find_series(paths) if len(one.paths) > 1]
    parts = {path: one for one in series for path in one.paths}
    first = {min(one.paths, key=paths.index) for one in series}
    images: list[FileImage] = []
    for path in paths:
        if path not in parts:
            images += _read(path)
        elif path in first:
            images.append(read_dicom_series(parts[path]).image(path))
    return images


def image_paths(folder: PathLike, *, zarr: bool = False) -> list[Path]:
    """Return the images of a folder in natural order: frame_2 before frame_10.

    Parameters
    ----------
    folder : path-like
        A folder. Its subfolders and hidden files are left out.
    zarr : bool
        Whether subfolders that are zarr count.

    Returns
    -------
    list of Path
        At least one.

    Raises
    ------
    FileError
        If the folder is missing, can't be listed or holds no image.
    """
    root = Path(folder)
    try:
        entries = list(root.iterdir())
    except OSError as error:
        raise FileError(f"{root} can't be listed ({error.strerror}). Pass a folder of images.") from error
    images = [entry for entry in entries if is_image(entry) or (zarr and is_zarr(entry))]
    if not images:
        index = next((entry for entry in entries if is_dicomdir(entry)), None)
        remedy = f"Pass {index}, which lists images." if index else f"Supported kinds are {_supported()}."
        raise FileError(f"{root} holds no image. {remedy}")
    return sorted(images, key=natural_order)


def is_image(path: Path) -> bool:
    """Return whether a path is a visible file with the suffix of a supported format, or a DICOM file of any name."""
    if path.name.startswith(".") or path.name.upper() == "DICOMDIR" or not path.is_file():
        return False
    return path.suffix.lower() in _READERS or is_dicom(path)


def natural_order(path: Path) -> tuple[list[str | int], str]:
    """Return the sort key that puts frame_2 before frame_10."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], path.name


def _supported() -> str:
    return ", ".join(SUPPORTED)


def _read(path: Path) -> list[FileImage]:
    if is_zarr(path):
        image = open_lazily(path)
        return [cast(FileImage, replace(image, data=_native(path, np.asarray(image.data[...]))))]
    if os.path.isdir(path):
        raise FileError(f"{path} is a folder. Pass one of the files in it.")
    if is_dicomdir(path):
        return _in_series(listed_files(path))
    reader = _READERS.get(path.suffix.lower()) or (_read_dicom if is_dicom(path) else None)
    if reader is None and path.exists():
        raise FileError(f"{path} is of an unsupported kind. Convert it to one of {_supported()}.")
    try:
        empty = path.stat().st_size == 0
    except FileNotFoundError as error:
        raise FileError(f"{path} doesn't exist. Check its name and its folder.") from error
    except OSError as error:
        raise FileError(f"{path} can't be opened ({error.strerror}). Check its permissions.") from error
    if not os.access(path, os.R_OK):
        raise FileError(f"{path} can't be opened. Check its permissions.")
    if empty:
        raise FileError(f"{path} is an empty file. Copy it again from its source.")
    images = (reader or _read_dicom)(path)
    if any(image.data.size == 0 for image in images):
        raise FileError(f"{path} holds an image without pixels. Save it again from its source.")
    return images


def _read_tiff(path: Path) -> list[FileImage]:
    images = []
    with open_tiff(path) as tiff:
        size, unit = pixel_size(tiff)
        distance = slice_distance(tiff, unit)
        detector, time = at_detector(tiff), frame_time(tiff)
        for series in full_size_series(tiff):
            image = series_frames(path, tiff, series)
            bits = stored_bits(series, image.data)
            image = replace(image, data=_native(path, image.data), pixel_size=size, unit=unit, bits=bits)
            names = channel_names(tiff, image.axes, image.data.shape)
            image = replace(
                image,
                at_detector=detector,
                frame_time=time,
                channels=names,
                slice_distance=distance,
            )
            images.append(image)
        warn_of_pages_left_out(path, tiff)
        scenes = tiff.is_ome
        own = own_description(tiff)
    if not images:
        raise FileError(f"{path} holds no image. Copy it again from its source.")
    if scenes and len(images) == 1:
        return [with_lost_axes(images[0], own)]
    return images if scenes else joined(images)


def _read_picture(path: Path) -> list[FileImage]:
    picture = read_picture(path)
    return [replace(picture, data=_native(path, picture.data))]


def _read_npy(path: Path) -> list[FileImage]:
    data = read_npy(path)
    rgb = looks_coloured(data.shape)
    return [ImageData(_native(path, data[..., :3] if rgb else data), rgb, path=path)]


def _read_dicom(path: Path) -> list[FileImage]:
    return [read_dicom(path).image(path)]


def _read_microscope(path: Path) -> list[FileImage]:
    return [replace(image, data=_native(path, image.data)) for image in read_microscope(path)]


def _native(path: Path, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    check_image(path, data.shape, data.dtype)
    return data.astype(data.dtype.newbyteorder("="), copy=False)


_READERS: dict[str, Callable[[Path], list[FileImage]]] = {
    **dict.fromkeys(TIFF_SUFFIXES, _read_tiff),
    **dict.fromkeys(PICTURE_SUFFIXES, _read_picture),
    ".npy": _read_npy,
    **dict.fromkeys(MICROSCOPE_SUFFIXES, _read_microscope),
    **dict.fromkeys(DICOM_SUFFIXES, _read_dicom),
}

SUPPORTED = tuple(_READERS)
"""Suffixes of the supported formats, in lower case. DICOM files may have any name."""
