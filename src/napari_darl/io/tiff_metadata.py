"""Metadata of TIFF files: stored bits, the size of a pixel, and the time between frames."""

import json
import math
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from tifffile import RESUNIT

CENTIMETRES = {"nm": 1e-7, "µm": 1e-4, "mm": 0.1, "cm": 1.0, "m": 100.0}
"""Metric units in centimetres, the unit of TIFF's resolution tags."""

OWN_NAMESPACE = "napari-darl"
"""Namespace of the annotation in OME-XML that holds this program's description of an image."""

_MILLISECONDS = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3, "sec": 1e3, "min": 6e4, "h": 3.6e6}
_MICROMETRES = {"um", "micron", "microns", "micrometer", "\\u00B5m", "μm"}  # spellings in real files
_LENGTHLESS = {"", "pixel", "pixels", "none", "null"}


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


def channel_names(tiff: tifffile.TiffFile, axes: str | None, shape: tuple[int, ...]) -> tuple[str, ...] | None:
    """Return the names of the channels along the axis C of an OME-TIFF; None unless each of them has a name."""
    if axes is None or "C" not in axes or not tiff.is_ome:
        return None
    channels = _ome_pixels(tiff).get("Channel", [])
    listed = channels if isinstance(channels, list) else [channels]
    names = tuple(str(one["Name"]) for one in listed if isinstance(one, dict) and one.get("Name"))
    return names if len(names) == shape[axes.index("C")] else None


def own_description(tiff: tifffile.TiffFile) -> dict[str, Any]:
    """Return what tifffile or this program wrote about an image; nothing for files of other programs.

    It is JSON in ImageDescription or, in OME-TIFF, in an annotation.
    """
    if not (tiff.is_ome and tiff.ome_metadata):
        return (tiff.shaped_metadata or ({},))[0]
    comments = _child(_child(tifffile.xml2dict(tiff.ome_metadata), "OME"), "StructuredAnnotations")
    found = comments.get("CommentAnnotation", [])
    for comment in found if isinstance(found, list) else [found]:
        if isinstance(comment, dict) and comment.get("Namespace") == OWN_NAMESPACE:
            with suppress(ValueError, TypeError, RecursionError):
                description = json.loads(comment["Value"])
                return description if isinstance(description, dict) else {}
    return {}


def _child(entry: dict[str, Any], name: str) -> dict[str, Any]:
    child = entry.get(name)
    return child if isinstance(child, dict) else {}


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
    own = own_description(tiff)
    if "pixel_size" in own:
        return checked_size(own["pixel_size"], own.get("unit"))
    if tiff.is_ome and tiff.ome_metadata:
        pixels = _ome_pixels(tiff)
        size = [pixels.get("PhysicalSizeY"), pixels.get("PhysicalSizeX")]
        return checked_size(size, pixels.get("PhysicalSizeXUnit", "µm"), pixels.get("PhysicalSizeYUnit", "µm"))
    width, height = (1 / density if density > 0 else 0 for density in page.resolution)
    if tiff.is_imagej and tiff.imagej_metadata and "unit" in tiff.imagej_metadata:
        unit = tiff.imagej_metadata["unit"]
        return checked_size([height, width], unit, tiff.imagej_metadata.get("yunit", unit))
    if page.resolutionunit == RESUNIT.CENTIMETER and "XResolution" in page.tags:
        return checked_size([height * 1e4, width * 1e4], "µm")
    return None, None


def slice_distance(tiff: tifffile.TiffFile, unit: str | None) -> float | None:
    """Return the distance of two slices in `unit`, the unit of the pixel's size, where OME or ImageJ give it."""
    own = own_description(tiff)
    if "slice_distance" in own:
        return checked_distance(own["slice_distance"], unit, unit)
    if tiff.is_ome and tiff.ome_metadata:
        pixels = _ome_pixels(tiff)
        return checked_distance(pixels.get("PhysicalSizeZ"), pixels.get("PhysicalSizeZUnit", "µm"), unit)
    if tiff.is_imagej and tiff.imagej_metadata:
        known = tiff.imagej_metadata
        return checked_distance(known.get("spacing"), known.get("zunit", known.get("unit")), unit)
    return None


def at_detector(tiff: tifffile.TiffFile) -> bool:
    """Return whether the pixel size is that of a detector, which only our files say."""
    return own_description(tiff).get("at_detector") is True


def frame_time(tiff: tifffile.TiffFile) -> float | None:
    """Return the time between frames in ms, where our files or OME-TIFF give it."""
    time, unit = own_description(tiff).get("frame_time"), "ms"
    if time is None and tiff.is_ome and tiff.ome_metadata:
        pixels = _ome_pixels(tiff)
        time, unit = pixels.get("TimeIncrement"), str(pixels.get("TimeIncrementUnit", "s"))
    known = isinstance(time, int | float) and 0 < time < math.inf and unit in _MILLISECONDS
    return float(time) * _MILLISECONDS[unit] if known else None  # type: ignore[arg-type]


def checked_distance(distance: Any, unit: Any, wanted: str | None) -> float | None:
    """Return a distance in the unit that is wanted, or None if that can't be."""
    size, unit = checked_size((distance, distance), unit)
    if size is None or unit is None or wanted is None:
        return None
    if unit == wanted:
        return size[0]
    known = unit in CENTIMETRES and wanted in CENTIMETRES
    return size[0] * CENTIMETRES[unit] / CENTIMETRES[wanted] if known else None


def _first(entry: Any) -> dict[str, Any]:
    first = entry[0] if isinstance(entry, list) else entry
    return first if isinstance(first, dict) else {}


def checked_size(size: Any, unit: Any, height_unit: Any = None) -> tuple[tuple[float, float] | None, str | None]:
    """Return height and width of a pixel and their unit, or None for both unless they are positive lengths.

    Parameters
    ----------
    size : sequence
        Height and width, as the file has them.
    unit : object
        Unit of the width, and of the height unless it has its own.
    height_unit : object, optional
        Unit of the height, which is converted to that of the width.

    Returns
    -------
    size : tuple of float, optional
        Height and width, in `unit`.
    unit : str, optional
        The unit; "µm" for any spelling of it.
    """
    try:
        height, width = (float(length) for length in size)
    except (TypeError, ValueError):
        return None, None
    name, other = _unit_name(unit), _unit_name(unit if height_unit is None else height_unit)
    if name != other:
        if not (name in CENTIMETRES and other in CENTIMETRES):
            return None, None
        height *= CENTIMETRES[other] / CENTIMETRES[name]
    if name.lower() in _LENGTHLESS or not (0 < height < math.inf and 0 < width < math.inf):
        return None, None
    return (height, width), name


def _unit_name(unit: Any) -> str:
    name = str(unit or "").strip()
    return "µm" if name in _MICROMETRES else name
