"""Quantify a stenosis: the narrowing of a vessel between two points.

After DICOM PS3.17 annex T: the minimum lumen diameter, a reference diameter interpolated from the vessel on either side
of the lesion, and the percent diameter stenosis 100 (1 - minimum / reference), which needs no calibration.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d, map_coordinates

from napari_darl.errors import InputError
from napari_darl.measuring.checks import check_image, check_mask, check_pixel_size
from napari_darl.measuring.frame import bright_vessels
from napari_darl.measuring.lines import Floats
from napari_darl.measuring.lumen import lumen_widths
from napari_darl.measuring.sections import full_widths, normals
from napari_darl.measuring.segments import evened
from napari_darl.measuring.vessel_path import VesselPath, VesselPaths

_EVEN = 6.0  # px, cutoff of the mask's diameter along the path
_SPACING, _BESIDE = 0.5, 3.0  # px: distance of the samples across the vessel; how far they reach beyond it, at least
_AVERAGED = 2.5  # px, standard deviation by which profiles are averaged to see whether there is a vessel
_SHORTEST = 8  # px, of a path
_QUANTILE = 0.7  # part of the diameters below the first guess of the reference
_TOLERANCE = 0.06  # part of the reference by which a diameter may differ from it and belong to it
_BORDER = 0.1  # part of the greatest narrowing at which the lesion ends


@dataclass(frozen=True, eq=False)
class Stenosis:
    """A vessel between two points, and its narrowest place. Lengths are in `unit`.

    Attributes
    ----------
    path : numpy.ndarray, shape (N, 2)
        The centreline between the points, in pixels (y, x).
    position : numpy.ndarray, shape (N,)
        Distance from the start, along the path.
    diameter : numpy.ndarray, shape (N,)
        Diameter at each point.
    reference : numpy.ndarray, shape (N,)
        Diameter that the vessel would have without a lesion: a straight line through the diameters beside it.
    minimum_diameter : float
        The least diameter.
    minimum_position : float
        Where it is, as `position`.
    reference_diameter : float
        The reference there.
    percent_diameter : float
        Percent diameter stenosis, 100 (1 - minimum / reference); 0 where the vessel isn't narrowed.
    lesion_length : float
        Length of the stretch about the minimum in which the narrowing is more than a tenth of the greatest.
    lesion : tuple of float
        Where the lesion begins and ends, as `position`.
    source : str
        What diameters were measured in: "image" (full width at half maximum, without the image's blur) or "mask".
    pixel_size : tuple of float
        Height and width of a pixel, in `unit`.
    unit : str
        Unit of length.
    """

    path: Floats = field(repr=False)
    position: Floats = field(repr=False)
    diameter: Floats = field(repr=False)
    reference: Floats = field(repr=False)
    minimum_diameter: float
    minimum_position: float
    reference_diameter: float
    percent_diameter: float
    lesion_length: float
    lesion: tuple[float, float]
    source: str
    pixel_size: tuple[float, ...]
    unit: str


def stenosis(
    mask: npt.ArrayLike,
    start: Sequence[float],
    end: Sequence[float],
    image: npt.ArrayLike | None = None,
    *,
    pixel_size: float | Sequence[float] = 1.0,
    unit: str = "px",
) -> Stenosis:
    """Measure the narrowing of a vessel between two points.

    Parameters
    ----------
    mask : array-like of bool or integers, shape (Y, X)
        Vessels are not 0.
    start, end : sequence of float
        (y, x) in pixels; the path leads along centrelines between the points of a centreline nearest to them.
    image : array-like, shape (Y, X), optional
        The grey image of the vessels, dark or bright: diameters are then full widths at half maximum of
        its profiles, without its blur, by one fit to all of them.
    pixel_size : float or sequence of float
        Size of a pixel, or its height and width, in `unit`.
    unit : str
        Unit of length. Without a pixel size all lengths are in pixels; the percent diameter stenosis needs none.

    Returns
    -------
    Stenosis
        Path, diameters along it, minimum and reference.

    Raises
    ------
    InputError
        If a point isn't on a vessel, no vessel connects them, they are closer than 8 px, or the image shows no vessel
        along the path.

    References
    ----------
    DICOM PS3.17 annex T.4.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_darl
    >>> mask = np.zeros((64, 128), bool)
    >>> mask[22:42, 10:110] = True
    >>> mask[22:27, 50:70] = mask[37:42, 50:70] = False
    >>> round(napari_darl.stenosis(mask, (32, 15), (32, 105)).percent_diameter, -1)
    50.0
    """
    labels = check_mask(mask, None)[0]
    if labels.ndim != 2:
        raise InputError(f"The mask's shape is {labels.shape}: a stenosis is measured in one frame (Y, X).")
    grey = None if image is None else check_image(image, labels.shape, None)[0]
    size = check_pixel_size(pixel_size, 2)
    places = [_point(point, name) for point, name in ((start, "start"), (end, "end"))]
    path = VesselPaths(labels != 0, size).between(*places)
    return along_path(path, None if grey is None else bright_vessels(grey, labels != 0), size, unit)


def _point(point: Sequence[float], name: str) -> tuple[float, float]:
    place = np.asarray(point, np.float64)
    if place.shape != (2,):
        raise InputError(f"The {name} is {tuple(point)}: give y and x in pixels.")
    return float(place[0]), float(place[1])


def along_path(path: VesselPath, image: npt.NDArray[Any] | None, size: Floats, unit: str) -> Stenosis:
    """Measure the stenosis along a path; vessels are bright in `image`."""
    small, line = float(size.min()), path.line
    if line.arc[-1] < _SHORTEST:
        raise InputError(f"The points are {line.arc[-1]:.1f} px apart along the vessel: choose them {_SHORTEST} apart.")
    if not np.isfinite(path.width).any():
        raise InputError("The mask has no edges on either side of the path: choose points on a vessel.")
    diameter = evened(line, path.width, path.width, _EVEN)
    if image is not None:
        diameter = _in_image(path, diameter, image, size / small)
    known = np.isfinite(path.width) if image is None else np.ones(len(diameter), bool)
    reference = _reference(line.arc, diameter, known)
    least = 1 + int(np.argmin((diameter / reference)[1:-1]))
    narrowing = np.maximum(reference - diameter, 0)
    begin, end = _borders(narrowing, least)
    return Stenosis(
        path=path.points,
        position=line.arc * small,
        diameter=diameter * small,
        reference=reference * small,
        minimum_diameter=float(diameter[least] * small),
        minimum_position=float(line.arc[least] * small),
        reference_diameter=float(reference[least] * small),
        percent_diameter=float(100 * narrowing[least] / reference[least]),
        lesion_length=float((line.arc[end] - line.arc[begin]) * small),
        lesion=(float(line.arc[begin] * small), float(line.arc[end] * small)),
        source="mask" if image is None else "image",
        pixel_size=tuple(size.tolist()),
        unit=unit,
    )


def _in_image(path: VesselPath, expected: Floats, image: npt.NDArray[Any], scale: Floats) -> Floats:
    """Return the widths of a vessel's image along a path.

    The vessel is straightened: one row of samples for each point of the path. The widest vessel on it sets how far the
    rows reach.
    """
    half = np.ceil((1.5 * expected.max() + _BESIDE) / _SPACING)
    along = np.arange(-half, half + 1) * _SPACING
    across = normals(path.line.tangents())[:, 0]
    where = path.points[:, None] * scale + along[:, None] * across[:, None]
    rows = map_coordinates(image, np.moveaxis(where / scale, -1, 0), order=1, mode="nearest")
    profiles = gaussian_filter1d(rows, _AVERAGED, axis=0, mode="nearest")
    if np.isfinite(full_widths(profiles, along, expected)).mean() < 0.5:
        raise InputError("The image shows no vessel along most of the path: give the image that the mask belongs to.")
    return lumen_widths(rows, along, path.line.arc, expected)


def _reference(position: Floats, diameter: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Fit a straight line to the diameters of the vessel beside the lesion.

    First, a line below which 70 % of the diameters lie (quantile regression, by iterated weights); then, again and
    again, the line through all diameters within 6 % of it.
    """
    design = np.stack([np.ones_like(position), position / position[-1]], axis=1)
    weight = known.astype(np.float64)
    line = np.full_like(diameter, np.quantile(diameter[known], _QUANTILE))
    for _ in range(30):
        rest = diameter - line
        tilted = np.where(rest > 0, _QUANTILE, 1 - _QUANTILE) / np.maximum(np.abs(rest), 0.05)
        line = _fitted(design, diameter, weight * tilted)
    for _ in range(10):
        near = known & (np.abs(diameter - line) < np.maximum(_TOLERANCE * line, 0.3))
        if near.sum() < 4:
            break
        line = _fitted(design, diameter, near.astype(np.float64))
    return np.maximum(line, 0.1)


def _fitted(design: Floats, values: Floats, weight: Floats) -> Floats:
    """Return the weighted least-squares fit, at all places."""
    root = np.sqrt(weight)
    coefficients = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
    return np.asarray(design @ coefficients)


def _borders(narrowing: Floats, least: int) -> tuple[int, int]:
    """Return the first and the last point about `least` that are narrowed by more than a tenth of it."""
    outside = narrowing <= _BORDER * narrowing[least]
    before, after = np.flatnonzero(outside[:least]), np.flatnonzero(outside[least:])
    begin = int(before[-1]) if len(before) else 0
    end = least + int(after[0]) if len(after) else len(narrowing) - 1
    return begin, end
