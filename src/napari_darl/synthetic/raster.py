"""Rasterise the geometry of vessels to masks and thickness maps with sub-pixel precision.

A vessel is a chain of straight segments, truncated cones with a round cross-section. Segments of similar size are
stamped together: each gets a square window of pixels around its middle, in which the distance of each pixel from its
axis gives the path length of a ray through the lumen. Windows are then merged into the whole frame. Within a layer, the
segment with the greatest path length at a pixel counts, with its share, so that the segments of one vessel join without
seams. Between layers, path lengths add up, so that vessels that cross are darker.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FULL_WIDTH = 0.75**0.5
"""Fraction of a lumen's radius within which rays pass at least half of its diameter: the full width at half maximum."""

_WINDOWS = 2**19  # pixels stamped at once, which limits memory


@dataclass(frozen=True)
class PseudoMask:
    """A vessel mask and the geometry behind it.

    Attributes
    ----------
    mask : numpy.ndarray of bool, shape (H, W)
        True within a fraction of the lumen's radius, `FULL_WIDTH` by default. The thinnest vessels are one pixel wide
        and unbroken.
    radius : numpy.ndarray of float32, shape (H, W)
        Radius of the widest lumen at each pixel, px; 0 outside the mask.
    thickness : numpy.ndarray of float32, shape (H, W)
        Path length of a ray through the lumens, px, added up where vessels cross. It may extend half a pixel beyond
        the mask.
    """

    mask: NDArray[np.bool_]
    radius: NDArray[np.float32]
    thickness: NDArray[np.float32]


MaskGenerator = Callable[[tuple[int, int], np.random.Generator], PseudoMask]
"""A function that draws a pseudo-mask of shape (H, W), such as `draw_trees` or `draw_fractal`."""


@dataclass(frozen=True)
class Segments:
    """N straight segments of vessels, each a truncated cone.

    Attributes
    ----------
    start, end : numpy.ndarray of float64, shape (N, 2)
        Ends of the axis as (row, column), px; pixel centres have integer coordinates.
    radius : numpy.ndarray of float64, shape (N, 2)
        Radius at either end, px.
    layer : numpy.ndarray of int64, shape (N,)
        Index of the layer. Thickness adds up between layers, not within one.
    share : numpy.ndarray of float64, shape (N,)
        Fraction of its thickness that a segment adds to its layer, 0 to 1.
    arrival : numpy.ndarray of float64, shape (N,)
        Distance from the root of the tree along the vessels, px.
    """

    start: Floats
    end: Floats
    radius: Floats
    layer: NDArray[np.int64]
    share: Floats
    arrival: Floats


def transform(segments: Segments, scale: float, shift: Floats) -> Segments:
    """Return segments scaled about the origin, then shifted by (rows, columns)."""
    return Segments(
        segments.start * scale + shift,
        segments.end * scale + shift,
        segments.radius * scale,
        segments.layer,
        segments.share,
        segments.arrival * scale,
    )


