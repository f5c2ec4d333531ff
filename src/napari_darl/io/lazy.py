"""Open images that may be larger than memory: zarr, OME-Zarr and TIFF."""

import math
import warnings
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import finalize

import numpy as np
from tifffile import PHOTOMETRIC

from napari_darl.errors import FileError, InputError
from napari_darl.io.arrays import ImageArray, ImageData, check_image, looks_coloured
from napari_darl.io.size_limits import MAX_CHUNK
from napari_darl.io.tiff import (
    TIFF_SUFFIXES,
    full_size_series,
    is_rgb,
    open_tiff,
    photometric,
    planes_are_frames,
    reading_tiff,
    tiff_file,
    warn_of_pages_left_out,
)
from napari_darl.io.tiff_checks import check_segments
from napari_darl.io.tiff_metadata import (
    at_detector,
    channel_names,
    checked_distance,
    checked_size,
    frame_time,
    pixel_size,
    promised_bits,
    slice_distance,
)


def is_zarr(path: Path) -> bool:
    """Return whether a path is a zarr array or group, judged by the files in it."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def opens_lazily(path: Path) -> bool:
    """Return whether a path is of a kind that `open_lazily` supports."""
    return is_zarr(path) or path.suffix.lower() in TIFF_SUFFIXES


def open_lazily(path: Path) -> ImageData[ImageArray]:
    """Open a zarr array (v2 or v3), the finest level of an OME-Zarr image, or a TIFF, without reading its pixels.

    Parameters
    ----------
    path : Path
        The file or folder.

    Returns
    -------
    ImageData
        Its `data` reads pixels when it is sliced, and can be pickled for the workers of a cluster.

    Raises
    ------
    FileError
        If it can't be opened, or is of another kind.
    InputError
        If zarr isn't installed.
    """
    try:
        import zarr  # noqa: F401
    except ImportError as error:
        raise InputError('zarr isn\'t installed: pip install "napari-darl[large]".') from error
    if path.suffix.lower() in TIFF_SUFFIXES:
        return _open_tiff(path)
    if path.exists() and not opens_lazily(path):
        raise FileError(f"{path} can't be read part by part. Convert it to zarr or TIFF.")
    from napari_darl.io.zarr_store import open_node

    try:
        return _of_node(path, open_node(path))
    except FileError:
        raise
    except Exception as error:  # stores and codecs raise nearly anything on damaged data
        raise damaged(path, error) from error


def _of_node(path: Path, node: Any) -> ImageData[ImageArray]:
    """Open a zarr array, the finest level of an OME-Zarr image, or the only image in a group."""
    import zarr

    from napari_darl.io.zarr_store import member

    if isinstance(node, zarr.Array):
        return _of_zarr(path, node)
    multiscale = _multiscale(node.attrs.asdict())
    if multiscale is None:
        with warnings.catch_warnings(action="ignore"):  # about foreign files in the folder
            parts = [name for name, part in node.members() if _is_image(part)]
        if len(parts) == 1:  # bioformats2raw puts even a single image into a group
            return _of_node(path, member(node, parts[0]))
        names = ", ".join(sorted(parts)) or "it has none"
        raise FileError(f"{path} is a zarr group without OME levels. Pass one of the images in it ({names}).")
    level = member(node, str(multiscale["datasets"][0]["path"]))
    if not isinstance(level, zarr.Array):
        raise FileError(f"{path} has a level that isn't an array. Export it again.")
    attributes, image = node.attrs.asdict(), _of_zarr(path, level, multiscale)
    own = attributes.get("napari-darl")
    detector = isinstance(own, dict) and own.get("at_detector") is True
    return replace(image, channels=_ome_channels(attributes, image), at_detector=detector)


def damaged(path: Path, error: Exception) -> FileError:
    """Return the error of zarr that can't be read, with its reason."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return FileError(f"{path} can't be read as zarr ({reason}). Copy or export it again.")


def _is_image(part: Any) -> bool:
    return hasattr(part, "chunks") or _multiscale(part.attrs.asdict()) is not None


