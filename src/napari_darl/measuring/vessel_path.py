"""The way along vessels between two points of a mask."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from napari_darl.errors import InputError
from napari_darl.measuring.centreline import centred, sections
from napari_darl.measuring.lines import Floats, Lines
from napari_darl.measuring.pinholes import without_pinholes
from napari_darl.measuring.skeleton import Integers, Mask, neighbours
from napari_darl.measuring.thinning import thinned

_ASIDE = 10.0  # px by which a point may lie beside a vessel


@dataclass(frozen=True)
class VesselPath:
    """A centreline between two points.

    Attributes
    ----------
    line
        The only line, in multiples of the smallest size of a pixel.
    width
        (N,) distance of the mask's edges across it, NaN where there are no two nearby, as at branch points.
    points
        (N, 2) the same line in pixels.
    """

    line: Lines
    width: Floats
    points: Floats


class VesselPaths:
    """Finds paths in one mask; its skeleton is found once.

    Parameters
    ----------
    mask
        (Y, X) bool.
    size
        (2,) size of a pixel.
    """

    def __init__(self, mask: Mask, size: Floats) -> None:
        self._scale = size / size.min()
        self._mask, self._distance = without_pinholes(np.pad(mask, 1), self._scale)
        skeleton = thinned(self._mask)
        self._pixels: Integers = np.argwhere(skeleton)
        first, second = neighbours(skeleton, self._pixels)
        steps = np.linalg.norm((self._pixels[first] - self._pixels[second]) * self._scale, axis=1)
        count = len(self._pixels)
        self._graph = csr_array((steps, (first, second)), shape=(count, count))

    def between(self, start: tuple[float, float], end: tuple[float, float]) -> VesselPath:
        """Find the shortest path along centrelines.

        Parameters
        ----------
        start, end
            (y, x) in pixels; the nearest point of a centreline counts.

        Raises
        ------
        InputError
            If a point is far from any vessel, both are one, or no vessel connects them.
        """
        one, other = self._nearest(start), self._nearest(end)
        if one == other:
            raise InputError(f"The points {_told(start)} and {_told(end)} are one on the vessel: choose them apart.")
        distance, before = dijkstra(self._graph, directed=False, indices=one, return_predecessors=True)
        if not np.isfinite(distance[other]):
            raise InputError(f"No vessel leads from {_told(start)} to {_told(end)}: choose points on one vessel.")
        way = [other]
        while way[-1] != one:
            way.append(int(before[way[-1]]))
        rough = self._pixels[way[::-1]] * self._scale
        line, _ = centred([rough], np.zeros(1, bool), self._mask, self._distance, self._scale)
        _, _, width = sections(line, self._mask, self._distance, self._scale)
        return VesselPath(line, width, line.points / self._scale - 1)

    def _nearest(self, point: tuple[float, float]) -> int:
        """Return the number of the skeleton's pixel nearest to a point."""
        place = np.asarray(point, np.float64) + 1
        if not np.isfinite(place).all() or not len(self._pixels):
            raise InputError(f"There is no vessel at {_told(point)}: choose a point on one.")
        inside = np.clip(np.rint(place).astype(np.int64), 0, np.array(self._mask.shape) - 1)
        apart = np.linalg.norm((self._pixels - place) * self._scale, axis=1)
        nearest = int(apart.argmin())
        if not self._mask[tuple(inside)] and apart[nearest] > _ASIDE + self._distance[tuple(self._pixels[nearest])]:
            raise InputError(f"There is no vessel at {_told(point)}: choose a point on one.")
        return nearest


def _told(point: tuple[float, float]) -> str:
    return f"y {point[0]:g}, x {point[1]:g}"
