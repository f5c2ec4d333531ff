"""The size of a pixel, from a catheter of known size in the image."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d, map_coordinates
from scipy.optimize import least_squares

from napari_darl.errors import InputError
from napari_darl.measuring.checks import check_image
from napari_darl.measuring.lines import Floats

_MM_PER_FRENCH = 1 / 3
_HALF = 24.0  # px to either side of the line that are looked at
_SPACING = 0.25  # px, of the samples across
_SHORTEST = 10  # px, between the points
_WORST = 0.2  # rest of the fit, as part of the shadow's depth


def calibrate_by_catheter(image: npt.ArrayLike, start: Sequence[float], end: Sequence[float], french: float) -> float:
    """Compute the size of a pixel from a catheter of known outer diameter.

    The catheter's shadow is fitted by that of a round tube filled with contrast medium, 2 sqrt(r^2 - x^2), blurred by a
    Gaussian, on a sloping background. Between the points it may bend a little.

    Parameters
    ----------
    image : array-like, shape (Y, X)
        A grey frame.
    start, end : sequence of float
        (y, x) of two points on the catheter, in pixels, 10 px apart or more.
    french : float
        Outer diameter in French (Charriere): 1 F is 1/3 mm.

    Returns
    -------
    float
        Side of a pixel in mm, in the plane of the catheter: vessels nearer to the detector or further away look smaller
        or larger.

    Raises
    ------
    InputError
        If the points are too close or outside of the image, the size isn't positive, or no catheter is found.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_darl
    >>> shadow = 2 * np.sqrt(np.maximum(5.0**2 - (np.arange(64) - 32.0) ** 2, 0))
    >>> image = np.tile(100 - 4 * shadow, (80, 1))
    >>> round(napari_darl.calibrate_by_catheter(image, (10, 32), (70, 32), french=6), 1)
    0.2
    """
    frame = check_image(image, np.shape(image), None)[0].astype(np.float64)
    ends = np.array([start, end], np.float64)
    if frame.ndim != 2 or ends.shape != (2, 2):
        raise InputError(f"Give a grey frame (Y, X) and points (y, x), not {frame.shape}, {start} and {end}.")
    if not 0 < french < math.inf:
        raise InputError(f"The catheter's size is {french} F: give a positive number.")
    if not ((ends >= 0).all() and (ends <= np.array(frame.shape) - 1).all()):
        raise InputError(f"The points {tuple(start)} and {tuple(end)} don't both lie in the image.")
    length = float(np.linalg.norm(ends[1] - ends[0]))
    if length < _SHORTEST:
        raise InputError(f"The points are {length:.1f} px apart: choose them {_SHORTEST} px apart or more.")
    across = np.arange(-_HALF, _HALF + _SPACING, _SPACING)
    rows = _rows(frame, ends, length, across)
    radius = _fitted_radius(np.median(_aligned(rows, across), axis=0), across)
    return french * _MM_PER_FRENCH / (2 * radius)


def _rows(frame: Floats, ends: Floats, length: float, across: Floats) -> Floats:
    """Return profiles (N, M) across the line between the points, 1 px apart."""
    along = (ends[1] - ends[0]) / length
    normal = np.array([-along[1], along[0]])
    places = ends[0] + np.arange(int(length) + 1)[:, None] * along
    where = places[:, None] + across[:, None] * normal
    return np.asarray(map_coordinates(frame, np.moveaxis(where, -1, 0), order=1, mode="nearest"))


def _aligned(rows: Floats, across: Floats) -> Floats:
    """Shift profiles so that the catheter is in the middle: its place is a parabola along the line.

    The place in each profile is the centre of what rises above half of its height, about the line.
    """
    smooth = gaussian_filter1d(gaussian_filter1d(rows, 3, axis=0, mode="nearest"), 1 / _SPACING, axis=1)
    sign = np.sign(np.median(smooth) - np.median(smooth[:, np.abs(across) < 2])) or 1.0
    height = sign * (np.median(smooth, axis=1, keepdims=True) - smooth)
    weight = np.maximum(height - height.max(axis=1, keepdims=True) / 2, 0) * (np.abs(across) < _HALF / 2)
    place = (weight * across).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
    number = np.arange(len(rows))
    course = np.polyval(np.polyfit(number, place, min(2, len(rows) - 1)), number)
    return np.stack([np.interp(across + shift, across, row) for row, shift in zip(rows, course, strict=True)])


def _fitted_radius(profile: Floats, across: Floats) -> float:
    """Fit the blurred shadow of a filled tube on a sloping background."""

    def shadow(radius: float, blur: float, middle: float) -> Floats:
        chord = 2 * np.sqrt(np.maximum(radius**2 - (across - middle) ** 2, 0))
        return np.asarray(gaussian_filter1d(chord, blur / _SPACING, mode="nearest")) / (2 * radius)

    def parts(parameters: Floats) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """Return the best background and height for a shape, its rest, and where it was looked at."""
        radius, blur, middle = parameters
        near = np.abs(across - middle) < 2 * radius + 4
        design = np.stack([np.ones_like(across), across, shadow(radius, blur, middle)], axis=1)
        factors = np.linalg.lstsq(design[near], profile[near], rcond=None)[0]
        return factors, np.where(near, design @ factors - profile, 0), near

    best = None
    for radius in (2.0, 4.0, 8.0):  # several beginnings, as the fit may end in a neighbour's shadow
        fit = least_squares(
            lambda p: parts(p)[1],
            (radius, 1.0, 0.0),
            bounds=((0.7, 0.2, -4), (_HALF / 2.2, 1.5, 4)),
            diff_step=1e-2,
        )
        factors, rest, near = parts(fit.x)
        quality = np.sqrt((rest[near] ** 2).mean()) / max(abs(factors[2]), 1e-12)
        if best is None or quality < best[0]:
            best = quality, fit.x[0]
    if best is None or not best[0] < _WORST:
        raise InputError("No catheter was found between the points: choose two on its shadow, away from other edges.")
    return float(best[1])
