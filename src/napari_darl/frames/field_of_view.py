"""Where a frame shows something: what a collimator, an image intensifier or a fundus camera leaves lit."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage.transform import downscale_local_mean

from napari_darl.errors import InputError

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]


# Of `find_field_of_view`; its intensities run from 0, the darkest, to 1, the 90th percentile, and its lengths are
# parts of the frame's shorter side.
_SIDE = 256  # pixels that the shorter side is reduced to, about
_LEVELS = np.arange(0.05, 0.66, 0.05)  # a surround may be grey
_CLOSED = 0.05  # dark things up to so wide are no surround: vessels, above all
_NOISE = 0.002  # standard deviation of the smoothing
_BLUR = 0.012  # over which a rim may be blurred, to either side
_STEP = 0.1  # least step in intensity that three quarters of the rim have
_CONVEX = 0.97  # least part of its convex hull that the lit part fills
_SMALLEST = 0.2  # least part of the frame that is lit


def find_field_of_view(frame: npt.NDArray[Any], margin: float = 6 / 512) -> Mask:
    """Find the lit part of an angiogram or a fundus photograph, as far as a dark surround bounds it.

    Collimators, image intensifiers and fundus cameras leave rectangles and circles, all of them convex. Of several
    levels of intensity, that one counts above which the largest part of the frame is nearly convex and has the
    sharpest rim. Dark things inside belong to it, and so do vessels that reach its rim.

    Parameters
    ----------
    frame : numpy.ndarray, shape (Y, X)
        Grey, of any real dtype and range. Of a colour photograph, the luminance has a clearer rim than the green.
    margin : float
        What is taken off at the surround, where the rim looks like a vessel, in parts of the frame's shorter side;
        by default 6 pixels of 512. Nothing is taken off at the edges of the frame.

    Returns
    -------
    numpy.ndarray of bool, shape (Y, X)
        The field of view, convex; true everywhere if no dark surround is found.

    Raises
    ------
    InputError
        If it isn't a grey frame of finite values, or the margin isn't in [0, 0.5).
    """
    if frame.ndim != 2 or not frame.size or frame.dtype.kind not in "buif" or not np.isfinite(frame).all():
        raise InputError(
            f"No field of view can be found in shape {frame.shape} and type {frame.dtype}: "
            "hand a grey frame (Y, X) of finite, real numbers."
        )
    if not 0 <= margin < 0.5:
        raise InputError(f"The margin is {margin}: choose a part of the shorter side from 0 to below 0.5.")
    small = _reduced(frame)
    low, high = small.min(), np.percentile(small, 90)
    lit = _convex_part((small - low) / (high - low)) if high > low else None
    if lit is None:
        return np.ones(frame.shape, np.bool_)
    inside = ndimage.distance_transform_edt(lit) > margin * min(lit.shape)
    if not inside.any():
        return np.zeros(frame.shape, np.bool_)
    return _drawn(ConvexHull(_corners(inside) * np.divide(frame.shape, lit.shape)), frame.shape)


def _reduced(frame: npt.NDArray[Any]) -> Floats:
    """Average blocks of pixels, which leaves a shorter side of some 256."""
    factor = max(1, round(min(frame.shape) / _SIDE))
    height, width = (length // factor * factor for length in frame.shape)
    reduced: Floats = downscale_local_mean(frame[:height, :width].astype(np.float64), factor)
    return reduced


def _convex_part(frame: Floats) -> Mask | None:
    """Take the lit part at the level that makes it nearly convex and its rim sharpest; None if no level does."""
    side = min(frame.shape)
    frame = ndimage.gaussian_filter(frame, _NOISE * side)
    step = ndimage.morphological_gradient(frame, 2 * max(1, round(_BLUR * side)) + 1)
    # Beyond the frame it is dark, so that narrow strips at its edges stay open.
    radius = max(1, round(_CLOSED / 2 * side))
    closed = ndimage.grey_closing(np.pad(frame, radius + 1), 2 * radius + 1)
    sharpest, found = 0.0, None
    for level in _LEVELS:
        lit = _largest_part(closed > level)[radius + 1 : -radius - 1, radius + 1 : -radius - 1]
        rim = lit & ~ndimage.binary_erosion(lit, border_value=1)
        if lit.mean() < _SMALLEST or not rim.any() or lit.sum() < _CONVEX * ConvexHull(_corners(lit)).volume:
            continue
        # A level that cuts off a dim corner has a blurred rim there, however sharp it is elsewhere.
        blurred, usual = np.percentile(step[rim], [10, 25])
        if usual > _STEP and blurred > sharpest:
            sharpest, found = blurred, lit
    return found


def _largest_part(lit: Mask) -> Mask:
    """Take the largest part of what isn't connected with the dark at the array's corner."""
    dark, _ = ndimage.label(~lit)
    parts, _ = ndimage.label(dark != dark[0, 0])
    sizes = np.bincount(parts.ravel(), minlength=2)
    largest: Mask = parts == sizes[1:].argmax() + 1
    return largest


def _corners(mask: Mask) -> npt.NDArray[np.intp]:
    """List the corners of the first and the last pixel of each row; the corner of the array is (0, 0)."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([rows + below, x], axis=1) for below in (0, 1) for x in (first, last)])


def _drawn(hull: ConvexHull, shape: tuple[int, ...]) -> Mask:
    """Draw the pixels whose middles lie inside of a hull: in each row, those between the bounds that its facets set."""
    y, x = (np.arange(length) + 0.5 for length in shape)
    down, across, offset = hull.equations.T[:, :, None]  # inside, down * y + across * x + offset < 0
    across = np.where(across == 0, 1e-12, across)
    bounds = -(down * y + offset) / across
    left = np.where(across < 0, bounds, -np.inf).max(axis=0)[:, None]
    right = np.where(across > 0, bounds, np.inf).min(axis=0)[:, None]
    inside: Mask = (left < x) & (x < right)
    return inside
