"""Smooth movies over time, where nothing moves."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_darl.errors import InputError
from napari_darl.frames.missing import Mask, filled, known_values, missing_pixels
from napari_darl.frames.normalisation import Normalisation, intensity_range, normalise

_CHANGE = 0.05  # of intensities in [-1, 1]; pixels that change by more share next to nothing
_BLUR = 2.0  # px, standard deviation; single pixels change by their noise alone


def smooth_over_time(movie: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Average each frame with the frames before and after it, where the movie doesn't change.

    The weight of a pixel falls with the difference d of the blurred intensities in the two frames, as
    exp(-(d / c)^2 / 2), where c is 2.5 % of the movie's range (from its 0.1st to its 99.9th percentile). So neither
    moving vessels nor arriving contrast agent leave a trail. Between frames that differ by more than c in half of their
    pixels there is a cut, and the weight is zero.

    Parameters
    ----------
    movie : numpy.ndarray, shape (T, Y, X)
        Grey frames of any real dtype. Missing values (NaN, infinite or masked) take no part.

    Returns
    -------
    numpy.ndarray, shape (T, Y, X)
        The smoothed movie, of the same dtype; integers are rounded. It is a masked array if values are missing.

    Raises
    ------
    InputError
        If it isn't a movie (T, Y, X).

    Examples
    --------
    >>> import numpy as np
    >>> movie = np.random.default_rng(0).normal(100, 10, (20, 64, 64))
    >>> bool(smooth_over_time(movie).std() < 0.8 * movie.std())
    True
    """
    if movie.ndim != 3:
        raise InputError(f"Only movies (T, Y, X) can be smoothed over time, not images of shape {movie.shape}.")
    known = known_values(movie)
    if not known.size or known.min() == known.max():
        return movie.copy()
    limits = intensity_range(movie.reshape(-1, movie.shape[-1]), Normalisation(kind="percentiles"))
    missing = missing_pixels(movie)
    if missing is None:
        return _smoothed(np.ma.getdata(movie), limits)
    complete = np.stack([filled(frame) for frame in movie])
    return np.ma.array(_smoothed(complete, limits, missing), mask=missing)


def _smoothed(movie: npt.NDArray[Any], limits: tuple[float, float], missing: Mask | None = None) -> npt.NDArray[Any]:
    """Smooth a complete movie; pixels that are `missing` share nothing with other frames."""
    smooth = np.empty_like(movie)
    seen, weight = _blurred(movie[0], limits), np.zeros(movie.shape[1:], np.float32)
    for t, frame in enumerate(movie):
        total, weights = frame + weight * movie[t - 1], 1 + weight
        if t + 1 < len(movie):
            before, seen = seen, _blurred(movie[t + 1], limits)
            weight = _shared(before, seen)
            if missing is not None:
                weight[missing[t] | missing[t + 1]] = 0
            total, weights = total + weight * movie[t + 1], weights + weight
        average = total / weights
        smooth[t] = np.rint(average) if movie.dtype.kind in "ui" else average
    return smooth


def _blurred(frame: npt.NDArray[Any], limits: tuple[float, float]) -> npt.NDArray[np.float32]:
    blurred: npt.NDArray[np.float32] = gaussian_filter(normalise(frame, limits), _BLUR)
    return blurred


def _shared(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the weight of each pixel of one blurred frame in the average at the other."""
    change = np.abs(one - other)
    if np.median(change) >= _CHANGE:
        return np.zeros_like(change)
    weight: npt.NDArray[np.float32] = np.exp(-((change / _CHANGE) ** 2) / 2)
    return weight
