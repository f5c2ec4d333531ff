"""Write masks, probabilities and pictures, whole or not at all, and read back where they come from."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import imageio.v3 as iio
import numpy as np
import numpy.typing as npt
import tifffile

from napari_darl.errors import FileError, InputError
from napari_darl.io.arrays import ImageData
from napari_darl.io.atomic import replacing
from napari_darl.io.ome_tiff import is_ome_tiff, ome_metadata
from napari_darl.io.tiff import TIFF_SUFFIXES, open_tiff
from napari_darl.io.tiff_metadata import CENTIMETRES, own_description

PathLike = str | os.PathLike[str]
Provenance = Mapping[str, str | float | int]
Notes = Mapping[str, object]

_CLASSIC_LIMIT = 2**32 - 2**25  # bytes; what is larger needs BigTIFF's 64-bit offsets


def write_mask(
    path: PathLike,
    mask: ImageData[Any] | npt.ArrayLike,
    *,
    provenance: Provenance,
    notes: Notes | None = None,
    overwrite: bool = False,
) -> None:
    """Write a vessel mask as a TIFF of 0 and 255.

    The file is compressed without loss (zlib). Shape, pixel size, unit and provenance are kept as JSON in
    ImageDescription. The pixel size is also kept in the resolution tags (per centimetre where the unit is a metric
    one), so that napari, ImageJ and tifffile each find it. Leading axes keep their lengths. If the pixel size or the
    frame time is known, the geometry of a napari layer that lies over the image is kept, too.

    A name that ends in .ome.tif gives OME-TIFF: axes, sizes and times are OME-XML, and the JSON is an annotation in it.

    Parameters
    ----------
    path : path-like
        A .tif or .tiff file; missing folders are created.
    mask : ImageData or array-like of bool or integers, shape (..., Y, X)
        0 background, 1 vessel; an `ImageData` brings the pixel size and its unit along.
    provenance : mapping of str to str, float or int
        Where the mask comes from: model, version, threshold and the like.
    notes : mapping of str to JSON values, optional
        What else is kept in the description, for `read_description`.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    FileError
        If the file exists already, isn't named as a TIFF, or can't be written.
    InputError
        If the mask holds anything but 0 and 1, the pixel size isn't positive, or an OME-TIFF can't hold so many axes.
    """
    image = _as_image(mask)
    array = image.data
    if array.dtype.kind not in "bui" or array.size == 0 or array.min() < 0 or array.max() > 1:
        raise InputError(f"{path} can't be written. A mask holds 0 and 1 only, so threshold the image first.")
    pixels = array.astype(np.uint8) * np.uint8(255)
    _write_tiff(Path(path), replace(image, data=pixels), _description(path, image, provenance, notes), overwrite)


def write_frames(
    path: PathLike,
    frames: ImageData[Any] | npt.ArrayLike,
    *,
    provenance: Provenance,
    notes: Notes | None = None,
    overwrite: bool = False,
) -> None:
    """Write probabilities, intensities or labels as a TIFF, in all else as `write_mask`.

    Parameters
    ----------
    path, provenance, notes, overwrite
        As in `write_mask`.
    frames : ImageData or array-like, shape (..., Y, X)
        Integers are written as they are, floats as float32.

    Raises
    ------
    FileError
        If the file exists already, isn't named as a TIFF, or can't be written.
    InputError
        If the array is empty, or the pixel size isn't positive.
    """
    image = _as_image(frames)
    if image.data.size == 0:
        raise InputError(f"{path} can't be written. The array is empty: its shape is {image.data.shape}.")
    pixels = image.data.astype(np.float32) if image.data.dtype.kind == "f" else image.data
    _write_tiff(Path(path), replace(image, data=pixels), _description(path, image, provenance, notes), overwrite)


def write_png(path: PathLike, array: npt.ArrayLike, *, overwrite: bool = False) -> None:
    """Write a picture as PNG.

    Parameters
    ----------
    path : path-like
        A .png file; missing folders are created.
    array : array-like of uint8 or bool, shape (Y, X) or (Y, X, 3 or 4)
        The picture; bool is written as 0 and 255.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    FileError
        If the file exists already, isn't named .png, or can't be written.
    InputError
        If the array has another shape or type.
    """
    picture = np.asarray(array)
    if picture.dtype == np.bool_:
        picture = picture.astype(np.uint8) * np.uint8(255)
    colours = picture.ndim == 3 and picture.shape[2] in (3, 4)
    if picture.dtype != np.uint8 or picture.size == 0 or not (picture.ndim == 2 or colours):
        raise InputError(
            f"{path} can't be written. A PNG takes uint8 of shape (Y, X) or (Y, X, 3 or 4), "
            f"not {picture.dtype} of shape {picture.shape}."
        )
    with _replacing(Path(path), (".png",), overwrite) as file:
        iio.imwrite(file, picture, plugin="pillow", extension=".png")


def read_provenance(path: PathLike) -> dict[str, str | float | int]:
    """Read where a mask or a probability comes from.

    Parameters
    ----------
    path : path-like
        A TIFF file.

    Returns
    -------
    dict
        The provenance that `write_mask` or `write_frames` wrote; empty for any other TIFF.

    Raises
    ------
    FileError
        If the file is missing or can't be read as a TIFF.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from napari_darl import read_provenance
    >>> from napari_darl.io.output import write_mask
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_mask(Path(folder) / "mask.tif", [[0, 1]], provenance={"model": "default"})
    ...     read_provenance(Path(folder) / "mask.tif")
    {'model': 'default'}
    """
    provenance: dict[str, str | float | int] = (read_description(path) or {}).get("provenance", {})
    return provenance


def read_description(path: PathLike) -> dict[str, Any] | None:
    """Read everything that `write_mask` or `write_frames` wrote beside the pixels.

    Parameters
    ----------
    path : path-like
        A TIFF file.

    Returns
    -------
    dict or None
        `provenance` and, where they were given, `notes`, `pixel_size`, `unit`, `at_detector`, `frame_time` (ms) and
        `slice_distance`;
        None for any other TIFF.

    Raises
    ------
    FileError
        If the file is missing or can't be read as a TIFF.
    """
    with open_tiff(Path(path)) as tiff:
        description = own_description(tiff)
    if not isinstance(description.get("notes", {}), dict):  # damaged
        del description["notes"]
    return description if isinstance(description.get("provenance"), dict) else None


def _as_image(image: ImageData[Any] | npt.ArrayLike) -> ImageData[npt.NDArray[Any]]:
    return image if isinstance(image, ImageData) else ImageData(np.asarray(image))


def _description(
    path: PathLike, image: ImageData[npt.NDArray[Any]], provenance: Provenance, notes: Notes | None
) -> dict[str, Any]:
    """Return what is kept as JSON in ImageDescription."""
    description: dict[str, Any] = {"provenance": dict(provenance)}
    if notes is None and (image.pixel_size or image.frame_time or image.channel or image.slice_distance):
        notes = {"geometry": layer_geometry(image)}
    if notes is not None:
        description["notes"] = dict(notes)
    if image.pixel_size is not None:
        if not all(0 < length < float("inf") for length in image.pixel_size):
            raise InputError(
                f"{path} can't be written with a pixel size of {image.pixel_size}. Both lengths must be positive."
            )
        description |= {"pixel_size": list(image.pixel_size), "unit": image.unit}
        if image.at_detector:
            description["at_detector"] = True
    if image.frame_time is not None:
        description["frame_time"] = image.frame_time
    if image.slice_distance is not None:
        description["slice_distance"] = image.slice_distance
    return description


def layer_geometry(image: ImageData[Any]) -> dict[str, list[Any]]:
    """Return scale, units and axis labels of a layer that lies over the image: time in ms, lengths in its unit."""
    leading = len(image.leading_shape)
    names = (image.axes or "")[:leading].lower()
    scale, units = [1.0] * leading, ["pixel"] * leading
    if image.frame_time and "t" in names:
        scale[names.index("t")], units[names.index("t")] = image.frame_time, "ms"
    if image.slice_distance and image.pixel_size and "z" in names:
        scale[names.index("z")], units[names.index("z")] = image.slice_distance, image.unit or "pixel"
    scale += image.pixel_size or (1.0, 1.0)
    units += [image.unit or "pixel"] * 2
    geometry: dict[str, list[Any]] = {"scale": scale, "units": units}
    if image.axes and len(names) == leading:
        geometry["axis_labels"] = [*names, "y", "x"]
    if image.channel and "c" in names:
        geometry["translate"] = [image.channel * (name == "c") for name in (*names, "y", "x")]
    return geometry


def _write_tiff(path: Path, image: ImageData[npt.NDArray[Any]], description: dict[str, Any], overwrite: bool) -> None:
    pixels, ome = image.data, is_ome_tiff(path)
    resolution, resolution_unit = _resolution(description.get("pixel_size"), description.get("unit"))
    with _replacing(path, TIFF_SUFFIXES, overwrite) as file:
        tifffile.imwrite(
            file,
            pixels,
            bigtiff=pixels.nbytes > _CLASSIC_LIMIT,
            photometric="minisblack",
            compression="zlib",
            resolution=resolution,
            resolutionunit=resolution_unit,
            ome=ome,
            metadata=ome_metadata(path, image, pixels.dtype, description) if ome else description,
        )


def _resolution(pixel_size: list[float] | None, unit: str | None) -> tuple[tuple[float, float] | None, str]:
    """Return pixels per length along x and y, and that length, for the resolution tags."""
    if pixel_size is None:
        return None, "NONE"
    scale, name = (CENTIMETRES[unit], "CENTIMETER") if unit in CENTIMETRES else (1.0, "NONE")
    densities = (1 / (pixel_size[1] * scale), 1 / (pixel_size[0] * scale))
    # The tags are rationals of 32 bits, which can't hold any other density.
    return (densities if all(1e-6 < density < 2**32 for density in densities) else None), name


@contextmanager
def _replacing(path: Path, suffixes: tuple[str, ...], overwrite: bool) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` once it is complete, if the name has one of the suffixes."""
    if path.suffix.lower() not in suffixes:
        raise FileError(f"{path} doesn't end in {' or '.join(suffixes)}. Choose a name that does.")
    with replacing(path, overwrite=overwrite) as file:
        yield file