def rasterise(shape: tuple[int, int], segments: Segments, outline: float = FULL_WIDTH) -> PseudoMask:
    """Draw segments with sub-pixel precision.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the mask.
    segments : Segments
        The vessels. Parts outside the mask are left out.
    outline : float
        Fraction of a lumen's radius that belongs to the mask, 0 to 1.

    Returns
    -------
    PseudoMask
        Its thickness is the chord 2 sqrt(r^2 - d^2) at the distance d from the axis, averaged over the width of a
        pixel. So the cross-section of a thin vessel doesn't depend on its position between the pixels.
    """
    height, width = shape
    layers = int(segments.layer.max(initial=-1)) + 1
    radius = np.zeros(height * width, np.float32)
    thickness = np.zeros(layers * height * width, np.float32)
    drawn: list[tuple[NDArray[Any], ...]] = []  # where, how thick, and with which share of it

    middle = (segments.start + segments.end) / 2
    reach = np.linalg.norm(segments.end - segments.start, axis=1) / 2 + segments.radius.max(axis=1, initial=0)
    half = np.ceil(reach + 0.5).astype(int) + 1
    near = ((middle > -half[:, None]) & (middle < np.array(shape) + half[:, None])).all(axis=1)
    for size in np.unique(half[near]).tolist():
        group = np.flatnonzero(near & (half == size))
        for chosen in np.array_split(group, 1 + group.size * (2 * size + 1) ** 2 // _WINDOWS):
            pixel, chord, lumen, owner = _stamp(shape, segments, middle, chosen, size, outline)
            np.maximum.at(radius, pixel, lumen)
            place = segments.layer[chosen][owner] * (height * width) + pixel
            np.maximum.at(thickness, place, chord)
            drawn.append((place, chord, segments.share[chosen].astype(np.float32)[owner]))
    if (segments.share < 1).any():
        _take_shares(thickness, drawn)
    return PseudoMask(
        mask=(radius > 0).reshape(shape),
        radius=radius.reshape(shape),
        thickness=thickness.reshape(layers, height, width).sum(axis=0),
    )


def _take_shares(thickness: NDArray[np.float32], drawn: list[tuple[NDArray[Any], ...]]) -> None:
    """Multiply each greatest path length by its segment's share; of segments with the same one, the last counts."""
    shared = np.zeros(thickness.size, np.bool_)
    for place, _, share in drawn:
        shared[place[share < 1]] = True
    greatest = []
    for place, chord, share in drawn:
        chosen = np.flatnonzero(shared[place])
        chosen = chosen[chord[chosen] == thickness[place[chosen]]]
        greatest.append((place[chosen], chord[chosen] * share[chosen]))
    for place, length in greatest:
        thickness[place] = length


def _stamp(
    shape: tuple[int, int], segments: Segments, middle: Floats, chosen: NDArray[np.int64], half: int, outline: float
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Return flat index, mean chord, radius and segment (an index into `chosen`) of all pixels that are touched."""
    offset = np.arange(-half, half + 1)
    centre = np.round(middle[chosen]).astype(int)
    rows, cols = centre[:, 0, None] + offset, centre[:, 1, None] + offset

    start = segments.start[chosen]
    axis = segments.end[chosen] - start
    length = np.linalg.norm(axis, axis=1, keepdims=True) + 1e-6  # avoids division by zero
    span = length[:, :, None].astype(np.float32)
    dy = (rows - start[:, :1]).astype(np.float32)[:, :, None]
    dx = (cols - start[:, 1:]).astype(np.float32)[:, None, :]
    uy, ux = (axis / length).astype(np.float32).T[:, :, None, None]
    along = np.clip(dy * uy + dx * ux, 0, span)
    distance2 = (dy - along * uy) ** 2 + (dx - along * ux) ** 2
    r0, r1 = segments.radius[chosen].astype(np.float32).T[:, :, None, None]
    lumen = r0 + (r1 - r0) * (along / span)
    # At least half a pixel's diagonal, so that each pixel that an axis passes is inside and thin vessels don't break.
    drawn = np.maximum(np.float32(outline) * lumen, np.float32(0.5**0.5))

    inside = distance2 < np.maximum(lumen + np.float32(0.5), drawn) ** 2
    inside &= ((rows >= 0) & (rows < shape[0]))[:, :, None] & ((cols >= 0) & (cols < shape[1]))[:, None, :]
    owner, i, j = np.nonzero(inside)
    distance, lumen, drawn = np.sqrt(distance2[inside]), lumen[inside], drawn[inside]
    chord = lumen**2 * (_disc_part((distance + 0.5) / lumen) - _disc_part((distance - 0.5) / lumen))
    return rows[owner, i] * shape[1] + cols[owner, j], chord, np.where(distance < drawn, lumen, 0), owner


def _disc_part(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the area of the unit disc between its centre and x: the integral of 2 sqrt(1 - x^2)."""
    x = np.clip(x, -1, 1)
    return x * np.sqrt(1 - x**2) + np.arcsin(x)
