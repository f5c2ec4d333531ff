"""Pieces of a mask, to be removed or joined by someone who looks at it."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, distance_transform_edt, label
from skimage.graph import route_through_array

Mask = npt.NDArray[np.bool_]
Point = tuple[int, int]

_DIAGONAL = np.ones((3, 3), bool)
_REACH = 48  # px: both pieces have to come this close to the point
_END = 5  # px: where the width of a piece is measured
_FLOOR = 0.01  # a cost for each pixel, so that a path of sure pixels is still short


def piece_at(mask: Mask, point: Point) -> Mask:
    """Return the piece of a mask to which a pixel belongs; pixels that touch diagonally belong together.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (Y, X)
        The mask.
    point : (int, int)
        Row and column of the pixel.

    Returns
    -------
    numpy.ndarray of bool, shape (Y, X)
        The piece; empty if the pixel is background.
    """
    pieces = label(mask, _DIAGONAL)[0]
    piece: Mask = (pieces == pieces[point]) & mask
    return piece


def bridge(mask: Mask, probability: npt.NDArray[np.float32], point: Point) -> Mask | None:
    """Return pixels that close the gap between the two pieces next to a point, along the ridge of the probability.

    The path between the two is the one on which the product of the probabilities is greatest: a minimal-cost path
    whose pixels cost -log(p). It becomes as wide as the narrower piece is at its end.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (Y, X)
        The mask.
    probability : numpy.ndarray of float32, shape (Y, X)
        Probability of vessel in [0, 1].
    point : (int, int)
        Row and column of a pixel in or near the gap.

    Returns
    -------
    numpy.ndarray of bool, shape (Y, X), or None
        The pixels to add; None unless two pieces lie within 48 pixels. What is joined further away counts as two.
    """
    window = tuple(
        slice(max(at - _REACH, 0), min(at + _REACH + 1, length)) for at, length in zip(point, mask.shape, strict=True)
    )
    near = mask[window]
    pieces, count = label(near, _DIAGONAL)
    if count < 2:
        return None
    middle = [at - part.start for at, part in zip(point, window, strict=True)]
    pixels = np.argwhere(near)
    distance = np.hypot(*(pixels - middle).T)
    order = np.argsort(distance, kind="stable")
    numbers = pieces[tuple(pixels[order].T)]
    ends = [pixels[order[np.flatnonzero(numbers == n)[0]]] for n in dict.fromkeys(numbers.tolist())][:2]
    cost = _FLOOR - np.log(np.clip(probability[window], 1e-3, 1))
    path, _ = route_through_array(cost, ends[0], ends[1], fully_connected=True, geometric=True)

    line = np.zeros(near.shape, bool)
    line[tuple(np.transpose(path))] = True
    width = distance_transform_edt(near)
    radius = min(float(_around(width, end).max()) for end in ends)
    added = np.zeros(mask.shape, bool)
    added[window] = binary_dilation(line & ~near, _disc(radius)) & ~near if (line & ~near).any() else False
    return added


def _around(values: npt.NDArray[np.float64], point: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    y, x = point
    return values[max(y - _END, 0) : y + _END + 1, max(x - _END, 0) : x + _END + 1]


def _disc(radius: float) -> Mask:
    reach = int(radius)
    disc: Mask = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) < radius
    return disc
