"""Linear resampling of any part of an axis, as if the whole of it were resampled."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array


class Resampling(NamedTuple):
    """How a part of a resampled axis is made of the axis.

    Attributes
    ----------
    source : slice
        The pixels of the axis that take part.
    weights : scipy.sparse.csr_array or None, shape (part, source)
        What each of them weighs in each pixel of the part; none where nothing changes.
    """

    source: slice
    weights: csr_array | None


def resampling(length: int, resized: int, part: slice) -> Resampling:
    """Weights of `torch.nn.functional.interpolate(mode="bilinear", antialias=True)` along one axis.

    Parameters
    ----------
    length, resized : int
        Pixels of the whole axis before and after.
    part : slice
        The pixels that are wanted of it after.
    """
    if length == resized:
        return Resampling(part, None)
    scale = length / resized
    support = max(scale, 1.0)
    centres = (np.arange(part.start, part.stop) + 0.5) * scale
    first = np.maximum((centres - support + 0.5).astype(int), 0)
    last = np.minimum((centres + support + 0.5).astype(int), length)
    places = first[:, None] + np.arange((last - first).max())
    weights = np.maximum(1 - np.abs(places + 0.5 - centres[:, None]) / support, 0) * (places < last[:, None])
    weights /= weights.sum(1, keepdims=True)
    rows = np.broadcast_to(np.arange(len(centres))[:, None], places.shape)
    source = slice(int(first.min()), int(last.max()))
    inside = weights > 0
    matrix = csr_array(
        (weights[inside].astype(np.float32), (rows[inside], places[inside] - source.start)),
        shape=(len(centres), source.stop - source.start),
    )
    return Resampling(source, matrix)


def resample(
    frame: npt.NDArray[np.float32], rows: csr_array | None, columns: csr_array | None
) -> npt.NDArray[np.float32]:
    """Apply the weights of both axes to a part of a frame (Y, X)."""
    if rows is not None:
        frame = rows @ frame
    if columns is not None:
        frame = np.ascontiguousarray((columns @ frame.T).T)
    return frame
