"""Backgrounds where none were recorded: angiograms with their vessels filled up."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, grey_closing

WIDTH = 24 / 512
"""Dark structures narrower than this part of a frame's side count as vessels."""


def suppress_vessels(frame: NDArray[np.float32], width: int, strength: float = 1.0) -> NDArray[np.float32]:
    """Fill up every dark structure that is narrower than `width`, keeping the noise on top of it.

    The black top-hat of the smoothed frame is added to the frame itself, so that what was a vessel has the
    grain of its surroundings. Other narrow dark structures, catheters among them, go as well.

    Parameters
    ----------
    frame : numpy.ndarray of float32, shape (H, W)
        In [-1, 1], vessels dark.
    width : int
        Side of the square structuring element, px.
    strength : float
        Part of their depth by which dark structures are filled, 0 to 1.

    Returns
    -------
    numpy.ndarray of float32
        Of the same shape, in [-1, 1].
    """
    smooth = gaussian_filter(frame, 1.0)
    filled = gaussian_filter(grey_closing(smooth, size=(width, width)), width / 4)
    filled = np.maximum(filled, smooth)
    background: NDArray[np.float32] = np.clip(frame + strength * (filled - smooth), -1, 1).astype(np.float32)
    return background
