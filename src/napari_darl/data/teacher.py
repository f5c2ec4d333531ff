"""A teacher without labels: where a classical ridge filter is sure, path A may learn from it on real angiograms."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, zoom
from skimage.filters import sato

SIDE = 300
"""Shorter side, px, at which the filter looks at a frame."""

SIGMAS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
SURE, UNSURE = 0.035, 0.10


def sure_labels(frame: NDArray[np.float32]) -> NDArray[np.int8]:
    """Label what Sato's filter (Sato et al. 1998) is sure of, on the logarithm of the intensity.

    Parameters
    ----------
    frame : numpy.ndarray of float32, shape (H, W)
        An angiogram in [-1, 1], vessels dark.

    Returns
    -------
    numpy.ndarray of int8
        1 at the strongest 3.5 % of responses, -1 below the strongest 10 % and where the frame is black, 0 between; the
        shorter side has at most 300 px.
    """
    factor = min(1.0, SIDE / min(frame.shape))
    intensity = zoom((frame + 1) / 2, factor, order=1) if factor < 1 else (frame + 1) / 2
    field = binary_erosion(intensity > 0.08, iterations=6)
    response = sato(np.log(np.clip(intensity, 0, 1) + 0.03), sigmas=SIGMAS, black_ridges=True) * field
    unsure, sure = np.quantile(response, [1 - UNSURE, 1 - SURE])
    labels = np.full(response.shape, -1, np.int8)
    labels[(response > unsure) & field] = 0
    labels[(response > sure) & field] = 1
    return labels
