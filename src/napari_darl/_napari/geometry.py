"""The geometry of layers, which says where they lie in the world: copied between layers, and saved as JSON."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari import current_viewer
from napari.layers import Image, Labels, Layer

from napari_darl.errors import InputError

SPACING = "pixel size from"
"""Entry of a layer's metadata: the DICOM element that its scale comes from."""

AT_DETECTOR = "ImagerPixelSpacing: at the detector, where vessels appear larger than they are"
"""Its value where the scale is the detector's, and lengths are too large by the magnification."""

SIZE = "pixel size in the file"
"""Entry of a mask's metadata: height and width of a pixel in µm, which its image's file gives and its scale doesn't."""

_NUMBERS = ("scale", "translate", "rotate", "shear", "affine")
_NAMES = ("units", "axis_labels")
_KEYS = (*_NUMBERS, *_NAMES)


def geometry(layer: Layer) -> dict[str, Any]:
    """Return a layer's geometry, to be given to another layer with as many dimensions.

    `Labels(data, **geometry(image))` lies exactly over `image`, whether it is plain, RGB, multiscale or lazy.

    Parameters
    ----------
    layer : napari.layers.Layer
        A layer of n dimensions. The colours of an RGB image don't count as a dimension.

    Returns
    -------
    dict
        Keyword arguments of any layer, which don't change with the layer. These are lists: `scale` and `translate` of n
        numbers, `rotate` of n x n and `affine` of (n + 1) x (n + 1) numbers. `shear` is a list of the n (n - 1) / 2
        numbers above the diagonal, or of n x n numbers if there are others below. `units` is a tuple of n pint units,
        and `axis_labels` one of n strings.
    """
    numbers = {key: np.array(getattr(layer, key), float).tolist() for key in _NUMBERS}
    return numbers | {key: tuple(getattr(layer, key)) for key in _NAMES}


def geometry_over(file: object, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the geometry of the open image of a file, over which its mask lies whichever reader has opened it.

    Parameters
    ----------
    file : object
        Name of the image's file, without its folder, as results carry it.
    shape : tuple of int
        Shape of the mask.

    Returns
    -------
    dict
        As from `geometry`; empty unless all open images of that name and shape have the same.
    """
    viewer = current_viewer()
    found = [
        geometry(layer)
        for layer in (viewer.layers if viewer is not None else ())
        if isinstance(layer, Image) and _file_name(layer) == file and _shape(layer) == tuple(shape)
    ]
    return found[0] if found and all(one == found[0] for one in found) else {}


def _file_name(layer: Image) -> str | None:
    return None if layer.source.path is None else Path(layer.source.path).name


def _shape(layer: Image) -> tuple[int, ...]:
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    return tuple(shape[: layer.ndim])


def at_detector(layer: Layer) -> bool:
    """Return whether a layer's scale is that of an X-ray detector."""
    return str(layer.metadata.get(SPACING, "")).startswith("ImagerPixelSpacing")


def geometry_to_json(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a geometry to values that JSON can hold.

    Parameters
    ----------
    geometry : mapping
        From `geometry`, or the metadata of a layer-data tuple; other entries are ignored.

    Returns
    -------
    dict
        Lists of numbers and of strings; units by their names.
    """
    numbers = {key: np.array(geometry[key], float).tolist() for key in _NUMBERS}
    units = [f"{unit:D}" for unit in geometry["units"]]
    return numbers | {"units": units, "axis_labels": list(geometry["axis_labels"])}


def geometry_from_json(values: object, ndim: int) -> dict[str, Any]:
    """Convert the result of `geometry_to_json` back to a geometry.

    Parameters
    ----------
    values : object
        A mapping with all or some entries of a geometry; other entries are ignored.
    ndim : int
        Number of dimensions of the layer that gets it.

    Returns
    -------
    dict
        As from `geometry`, with napari's defaults for missing entries.

    Raises
    ------
    InputError
        If this isn't a geometry of that many dimensions.
    """
    try:
        layer = stand_in({key: values[key] for key in _KEYS if key in values}, ndim)  # type: ignore[operator,index]
        with np.errstate(all="ignore"):
            usable = np.isfinite(layer.world_to_data(layer.data_to_world((0.0,) * ndim))).all()
    except Exception as error:  # napari raises nearly anything on values of the wrong kind
        raise InputError(f"This isn't a geometry of {ndim} dimensions ({error}). Place the layer by hand.") from error
    if not usable:
        raise InputError(f"This geometry of {ndim} dimensions isn't finite. Place the layer by hand.")
    return geometry(layer)


def pixel_size(geometry: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the size of a pixel of a layer with this geometry.

    Parameters
    ----------
    geometry : mapping
        From `geometry`.

    Returns
    -------
    tuple of float or None
        Height and width in the world, in µm, or None if the units of y and x aren't units of length.
    """
    ndim = len(geometry["scale"])
    layer = stand_in(geometry, ndim)
    origin = np.array(layer.data_to_world((0.0,) * ndim))
    sides = np.array([layer.data_to_world(step) for step in np.eye(ndim)[-2:]]) - origin
    micrometres = [_micrometres(unit) for unit in layer.units]
    across = np.abs(sides) > 1e-9 * np.abs(sides).max()  # a rotation by 90° leaves tiny values along other axes
    height, width = np.linalg.norm(np.where(across, sides * micrometres, 0), axis=1)
    return (float(height), float(width)) if np.isfinite(height + width) else None


def unit_factors(given: Sequence[Any], wanted: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Return the factors that convert values from one list of pint units to another; 1 where they are incompatible."""
    pairs = zip(given, wanted, strict=True)
    return np.array(
        [float((1 * one).to(other).magnitude) if one.is_compatible_with(other) else 1 for one, other in pairs]
    )


def _micrometres(unit: Any) -> float:
    return float((1 * unit).to("micrometer").magnitude) if unit.is_compatible_with("meter") else np.nan


def stand_in(geometry: Mapping[str, Any], ndim: int) -> Labels:
    """Return a layer of one pixel with this geometry, to ask for what napari makes of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # napari warns for the real layer, too
        return Labels(np.zeros((1,) * ndim, np.uint8), **geometry)
