"""Writing what comes out: masks, probabilities and pictures, whole or not at all."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import imageio.v3 as iio
import numpy as np
import numpy.typing as npt
import tifffile

from napari_darl.errors import FileError, InputError
from napari_darl.io.atomic import replacing
from napari_darl.io.tiff import CENTIMETRES, TIFF_SUFFIXES, open_tiff

Provenance = Mapping[str, str | float | int]
_CLASSIC_LIMIT = 2**32 - 2**25  # bytes; what is larger needs BigTIFF's 64-bit offsets


def write_mask(
    path: str | os.PathLike[str],
    mask: npt.ArrayLike,
    *,
    provenance: Provenance,
    pixel_size: tuple[float, float] | None = None,
    unit: str | None = None,
    notes: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a vessel mask as a TIFF of 0 and 255.

    The file is compressed without loss (zlib). Shape, pixel size, unit and provenance stand as JSON in
    ImageDescription, and the pixel size in the resolution tags too (per centimetre where the unit is a metric
    one), so that napari, ImageJ and tifffile each find them. Leading axes keep their lengths.

    Parameters
    ----------
    path : path-like
        A .tif or .tiff file; folders that are missing are made.
    mask : array-like of bool or uint8, shape (..., Y, X)
        0 background, 1 vessel.
    pixel_size : tuple of float, optional
        Height and width of a pixel, in `unit`.
    unit : str, optional
        Unit of length, such as "µm" or "mm".
    provenance : mapping of str to str, float or int
        Where the mask comes from: model, version, threshold and the like.
    notes : mapping of str to JSON values, optional
        What else is kept in the description, for `read_description`.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    FileError
        If the file is there already, isn't named as a TIFF, or can't be written.
    InputError
        If the mask holds anything but 0 and 1, or the pixel size isn't positive.
    """
    array = np.asarray(mask)
    if array.dtype.kind not in "bui" or array.size == 0 or array.min() < 0 or array.max() > 1:
        raise InputError(f"{path} can't be written: a mask holds 0 and 1 only, so threshold the image first")
    _write_tiff(path, array.astype(np.uint8) * np.uint8(255), pixel_size, unit, provenance, notes, overwrite)


def write_frames(
    path: str | os.PathLike[str],
    frames: npt.ArrayLike,
    *,
    provenance: Provenance,
    pixel_size: tuple[float, float] | None = None,
    unit: str | None = None,
    notes: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> None:
    """Write probabilities or intensities as a TIFF; all else as in `write_mask`.

    Parameters
    ----------
    path : path-like
        A .tif or .tiff file; folders that are missing are made.
    frames : array-like, shape (..., Y, X)
        Integers are written as they are, floats as float32.
    pixel_size : tuple of float, optional
        Height and width of a pixel, in `unit`.
    unit : str, optional
        Unit of length, such as "µm" or "mm".
    provenance : mapping of str to str, float or int
        Where the frames come from.
    notes : mapping of str to JSON values, optional
        What else is kept in the description, for `read_description`.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    FileError
        If the file is there already, isn't named as a TIFF, or can't be written.
    InputError
        If the array is empty, or the pixel size isn't positive.
    """
    array = np.asarray(frames)
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    if array.size == 0:
        raise InputError(f"{path} can't be written: the array is empty, so hand one that has pixels")
    _write_tiff(path, array, pixel_size, unit, provenance, notes, overwrite)


def write_png(path: str | os.PathLike[str], array: npt.ArrayLike, *, overwrite: bool = False) -> None:
    """Write a picture as PNG.

    Parameters
    ----------
    path : path-like
        A .png file; folders that are missing are made.
    array : array-like of uint8 or bool, shape (Y, X) or (Y, X, 3 or 4)
        The picture; bool is written as 0 and 255.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    FileError
        If the file is there already, isn't named .png, or can't be written.
    InputError
        If the array is no such picture.
    """
    picture = np.asarray(array)
    if picture.dtype == np.bool_:
        picture = picture.astype(np.uint8) * np.uint8(255)
    colours = picture.ndim == 3 and picture.shape[2] in (3, 4)
    if picture.dtype != np.uint8 or picture.size == 0 or not (picture.ndim == 2 or colours):
        raise InputError(
            f"{path} can't be written: a PNG takes uint8 of shape (Y, X) or (Y, X, 3 or 4), "
            f"not {picture.dtype} of shape {picture.shape}"
        )
    with _replacing(Path(path), (".png",), overwrite) as file:
        iio.imwrite(file, picture, plugin="pillow", extension=".png")


def read_provenance(path: str | os.PathLike[str]) -> dict[str, str | float | int]:
    """Read where a mask or a probability came from.

    Parameters
    ----------
    path : path-like
        A TIFF file.

    Returns
    -------
    dict
        What was handed to `write_mask` or `write_frames`; empty for a TIFF that they didn't write.

    Raises
    ------
    FileError
        If the file is missing or no readable TIFF.
    """
    provenance: dict[str, str | float | int] = (read_description(path) or {}).get("provenance", {})
    return provenance


def read_description(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Read all that `write_mask` or `write_frames` put into a file beside the pixels.

    Parameters
    ----------
    path : path-like
        A TIFF file.

    Returns
    -------
    dict or None
        `provenance`, `notes`, `pixel_size` and `unit`, where they were handed over; None for a TIFF that these
        functions didn't write.

    Raises
    ------
    FileError
        If the file is missing or no readable TIFF.
    """
    with open_tiff(Path(path)) as tiff:
        description = (tiff.shaped_metadata or ({},))[0]
    return description if isinstance(description.get("provenance"), dict) else None


def _write_tiff(
    path: str | os.PathLike[str],
    array: npt.NDArray[Any],
    pixel_size: tuple[float, float] | None,
    unit: str | None,
    provenance: Provenance,
    notes: Mapping[str, object] | None,
    overwrite: bool,
) -> None:
    description: dict[str, object] = {"provenance": dict(provenance)}
    if notes is not None:
        description["notes"] = dict(notes)
    resolution, resolution_unit = None, "NONE"
    if pixel_size is not None:
        if not all(0 < length < float("inf") for length in pixel_size):
            raise InputError(f"{path} can't be written with a pixel size of {pixel_size}: hand two positive lengths")
        description |= {"pixel_size": list(pixel_size), "unit": unit}
        scale = 1.0
        if unit in CENTIMETRES:
            scale, resolution_unit = CENTIMETRES[unit], "CENTIMETER"
        densities = (1 / (pixel_size[1] * scale), 1 / (pixel_size[0] * scale))
        if all(1e-6 < density < 2**32 for density in densities):  # else a rational of 32 bits can't hold it
            resolution = densities
    with _replacing(Path(path), TIFF_SUFFIXES, overwrite) as file:
        tifffile.imwrite(
            file,
            array,
            bigtiff=array.nbytes > _CLASSIC_LIMIT,
            photometric="minisblack",
            compression="zlib",
            resolution=resolution,
            resolutionunit=resolution_unit,
            metadata=description,
        )


@contextmanager
def _replacing(path: Path, suffixes: tuple[str, ...], overwrite: bool) -> Iterator[BinaryIO]:
    """Open a file beside `path` that takes its place once it is complete."""
    if path.suffix.lower() not in suffixes:
        raise FileError(f"{path} doesn't end in {' or '.join(suffixes)}: choose a name that does")
    with replacing(path, overwrite=overwrite) as file:
        yield file
