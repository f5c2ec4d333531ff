"""Opening images that may be larger than memory: zarr, OME-Zarr and TIFF."""

import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tifffile import PHOTOMETRIC

from napari_darl.data.frames import ImageArray
from napari_darl.data.tiff import TIFF_SUFFIXES, check_segments, checked_size, full_size_series, open_tiff, pixel_size
from napari_darl.errors import FileError, InputError

MAX_CHUNK = 2**28
"""Bytes of a chunk, which is read whole and so must fit into memory several times."""


class LazyImage(NamedTuple):
    """An image whose pixels are read when they are asked for.

    Attributes
    ----------
    data : ImageArray, shape (..., Y, X) or, where `rgb`, (..., Y, X, 3 or 4)
        Can be sliced, and handed to other processes of machines that reach the file.
    rgb : bool
        Whether the last axis holds colours.
    pixel_size : tuple of float, optional
        Height and width of a pixel, in `unit`.
    unit : str, optional
        Unit of length.
    """

    data: ImageArray
    rgb: bool = False
    pixel_size: tuple[float, float] | None = None
    unit: str | None = None


def is_zarr(path: Path) -> bool:
    """Tell whether a path is a zarr array or group, by what lies in it."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def open_lazily(path: Path) -> LazyImage:
    """Open a zarr array (v2 or v3), the finest level of an OME-Zarr image, or a TIFF.

    Raises
    ------
    FileError
        If it can't be opened, or is of another kind.
    InputError
        If zarr isn't installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise InputError('zarr isn\'t installed: pip install "napari-darl[large]".') from error
    if path.suffix.lower() in TIFF_SUFFIXES:
        return _open_tiff(path)
    try:
        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Array):
            return LazyImage(ZarrPixels(path, node))
        multiscale = _multiscale(node.attrs.asdict())
        if multiscale is None:
            with warnings.catch_warnings(action="ignore"):  # of files in it that aren't zarr's
                arrays = ", ".join(sorted(node.array_keys())) or "none"
            raise FileError(f"{path} is a zarr group without OME levels: name one of its arrays ({arrays}).")
        level = node[str(multiscale["datasets"][0]["path"])]
        if not isinstance(level, zarr.Array):
            raise FileError(f"{path} has a level that is no array: export it again.")
        return LazyImage(ZarrPixels(path, level), False, *_ome_pixel_size(multiscale))
    except FileError:
        raise
    except Exception as error:  # stores and codecs raise nearly anything on damaged data
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> FileError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return FileError(f"{path} can't be read as zarr ({reason}): copy or export it again.")


class ZarrPixels:
    """The pixels of a zarr array; chunks that are damaged are errors of the file.

    Raises
    ------
    FileError
        If it doesn't hold real numbers, is unpacked by running what is in it, or in chunks of more than `MAX_CHUNK`.
    """

    def __init__(self, path: Path, array: Any) -> None:
        self.path, self.shape, self.dtype, self._array = path, array.shape, array.dtype, array
        if self.dtype.kind not in "buif":
            raise FileError(f"{path} holds {str(self.dtype)[:40]}, no image: save frames of real numbers.")
        if any(getattr(codec, "codec_id", None) == "pickle" for codec in (*array.filters, *array.compressors)):
            raise FileError(f"{path} holds Python objects, which aren't executed: export it as an array of numbers.")
        if math.prod(array.chunks) * self.dtype.itemsize > MAX_CHUNK:
            raise FileError(f"{path} has chunks of {array.chunks} pixels, more than fit: export it in smaller ones.")

    def __getitem__(self, index: Any, /) -> Any:
        try:
            return self._array[index]
        except Exception as error:  # as above
            raise _damaged(self.path, error) from error


class TiffPixels:
    """The pixels of a TIFF's first series; each look opens the file, and reads the pages and tiles that it needs."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.path, self.shape, self.dtype = path, shape, dtype

    def __getitem__(self, index: Any, /) -> Any:
        import zarr

        with open_tiff(self.path) as tiff, full_size_series(tiff)[0].aszarr() as store:
            return zarr.open_array(store, mode="r")[index]


def _open_tiff(path: Path) -> LazyImage:
    with open_tiff(path) as tiff:
        series = full_size_series(tiff)
        page = series[0].keyframe
        if len(series) > 1:
            raise FileError(f"{path} holds frames of {len(series)} sizes or types: save each kind as its own file")
        if series[0].dtype is None or page.photometric not in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB):
            kind = PHOTOMETRIC(page.photometric).name
            raise FileError(f"{path} has colours of the kind {kind}: save it as grey or RGB")
        rgb = page.photometric == PHOTOMETRIC.RGB
        if "S" in series[0].axes and (not rgb or series[0].axes[-1] != "S"):
            raise FileError(f"{path} has channels that aren't interleaved: save it as grey or RGB")
        check_segments(path, series[0], math.prod(page.chunks))
        return LazyImage(TiffPixels(path, series[0].shape, series[0].dtype), rgb, *pixel_size(tiff))


def _multiscale(attributes: dict[str, Any]) -> dict[str, Any] | None:
    found = attributes.get("ome", attributes).get("multiscales")
    return dict(found[0]) if found else None


def _ome_pixel_size(multiscale: dict[str, Any]) -> tuple[tuple[float, float] | None, str | None]:
    """Scale and unit of y and x, where both have the same unit."""
    axes = multiscale.get("axes", [])
    for transformation in multiscale["datasets"][0].get("coordinateTransformations", []):
        scale = transformation.get("scale", [])
        if transformation.get("type") == "scale" and len(scale) == len(axes) >= 2:
            units = {axis.get("unit") for axis in axes[-2:] if isinstance(axis, dict)}
            unit = units.pop() if len(units) == 1 else None
            return checked_size(scale[-2:], _UNITS.get(str(unit), unit))
    return None, None


_UNITS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm"}
