"""What the user has corrected in a mask, as labels for `napari_darl.refine`."""

import numpy as np
from scipy.ndimage import binary_dilation

from napari_darl._napari.layers import Index
from napari_darl._napari.segmenting.result import Result
from napari_darl.refining.corrections import NOT_SAID, Labels

_NEAR = 4  # px: who corrects a pixel has also looked at those about it


def corrections(result: Result) -> dict[Index, Labels]:
    """Return labels of the frames in which something is corrected.

    All pixels of a finished frame are labelled. In other frames, only pixels count that differ from the model's own
    mask, and those near them.

    Parameters
    ----------
    result : Result
        A segmented image and its mask, with the frames that are finished.

    Returns
    -------
    dict of tuple of int to numpy.ndarray of int8, shape (Y, X)
        1 vessel, 0 background, -1 not said, by the index of the frame.
    """
    labels: dict[Index, Labels] = {}
    if result.replaced:
        return labels
    for index in sorted(result.done):
        mask, own = result.mask(index), result.own_mask(index)
        said = np.ones(mask.shape, np.bool_) if index in result.finished else mask != own
        if not said.any():
            continue
        if index not in result.finished:
            said = binary_dilation(said, iterations=_NEAR)
        labels[index] = np.where(said, mask, NOT_SAID).astype(np.int8)
    return labels
