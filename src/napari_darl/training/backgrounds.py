"""Backgrounds where none were recorded: angiograms with their vessels filled up."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, grey_closing

WIDTH = 24 / 512
"""Dark structures narrower than this part of a frame's side are filled where they may be vessels."""


def suppress_vessels(
    frame: NDArray[np.float32], width: int, where: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Fill up dark structures that are narrower than `width`, keeping the noise on top of them.

    The black top-hat of the smoothed frame is added to the frame itself, so that what was a vessel has the
    grain of its surroundings. Texture outside of `where` stays: a model has to tell vessels from it.

    Parameters
    ----------
    frame : numpy.ndarray of float32, shape (H, W)
        In [-1, 1], vessels dark.
    width : int
        Side of the square structuring element, px.
    where : numpy.ndarray of bool, shape (H, W), optional
        What may be vessel; everywhere by default.

    Returns
    -------
    numpy.ndarray of float32
        Of the same shape, in [-1, 1].
    """
    smooth = gaussian_filter(frame, 1.0)
    filled = gaussian_filter(grey_closing(smooth, size=(width, width)), width / 4)
    depth = np.maximum(filled - smooth, 0)
    if where is not None:
        grown = binary_dilation(where, iterations=max(1, width // 6))
        depth *= gaussian_filter(grown.astype(np.float32), width / 12)
    background: NDArray[np.float32] = np.clip(frame + depth, -1, 1).astype(np.float32)
    return background