def _of_zarr(path: Path, array: Any, multiscale: dict[str, Any] | None = None) -> ImageData[ImageArray]:
    pixels = ZarrPixels(path, array)
    if looks_coloured(pixels.shape):
        return ImageData(pixels, rgb=True, path=path)
    size, unit = _ome_pixel_size(multiscale) if multiscale else (None, None)
    axes = _ome_axes(multiscale, pixels.ndim)
    scale = _ome_scale(multiscale) if multiscale and axes and {"Z", "T"} & set(axes) else None
    distance = checked_distance(*scale[axes.index("Z")], unit) if scale and axes and "Z" in axes else None
    time = _frame_time(*scale[axes.index("T")]) if scale and axes and "T" in axes else None
    return ImageData(pixels, False, size, unit, axes=axes, path=path, slice_distance=distance, frame_time=time)


class _LazyPixels:
    """Pixels that are read when they are sliced, and all of them when NumPy asks for an array."""

    def __getitem__(self, index: Any, /) -> Any:
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self[...], dtype)


class ZarrPixels(_LazyPixels):
    """The pixels of a zarr array. A damaged chunk raises FileError when it is read.

    Raises
    ------
    FileError
        If the array doesn't hold real numbers, has a codec that executes code, or chunks larger than `MAX_CHUNK`.
    """

    def __init__(self, path: Path, array: Any) -> None:
        self.path, self.shape, self.dtype, self._array = path, array.shape, array.dtype, array
        self.ndim, self.size, self.chunks = len(array.shape), math.prod(array.shape), array.chunks
        check_image(path, self.shape, self.dtype)
        if any(getattr(codec, "codec_id", None) == "pickle" for codec in (*array.filters, *array.compressors)):
            raise FileError(f"{path} holds Python objects, which are never executed. Export it as an array of numbers.")
        if any("blosc" in type(codec).__name__.lower() for codec in array.compressors):
            array.store.blosc = True
        if math.prod(array.chunks) * self.dtype.itemsize > MAX_CHUNK:
            raise FileError(
                f"{path} has chunks of {array.chunks} pixels, which are too large. Export it in smaller ones."
            )

    def __getitem__(self, index: Any, /) -> Any:
        try:
            return self._array[index]
        except Exception as error:  # codecs raise nearly anything on damaged data
            raise damaged(self.path, error) from error


