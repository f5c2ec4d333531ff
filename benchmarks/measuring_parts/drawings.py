"""Vessels drawn from exact geometry."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_darl.synthetic.raster import Segments, rasterise

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def polyline(points: Floats, radius: Floats | float) -> Segments:
    """Pieces of vessel along points (N, 2), of one radius or one at each point."""
    radii = np.broadcast_to(np.asarray(radius, np.float64), len(points))
    count = len(points) - 1
    return Segments(
        start=points[:-1],
        end=points[1:],
        radius=np.stack([radii[:-1], radii[1:]], axis=1),
        layer=np.zeros(count, np.int64),
        share=np.ones(count),
        arrival=np.zeros(count),
    )


def drawn(points: Floats, radius: Floats | float, shape: tuple[int, int]) -> Mask:
    """Mask of a vessel along points, rounded off at its ends."""
    return rasterise(shape, polyline(points, radius), outline=1).mask


def turned(curve: Floats, angle: float, middle: Floats) -> Floats:
    """Turn a curve by an angle, and shift it so that `middle` is in its middle."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = curve @ turn.T
    return points - (points.max(axis=0) + points.min(axis=0)) / 2 + middle


def tube_in_space(points: Floats, radius: float, shape: tuple[int, ...], size: Floats) -> Mask:
    """Mask of a tube along points in units of length, on pixels of any size and in any number of dimensions."""
    steps = np.linspace(0, 1, 2001)[:, None]
    if len(points) == 2:
        points = points[:1] * (1 - steps) + points[1:] * steps
    places = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1) * size
    distance = cKDTree(points).query(places.reshape(-1, len(shape)), distance_upper_bound=2 * radius)[0]
    return (distance < radius).reshape(shape)
