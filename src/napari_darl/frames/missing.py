"""Pixels without a value: NaN, infinite or masked, as registration, stitching and DICOM padding leave them.

Nothing was recorded there, so they count as outside of the image: they don't decide its range of intensities, networks
see their nearest neighbours instead, and no vessel is marked in them.
"""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from napari_darl.errors import DarlWarning

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def missing_pixels(frame: Array) -> Mask | None:
    """Return which pixels have no value.

    Parameters
    ----------
    frame : numpy.ndarray, shape (Y, X)
        Grey, of any real dtype; a masked array, or floats with NaN or infinite values.

    Returns
    -------
    numpy.ndarray of bool, shape (Y, X), or None
        True where a pixel has no value; None if all have one.
    """
    missing = np.ma.getmaskarray(frame) if isinstance(frame, np.ma.MaskedArray) else None
    if frame.dtype.kind == "f":
        finite = np.isfinite(np.ma.getdata(frame))
        if not finite.all():
            missing = ~finite if missing is None else missing | ~finite
    return missing if missing is not None and missing.any() else None


def known_values(frame: Array) -> Array:
    """Return the values of a frame that aren't missing: in one dimension, or the frame itself if all are there."""
    missing = missing_pixels(frame)
    values: Array = np.ma.getdata(frame)
    return values if missing is None else values[~missing]


def filled(frame: Array) -> Array:
    """Return a frame whose pixels without a value take that of the nearest pixel with one.

    Parameters
    ----------
    frame : numpy.ndarray, shape (Y, X)
        As for `missing_pixels`.

    Returns
    -------
    numpy.ndarray, shape (Y, X)
        A plain array of the same dtype: the frame itself if no value is missing, 0 everywhere if all are.
    """
    values, missing = np.ma.getdata(frame), missing_pixels(frame)
    if missing is None:
        return values
    if missing.all():
        return np.zeros_like(values)
    nearest: Any = distance_transform_edt(missing, return_distances=False, return_indices=True)
    complete: Array = values[tuple(nearest)]
    return complete


def warn_of_missing(what: str, count: int, size: int) -> None:
    """Warn that `what` has `count` pixels without a value, of `size`; the caller's caller is named as the source."""
    note = f"{count:,} of {size:,} pixels without a value (NaN, infinite or masked). They count as outside."
    warnings.warn(f"{what} {note}", DarlWarning, stacklevel=3)
