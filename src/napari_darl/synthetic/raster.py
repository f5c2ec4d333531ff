"""From the geometry of vessels to pixels: pseudo-masks drawn with sub-pixel precision."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FULL_WIDTH = 0.75**0.5
"""Part of a lumen's radius within which rays pass half of its diameter or more: its full width at half maximum."""

_WINDOWS = 2**19  # pixels that are stamped at once, to keep memory small


@dataclass(frozen=True)
class PseudoMask:
    """A drawn vessel mask and the geometry behind it.

    Attributes
    ----------
    mask
        (H, W) bool, True within a part of a lumen's radius, `FULL_WIDTH` unless another outline was asked for. The
        thinnest vessels are one pixel wide and unbroken.
    radius
        (H, W) float32, radius in px of the widest lumen at a pixel, 0 outside of the mask.
    thickness
        (H, W) float32, length in px of a ray's path through the lumens; vessels that cross add up.
        It may reach half a pixel beyond the mask.
    """

    mask: NDArray[np.bool_]
    radius: NDArray[np.float32]
    thickness: NDArray[np.float32]


MaskGenerator = Callable[[tuple[int, int], np.random.Generator], PseudoMask]
"""Anything that draws a pseudo-mask of a shape (H, W); `draw_trees` and `draw_fractal` are two."""


@dataclass(frozen=True)
class Segments:
    """Straight pieces of vessel: N truncated cones.

    Attributes
    ----------
    start, end
        (N, 2) ends of the axis as (row, column), px; pixel centres lie at whole numbers.
    radius
        (N, 2) radius at either end, px.
    layer
        (N,) int, number of the layer; thickness adds up between layers, not within one.
    share
        (N,) part of its thickness that a segment adds to its layer, 0 to 1.
    arrival
        (N,) distance from the root of the tree along the vessels, px.
    """

    start: Floats
    end: Floats
    radius: Floats
    layer: NDArray[np.int64]
    share: Floats
    arrival: Floats


def transform(segments: Segments, scale: float, shift: Floats) -> Segments:
    """Scale all lengths of `segments` about the origin, then shift by (rows, columns)."""
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
    shape
        (H, W) of the mask.
    segments
        The vessels; what lies outside of the mask is left out.
    outline
        Part of a lumen's radius that the mask takes in, 0 to 1.

    Returns
    -------
    PseudoMask
        Thickness is the chord 2 sqrt(r^2 - d^2) at the distance d from the axis, averaged over a pixel's
        width: thin vessels keep their cross-section wherever they lie between the pixels.
    """
    height, width = shape
    layers = int(segments.layer.max(initial=-1)) + 1
    radius = np.zeros(height * width, np.float32)
    thickness = np.zeros(layers * height * width, np.float32)

    middle = (segments.start + segments.end) / 2
    reach = np.linalg.norm(segments.end - segments.start, axis=1) / 2 + segments.radius.max(axis=1, initial=0)
    half = np.ceil(reach + 0.5).astype(int) + 1
    near = ((middle > -half[:, None]) & (middle < np.array(shape) + half[:, None])).all(axis=1)
    for size in np.unique(half[near]).tolist():
        group = np.flatnonzero(near & (half == size))
        for chosen in np.array_split(group, 1 + group.size * (2 * size + 1) ** 2 // _WINDOWS):
            pixel, chord, lumen, owner = _stamp(shape, segments, middle, chosen, size, outline)
            np.maximum.at(radius, pixel, lumen)
            chord *= segments.share[chosen].astype(np.float32)[owner]
            np.maximum.at(thickness, segments.layer[chosen][owner] * (height * width) + pixel, chord)
    return PseudoMask(
        mask=(radius > 0).reshape(shape),
        radius=radius.reshape(shape),
        thickness=thickness.reshape(layers, height, width).sum(axis=0),
    )


def _stamp(
    shape: tuple[int, int], segments: Segments, middle: Floats, chosen: NDArray[np.int64], half: int, outline: float
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Flat pixel, mean chord, radius and segment (an index into `chosen`) of all pixels touched."""
    offset = np.arange(-half, half + 1)
    centre = np.round(middle[chosen]).astype(int)
    rows, cols = centre[:, 0, None] + offset, centre[:, 1, None] + offset

    start = segments.start[chosen]
    axis = segments.end[chosen] - start
    length = np.linalg.norm(axis, axis=1, keepdims=True) + 1e-6  # no division by 0
    span = length[:, :, None].astype(np.float32)
    dy = (rows - start[:, :1]).astype(np.float32)[:, :, None]
    dx = (cols - start[:, 1:]).astype(np.float32)[:, None, :]
    uy, ux = (axis / length).astype(np.float32).T[:, :, None, None]
    along = np.clip(dy * uy + dx * ux, 0, span)
    distance2 = (dy - along * uy) ** 2 + (dx - along * ux) ** 2
    r0, r1 = segments.radius[chosen].astype(np.float32).T[:, :, None, None]
    lumen = r0 + (r1 - r0) * (along / span)
    # half a pixel's diagonal at least: each pixel that an axis passes is inside, so thin vessels don't break
    drawn = np.maximum(np.float32(outline) * lumen, np.float32(0.5**0.5))

    inside = distance2 < np.maximum(lumen + np.float32(0.5), drawn) ** 2
    inside &= ((rows >= 0) & (rows < shape[0]))[:, :, None] & ((cols >= 0) & (cols < shape[1]))[:, None, :]
    owner, i, j = np.nonzero(inside)
    distance, lumen, drawn = np.sqrt(distance2[inside]), lumen[inside], drawn[inside]
    chord = lumen**2 * (_disc_part((distance + 0.5) / lumen) - _disc_part((distance - 0.5) / lumen))
    return rows[owner, i] * shape[1] + cols[owner, j], chord, np.where(distance < drawn, lumen, 0), owner


def _disc_part(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Area of the unit disc between its middle and x: the integral of 2 sqrt(1 - x^2)."""
    x = np.clip(x, -1, 1)
    return x * np.sqrt(1 - x**2) + np.arcsin(x)
