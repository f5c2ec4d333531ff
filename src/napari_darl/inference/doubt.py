"""Where a mask is doubtful: places where many pixels have a probability close to the threshold.

The doubt of a pixel is the entropy of its probability, with the threshold at a half. Along the outline of any vessel
lies a row of doubtful pixels, and most of them are right. Places where doubt is broad are wrong more often: faint
vessels, false ones and gaps. So doubt is averaged over a few pixels, and what lies outside the mask and far below the
threshold adds none.
"""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.special import entr
from skimage.feature import peak_local_max

from napari_darl.errors import InputError

_NEARLY = 0.7  # of the threshold: pixels from here on are nearly vessel
_SIGMA = 3.0  # px
_APART = 8  # px
_LEAST = 0.1  # of 1 bit, the entropy where every pixel lies at the threshold


def doubtful_spots(
    probability: npt.NDArray[np.float32], threshold: float = 0.5, *, most: int = 20
) -> npt.NDArray[np.intp]:
    """Return the places of a frame where its mask is most doubtful, the most doubtful one first.

    Parameters
    ----------
    probability : numpy.ndarray of float32, shape (Y, X)
        Probability of vessel in [0, 1], as `segment_probability` returns it.
    threshold : float
        Pixels of a greater probability belong to the mask; above 0 and below 1.
    most : int
        Number of places at most.

    Returns
    -------
    numpy.ndarray of intp, shape (N, 2)
        Row and column of each place, at least 8 pixels apart.

    Raises
    ------
    InputError
        If the probability isn't a single frame, or the threshold is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_darl import doubtful_spots
    >>> probability = np.full((40, 60), 0.01, np.float32)
    >>> probability[8:13] = 0.99  # a vessel
    >>> probability[25:30, 30:45] = 0.6  # something that may be one
    >>> doubtful_spots(probability, most=1)
    array([[27, 37]])
    """
    if probability.ndim != 2:
        raise InputError(f"The probability has the shape {probability.shape}. Pass a single frame of shape (Y, X).")
    if not 0 < threshold < 1:
        raise InputError(f"The threshold is {threshold}. Choose one above 0 and below 1.")
    above = (probability - threshold) / (1 - threshold)
    centred = np.where(above > 0, 0.5 + above / 2, probability / threshold / 2)
    doubt = (entr(centred) + entr(1 - centred)) / np.log(2)
    counted = probability > _NEARLY * threshold
    averaged = gaussian_filter(doubt * counted, _SIGMA) * counted
    spots = peak_local_max(averaged, min_distance=_APART, threshold_abs=_LEAST, num_peaks=most, exclude_border=False)
    return np.asarray(spots, np.intp)
