"""Find the field of view: the part of a frame that a collimator, an image intensifier or a fundus camera leaves lit.

The lit part is convex: a rectangle, a circle, or what is left of one at the edges of the frame. Its intensity isn't
known, so several thresholds are tried:

1. The frame is reduced to a shorter side of about 256 pixels and smoothed. Dark structures that are narrow, above all
   vessels, are closed.
2. At each threshold, the largest bright region is a candidate, if it is large and fills nearly all of its convex hull.
3. The candidate with the sharpest rim is chosen, if that is sharp enough.
4. A margin is taken off where it borders on the dark surround, and its convex hull is drawn at full size.
"""

from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull

from napari_darl.errors import InputError
from napari_darl.frames.missing import known_values, missing_pixels
from napari_darl.frames.morphology import filtered, shrunk

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
Reduced = npt.NDArray[np.float32]


# Intensities are 0 at the minimum and 1 at the 90th percentile of the frame. Lengths are fractions of the shorter side.
_SIDE = 256  # pixels of the shorter side after reduction, about
_MARGIN = 6 / 512  # width taken off along the surround
_LEVELS = np.arange(0.05, 0.66, 0.05)  # thresholds; the surround may be grey
_CLOSED = 0.05  # width up to which dark structures are closed
_NOISE = 0.002  # standard deviation of the smoothing
_BLUR = 0.012  # width to either side over which a rim may be blurred
_STEP = 0.1  # least step in intensity, in three quarters of the rim
_CONVEX = 0.97  # least fraction of its convex hull that the lit part fills
_SEEN = 0.05  # greatest fraction of a side in the surround that is lit
_SMALLEST = 0.2  # least fraction of the frame that is lit


def find_field_of_view(frame: npt.NDArray[Any], margin: float = _MARGIN) -> Mask:
    """Return the lit part of an angiogram or a fundus photograph inside its dark surround.

    Dark structures inside belong to it, and so do vessels that reach its rim. The module explains the algorithm.

    Parameters
    ----------
    frame : numpy.ndarray, shape (Y, X)
        Grey, of any real dtype and range. The luminance of a colour photograph has a clearer rim than its green.
        Pixels that are masked or not finite are taken for dark.
    margin : float
        Width taken off along the surround, where the rim looks like a vessel, as a fraction of the frame's shorter
        side; by default 6 pixels of 512. Nothing is taken off at the edges of the frame.

    Returns
    -------
    numpy.ndarray of bool, shape (Y, X)
        The field of view, which is convex; True everywhere if there is no dark surround.

    Raises
    ------
    InputError
        If it isn't a grey frame, no value is finite, or the margin isn't in [0, 0.5).

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.zeros((256, 256))
    >>> frame[:, 40:216] = 100
    >>> inside = find_field_of_view(frame, margin=0)
    >>> bool(inside[128, 128]), bool(inside[128, 20])
    (True, False)
    """
    known = known_values(frame) if frame.dtype.kind in "buif" else np.empty(0)
    if frame.ndim != 2 or not known.size:
        raise InputError(
            f"No field of view can be found in an array of shape {frame.shape} and type {frame.dtype}. "
            "Pass a grey frame (Y, X) of real numbers, some of them finite."
        )
    if (missing := missing_pixels(frame)) is not None:
        frame = np.where(missing, known.min(), np.ma.getdata(frame))
    if not 0 <= margin < 0.5:
        raise InputError(f"The margin is {margin}. It must be at least 0 and less than 0.5 of the shorter side.")
    inside = _lit_part(_reduced(frame.astype(np.float64)), margin)
    if inside is None:
        return np.ones(frame.shape, np.bool_)
    return _drawn(inside, frame.shape) if inside.any() else np.zeros(frame.shape, np.bool_)


def without_surround(frame: npt.NDArray[Any]) -> Mask | None:
    """Return the field of view if a collimator or a camera has darkened a whole side of the frame, or all four corners.

    What is less than that may be a dim part of what was seen.

    Parameters
    ----------
    frame : numpy.ndarray, shape (Y, X)
        Grey, finite and of a moderate range, such as [-1, 1], since it is computed in float32.

    Returns
    -------
    numpy.ndarray of bool, shape (Y, X), optional
        None if there is no such surround.
    """
    small = _reduced(frame.astype(np.float32, copy=False))
    if not _has_dark_side(small > _LEVELS[-1]):  # as lit as a side can be, before it takes time to look closer
        return None
    inside = _lit_part(small, _MARGIN)
    return _drawn(inside, frame.shape) if inside is not None and inside.any() and _has_dark_side(inside) else None


def _has_dark_side(lit: Mask) -> bool:
    sides = lit[0], lit[-1], lit[:, 0], lit[:, -1]
    corners = lit[[0, 0, -1, -1], [0, -1, 0, -1]]
    return bool(min(side.mean() for side in sides) < _SEEN or not corners.any())


