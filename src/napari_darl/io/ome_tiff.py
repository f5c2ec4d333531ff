"""Results as OME-TIFF: axes, sizes and times as OME-XML, which ImageJ (Bio-Formats), QuPath and others read."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.io.arrays import UNKNOWN_AXES, ImageData, ome_axes
from napari_darl.io.tiff_metadata import CENTIMETRES, OWN_NAMESPACE

_TYPES = ("bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64")


def is_ome_tiff(path: Path) -> bool:
    """Return whether a file is named as OME-TIFF."""
    return path.name.lower().endswith((".ome.tif", ".ome.tiff"))


def ome_metadata(
    path: Path, image: ImageData[npt.NDArray[Any]], dtype: npt.DTypeLike, description: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the metadata from which tifffile makes OME-XML.

    Parameters
    ----------
    path : Path
        The file, for messages.
    image : ImageData
        Brings axes, pixel size, distance of slices and time between frames.
    dtype : dtype
        Type of the pixels.
    description : mapping
        What this program says about the image; kept as JSON in an annotation, with shape and axes, since readers of OME
        drop axes of length 1.

    Raises
    ------
    InputError
        If there are more than five axes, or OME has no such type.
    """
    leading = len(image.leading_shape)
    if leading >= len(UNKNOWN_AXES):
        raise InputError(f"{path} can't have {leading + 2} axes. OME-TIFF holds up to five: save parts of the image.")
    if np.dtype(dtype).name not in _TYPES:
        raise InputError(f"{path} can't hold {np.dtype(dtype).name}. OME-TIFF holds one of {', '.join(_TYPES)}.")
    axes = (ome_axes(image, leading) or UNKNOWN_AXES[leading]) + "YX"
    own = json.dumps({**description, "shape": list(image.data.shape), "axes": axes})
    metadata: dict[str, Any] = {"axes": axes, "CommentAnnotation": {"Namespace": OWN_NAMESPACE, "Value": own}}
    if image.pixel_size and image.unit in CENTIMETRES:
        sizes = dict(zip("YX", image.pixel_size, strict=True))
        if "Z" in axes and image.slice_distance:
            sizes["Z"] = image.slice_distance
        for axis, size in sizes.items():
            metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": image.unit}
    if "T" in axes and image.frame_time:
        metadata |= {"TimeIncrement": image.frame_time, "TimeIncrementUnit": "ms"}
    return metadata


def with_lost_axes(image: ImageData[npt.NDArray[Any]], description: Mapping[str, Any]) -> ImageData[npt.NDArray[Any]]:
    """Return an image with the axes of length 1 that readers of OME drop, where our description names all axes."""
    shape, axes = description.get("shape"), description.get("axes")
    if not (isinstance(shape, list) and isinstance(axes, str) and len(shape) == len(axes)):
        return image
    if [n for n in shape if n != 1] != [n for n in image.data.shape if n != 1]:
        return image
    return replace(image, data=image.data.reshape(shape), axes=axes)
