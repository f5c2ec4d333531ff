"""Movies smoothed over time, where they stand still."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_darl.errors import InputError
from napari_darl.frames.normalisation import Normalisation, intensity_range, normalise

_CHANGE = 0.05  # of intensities in [-1, 1]: pixels that change by more are seen anew
_BLUR = 2.0  # px, over which a change is looked at: single pixels change by their noise alone


def smooth_over_time(movie: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Average each frame with those before and after it, where the movie doesn't change.

    Pixels weigh less the more their blurred intensity differs from the neighbouring frame's (a Gaussian of 2.5 % of the
    movie's range, in which the outermost .1 % of its values don't count), so that neither moving vessels nor contrast
    agent that arrives leave a trail. Frames that differ by more than that in half of their pixels are on the two sides
    of a cut, and share nothing.

    Parameters
    ----------
    movie : numpy.ndarray, shape (T, Y, X)
        Grey frames of any real dtype.

    Returns
    -------
    numpy.ndarray, shape (T, Y, X)
        Of the same dtype; integers are rounded.

    Raises
    ------
    InputError
        If it is no movie.
    """
    if movie.ndim != 3:
        raise InputError(f"Only movies (T, Y, X) are smoothed over time, not images of shape {movie.shape}: leave it.")
    if movie.min() == movie.max():
        return movie.copy()
    limits = intensity_range(movie.reshape(-1, movie.shape[-1]), Normalisation(kind="percentiles"))
    smooth = np.empty_like(movie)
    seen, weight = _blurred(movie[0], limits), np.zeros(movie.shape[1:], np.float32)
    for t, frame in enumerate(movie):
        total, weights = frame + weight * movie[t - 1], 1 + weight
        if t + 1 < len(movie):
            before, seen = seen, _blurred(movie[t + 1], limits)
            weight = _shared(before, seen)
            total, weights = total + weight * movie[t + 1], weights + weight
        average = total / weights
        smooth[t] = np.rint(average) if movie.dtype.kind in "ui" else average
    return smooth


def _blurred(frame: npt.NDArray[Any], limits: tuple[float, float]) -> npt.NDArray[np.float32]:
    blurred: npt.NDArray[np.float32] = gaussian_filter(normalise(frame, limits), _BLUR)
    return blurred


def _shared(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How much pixels of two frames, blurred, count for each other."""
    change = np.abs(one - other)
    if np.median(change) >= _CHANGE:
        return np.zeros_like(change)
    weight: npt.NDArray[np.float32] = np.exp(-((change / _CHANGE) ** 2) / 2)
    return weight
