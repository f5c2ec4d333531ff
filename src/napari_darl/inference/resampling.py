"""Linear resampling of a part of an axis, with the same values as if the whole axis were resampled.

`torch.nn.functional.interpolate` resizes whole frames only. Its weights along one axis are computed here for any part
of it, as a sparse matrix: each pixel of the result is a weighted mean of the few pixels around its centre. The weights
fall linearly to 0 at a distance of one pixel of the axis (enlarging) or of the result (shrinking, to avoid aliasing).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array


class Resampling(NamedTuple):
    """How a part of a resampled axis is computed from the axis.

    Attributes
    ----------
    source : slice
        The pixels of the axis that contribute.
    weights : scipy.sparse.csr_array or None, shape (part, source)
        The weight of each of them in each pixel of the part; None if the lengths are equal.
    """

    source: slice
    weights: csr_array | None


def resampling(length: int, resized: int, part: slice) -> Resampling:
    """Return the weights of `torch.nn.functional.interpolate(mode="bilinear", antialias=True)` along one axis.

    Parameters
    ----------
    length, resized : int
        Pixels of the whole axis before and after.
    part : slice
        The pixels of the resampled axis that are wanted.
    """
    if length == resized:
        return Resampling(part, None)
    scale = length / resized
    support = max(scale, 1.0)
    centres = (np.arange(part.start, part.stop) + 0.5) * scale
    first = np.maximum((centres - support + 0.5).astype(int), 0)
    last = np.minimum((centres + support + 0.5).astype(int), length)
    pixels = first[:, None] + np.arange((last - first).max())
    weights = np.maximum(1 - np.abs(pixels + 0.5 - centres[:, None]) / support, 0) * (pixels < last[:, None])
    weights /= weights.sum(1, keepdims=True)
    rows = np.broadcast_to(np.arange(len(centres))[:, None], pixels.shape)
    source = slice(int(first.min()), int(last.max()))
    inside = weights > 0
    matrix = csr_array(
        (weights[inside].astype(np.float32), (rows[inside], pixels[inside] - source.start)),
        shape=(len(centres), source.stop - source.start),
    )
    return Resampling(source, matrix)


def resample(
    frame: npt.NDArray[np.float32], rows: csr_array | None, columns: csr_array | None
) -> npt.NDArray[np.float32]:
    """Apply the weights along both axes to a part of a frame (Y, X)."""
    if rows is not None:
        frame = rows @ frame
    if columns is not None:
        frame = np.ascontiguousarray((columns @ frame.T).T)
    return frame