class TiffPixels(_LazyPixels):
    """The pixels of a TIFF's first series. Slicing reads only the pages and tiles that it needs.

    Each process opens the file once, when it first reads from it.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.path, self.shape, self.dtype, self.ndim = path, shape, dtype, len(shape)
        self._array: Any = None
        self._lock = Lock()

    def __getitem__(self, index: Any, /) -> Any:
        with reading_tiff(self.path):
            with self._lock:
                if self._array is None:
                    self._array = self._open()
            return self._array[index].astype(self.dtype, copy=False)

    def _open(self) -> Any:
        import zarr

        tiff = tiff_file(self.path)
        finalize(self, tiff.close)
        series = full_size_series(tiff)[0]
        if series.dataoffset is not None:  # uncompressed values in one block
            dtype = np.dtype(self.dtype).newbyteorder(tiff.byteorder)
            return np.memmap(self.path, dtype, "r", series.dataoffset, series.shape)
        return zarr.open_array(series.aszarr(level=0), mode="r")

    def __reduce__(self) -> tuple[Any, ...]:
        return TiffPixels, (self.path, self.shape, self.dtype)


def _open_tiff(path: Path) -> ImageData[ImageArray]:
    with open_tiff(path) as tiff:
        series = full_size_series(tiff)
        page = series[0].keyframe
        if len(series) > 1:
            raise FileError(f"{path} holds {len(series)} images. Save each as its own file to read it part by part.")
        rgb = is_rgb(page)
        frames = planes_are_frames(tiff, series[0])
        rgb = rgb and not frames
        if series[0].dtype is None or not (rgb or frames or photometric(page) == PHOTOMETRIC.MINISBLACK):
            kind = PHOTOMETRIC(photometric(page)).name
            raise FileError(f"{path} has colours of the kind {kind}. Save it as grey or RGB.")
        if "S" in series[0].axes and not frames and (not rgb or series[0].axes[-1] != "S"):
            raise FileError(f"{path} has channels that aren't interleaved. Save it as grey or RGB.")
        check_image(path, series[0].shape, series[0].dtype)
        at_once = math.prod(page.chunks)
        if series[0].dataoffset is None and at_once * series[0].dtype.itemsize > MAX_CHUNK:
            raise FileError(f"{path} has tiles of {page.chunks} pixels, which are too large. Save it in smaller ones.")
        check_segments(path, series[0], at_once)
        warn_of_pages_left_out(path, tiff)
        pixels = TiffPixels(path, series[0].shape, series[0].dtype)
        letters = series[0].axes.replace("S", "Q") if frames else series[0].axes
        axes = letters if len(letters) == pixels.ndim else None
        size, unit = pixel_size(tiff)
        names, distance = channel_names(tiff, axes, pixels.shape), slice_distance(tiff, unit)
        image = ImageData(pixels, rgb, size, unit, promised_bits(series[0]), axes, path, channels=names)
        return replace(image, slice_distance=distance, at_detector=at_detector(tiff), frame_time=frame_time(tiff))


def _multiscale(attributes: dict[str, Any]) -> dict[str, Any] | None:
    multiscales = attributes.get("ome", attributes).get("multiscales")
    return dict(multiscales[0]) if multiscales else None


def _ome_pixel_size(multiscale: dict[str, Any]) -> tuple[tuple[float, float] | None, str | None]:
    """Return the scale of y and x, and the unit of x."""
    *_, (y, height), (x, width) = _ome_scale(multiscale) or [(None, None)] * 2
    return checked_size((y, x), width, height or "")


def _ome_scale(multiscale: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return scale and unit of each axis of the finest level; nothing where it has none."""
    axes = multiscale.get("axes", [])
    units = [axis.get("unit") if isinstance(axis, dict) else None for axis in axes]
    for transformation in multiscale["datasets"][0].get("coordinateTransformations", []):
        scale = transformation.get("scale", [])
        if transformation.get("type") == "scale" and len(scale) == len(axes) >= 2:
            return [(size, _UNITS.get(str(unit), unit)) for size, unit in zip(scale, units, strict=True)]
    return []


def _frame_time(value: Any, unit: Any) -> float | None:
    """Return the time between frames in ms; None if it isn't a positive number or has no unit of time."""
    known = isinstance(value, int | float) and math.isfinite(value) and value > 0 and unit in _MILLISECONDS
    return float(value) * _MILLISECONDS[unit] if known else None


def _ome_axes(multiscale: dict[str, Any] | None, dimensions: int) -> str | None:
    """Return one letter per axis; None where the axes have no names of one letter, as in version 0.3 and before."""
    axes = (multiscale or {}).get("axes", [])
    names = [str(axis.get("name") if isinstance(axis, dict) else axis) for axis in axes]
    return "".join(names).upper() if len(names) == dimensions and all(len(name) == 1 for name in names) else None


def _ome_channels(attributes: dict[str, Any], image: ImageData[ImageArray]) -> tuple[str, ...] | None:
    """Return the names of the channels along the axis C; None unless each of them has a name."""
    axis = (image.axes or "").find("C")
    try:
        names = tuple(str(channel["label"]) for channel in attributes.get("ome", attributes)["omero"]["channels"])
    except (KeyError, TypeError):
        return None
    return names if axis >= 0 and len(names) == image.data.shape[axis] and all(names) else None


_MILLISECONDS = {"microsecond": 1e-3, "millisecond": 1.0, "second": 1e3, "minute": 6e4, "hour": 3.6e6}
_UNITS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm", "meter": "m"}