def _lit_part(frame: Reduced, margin: float) -> Mask | None:
    """Return the lit part of a reduced frame without its rim; None if there is no surround."""
    lit = _convex_part(frame)
    return None if lit is None else shrunk(lit, margin * min(lit.shape))


def _reduced(frame: Floats) -> Reduced:
    """Average blocks of pixels to a shorter side of about `_SIDE`; 0 is the minimum, 1 the 90th percentile."""
    factor = max(1, round(min(frame.shape) / _SIDE))
    height, width = (length // factor * factor for length in frame.shape)
    rows: Floats = reduce(np.add, (frame[start:height:factor] for start in range(factor)))
    total: Floats = reduce(np.add, (rows[:, start:width:factor] for start in range(factor)))
    reduced = total / frame.dtype.type(factor**2)
    low, high = reduced.min(), np.percentile(reduced, 90)
    scaled = (reduced - low) / (high - low) if high > low else np.ones_like(reduced)
    return scaled.astype(np.float32, copy=False)


def _convex_part(frame: Reduced) -> Mask | None:
    """Return the nearly convex bright region with the sharpest rim of all thresholds, or None."""
    side = min(frame.shape)
    frame = ndimage.gaussian_filter(frame, _NOISE * side)
    blur = 2 * max(1, round(_BLUR * side)) + 1
    step = filtered(frame, blur, np.maximum) - filtered(frame, blur, np.minimum)
    # The frame is padded with dark pixels, so that narrow dark strips at its edges aren't closed.
    radius = max(1, round(_CLOSED / 2 * side))
    closed = np.pad(frame, radius + 1)
    for extreme in (np.maximum, np.minimum):
        closed = filtered(closed, 2 * radius + 1, extreme)
    closed = closed[radius + 1 : -radius - 1, radius + 1 : -radius - 1].copy()
    candidates: list[tuple[float, Mask]] = []
    for level in _LEVELS[closed.min() <= _LEVELS]:  # below it, the whole frame is lit and has no rim
        lit = _largest_part(closed > level)
        rim = lit & ~shrunk(lit, 1)
        if np.count_nonzero(lit) < _SMALLEST * lit.size or not rim.any():
            continue
        # A threshold that cuts off a dim corner has a blurred rim there, however sharp the rest is.
        blurred, usual = np.percentile(step[rim], [10, 25])
        if usual > _STEP and blurred > 0:
            candidates.append((blurred, lit))
    sharpest_first = sorted(candidates, key=lambda candidate: candidate[0], reverse=True)
    return next((lit for _, lit in sharpest_first if _is_convex(lit)), None)


def _largest_part(lit: Mask) -> Mask:
    """Return the largest region, with the pixels that lie between others of it in their row and in their column."""
    parts, count = ndimage.label(lit)
    part: Mask = parts == np.bincount(parts.ravel())[1:].argmax() + 1 if count > 1 else lit
    (left, right), (top, bottom) = _ends(part), _ends(part.T)
    y, x = (np.arange(length, dtype=np.int32) for length in part.shape)
    spans: Mask = (left[:, None] <= x) & (x <= right[:, None]) & (top <= y[:, None]) & (y[:, None] <= bottom)
    return spans


def _ends(mask: Mask) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return where the first and the last pixel of each row lie; in rows without any, the last is -1."""
    first, turned = mask.argmax(axis=1), mask[:, ::-1].argmax(axis=1)
    last = np.where(mask[np.arange(len(mask)), first], mask.shape[1] - 1 - turned, -1)
    return first.astype(np.int32), last.astype(np.int32)


def _is_convex(lit: Mask) -> bool:
    return bool(np.count_nonzero(lit) >= _CONVEX * ConvexHull(_corners(lit)).volume)


def _corners(mask: Mask) -> npt.NDArray[np.intp]:
    """Return the corners of the first and the last pixel of each row; the array's own corner is (0, 0)."""
    rows = np.flatnonzero(mask.any(axis=1))
    first, last = _ends(mask[rows])
    return np.concatenate([np.stack([rows + below, x], axis=1) for below in (0, 1) for x in (first, last + 1)])


def _drawn(inside: Mask, shape: tuple[int, ...]) -> Mask:
    """Return the pixels of a larger frame whose centres lie inside the convex hull of a mask.

    In each row, these are the pixels between the bounds set by the facets.
    """
    hull = ConvexHull(_corners(inside) * np.divide(shape, inside.shape))
    y, x = (np.arange(length) + 0.5 for length in shape)
    down, across, offset = hull.equations.T[:, :, None]  # inside, down * y + across * x + offset < 0
    across = np.where(across == 0, 1e-12, across)
    bounds = -(down * y + offset) / across
    left = np.where(across < 0, bounds, -np.inf).max(axis=0)[:, None]
    right = np.where(across > 0, bounds, np.inf).min(axis=0)[:, None]
    drawn: Mask = (left < x) & (x < right)
    return drawn
