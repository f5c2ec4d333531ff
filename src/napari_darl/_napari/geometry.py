"""Where a layer lies in the world: copied from one layer to another, and written down as plain values."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels, Layer

from napari_darl.errors import InputError

_NUMBERS = ("scale", "translate", "rotate", "shear", "affine")
_NAMES = ("units", "axis_labels")
_KEYS = (*_NUMBERS, *_NAMES)


def geometry(layer: Layer) -> dict[str, Any]:
    """Take a layer's geometry, to hand it to another layer of as many dimensions.

    `Labels(data, **geometry(image))` lies exactly over `image`, be it plain, RGB, multiscale or lazy.

    Parameters
    ----------
    layer : napari.layers.Layer
        A layer of n dimensions; the colours of an RGB image are no dimension.

    Returns
    -------
    dict
        Keyword arguments of any layer. `scale` and `translate` are n numbers, `rotate` is n x n, `shear` has the
        n (n - 1) / 2 numbers above the diagonal, or is n x n if it has some below, `affine` is (n + 1) x (n + 1),
        each as a list; `units` are n pint units and `axis_labels` n strings. It doesn't change with the layer.
    """
    numbers = {key: np.array(getattr(layer, key), float).tolist() for key in _NUMBERS}
    return numbers | {key: tuple(getattr(layer, key)) for key in _NAMES}


def geometry_to_json(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a geometry into values that JSON knows.

    Parameters
    ----------
    geometry : mapping
        From `geometry`, or the metadata of a layer-data tuple, of which only the geometry is taken.

    Returns
    -------
    dict
        Lists of numbers and of strings; pint units by their names.
    """
    numbers = {key: np.array(geometry[key], float).tolist() for key in _NUMBERS}
    units = [f"{unit:D}" for unit in geometry["units"]]
    return numbers | {"units": units, "axis_labels": list(geometry["axis_labels"])}


def geometry_from_json(values: object, ndim: int) -> dict[str, Any]:
    """Turn what `geometry_to_json` returned into a geometry again.

    Parameters
    ----------
    values : object
        A mapping with all or some of a geometry; what isn't part of one is left out.
    ndim : int
        Dimensions of the layer that it is for.

    Returns
    -------
    dict
        As from `geometry`, with napari's defaults for what isn't there.

    Raises
    ------
    InputError
        If this is no geometry of so many dimensions.
    """
    try:
        layer = _stand_in({key: values[key] for key in _KEYS if key in values}, ndim)  # type: ignore[operator,index]
        usable = np.isfinite(layer.world_to_data(layer.data_to_world((0.0,) * ndim))).all()
    except Exception as error:  # napari raises nearly anything on values of the wrong kind
        raise InputError(f"This is no geometry of {ndim} dimensions ({error}): place the layer by hand") from error
    if not usable:
        raise InputError(f"This geometry of {ndim} dimensions isn't finite: place the layer by hand")
    return geometry(layer)


def pixel_size(geometry: Mapping[str, Any]) -> tuple[float, float] | None:
    """Measure a pixel of a layer with a geometry.

    Parameters
    ----------
    geometry : mapping
        From `geometry`.

    Returns
    -------
    tuple of float, or None
        Its height and width in the world, in µm; None if the world isn't measured in units of length there.
    """
    ndim = len(geometry["scale"])
    layer = _stand_in(geometry, ndim)
    origin = np.array(layer.data_to_world((0.0,) * ndim))
    sides = np.array([layer.data_to_world(step) for step in np.eye(ndim)[-2:]]) - origin
    micrometres = [_micrometres(unit) for unit in layer.units]
    across = np.abs(sides) > 1e-9 * np.abs(sides).max()  # a rotation by 90° leaves crumbs along other axes
    height, width = np.linalg.norm(np.where(across, sides * micrometres, 0), axis=1)
    return (float(height), float(width)) if np.isfinite(height + width) else None


def unit_factors(given: Sequence[Any], wanted: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Tell by what to multiply values in pint units to have them in others; 1 where the two are of different kinds."""
    pairs = zip(given, wanted, strict=True)
    return np.array(
        [float((1 * one).to(other).magnitude) if one.is_compatible_with(other) else 1 for one, other in pairs]
    )


def _micrometres(unit: Any) -> float:
    return float((1 * unit).to("micrometer").magnitude) if unit.is_compatible_with("meter") else np.nan


def _stand_in(geometry: Mapping[str, Any], ndim: int) -> Labels:
    """Make a layer of one pixel in the place of the real one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the real layer warns as well
        return Labels(np.zeros((1,) * ndim, np.uint8), **geometry)
