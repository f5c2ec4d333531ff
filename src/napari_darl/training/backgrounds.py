"""Backgrounds for stacks without frames before contrast: angiograms whose vessels are removed."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, grey_closing

WIDTH = 24 / 512
"""Width of the widest vessels that are removed, in parts of a frame's shorter side."""


def suppress_vessels(
    frame: NDArray[np.float32], width: int, where: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Remove dark structures that are narrower than `width`, but keep the noise.

    1. The frame is smoothed, and a morphological closing fills dark structures.
    2. The difference between the two is the depth of the vessels, without noise (a black top-hat).
    3. The depth is added to the frame itself, so the filled pixels have the same noise as their surroundings.

    Structures outside `where` stay, because the model has to learn to tell vessels from them.

    Parameters
    ----------
    frame : numpy.ndarray of float32, shape (H, W)
        In [-1, 1], vessels dark.
    width : int
        Side of the square structuring element, px.
    where : numpy.ndarray of bool, shape (H, W), optional
        Pixels that may be vessel; all by default.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W)
        The background, in [-1, 1].
    """
    smooth = gaussian_filter(frame, 1.0)
    filled = gaussian_filter(grey_closing(smooth, size=(width, width)), width / 4)
    depth = np.maximum(filled - smooth, 0)
    if where is not None:
        grown = binary_dilation(where, iterations=max(1, width // 6))
        depth *= gaussian_filter(grown.astype(np.float32), width / 12)
    background: NDArray[np.float32] = np.clip(frame + depth, -1, 1).astype(np.float32)
    return background
