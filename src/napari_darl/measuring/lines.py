"""Many lines at once: resampled, smoothed and differentiated in one array, so that thousands take no loop.

Smoothing is Whittaker's: the line x that minimises sum w (x - y)^2 + lambda sum (third difference of x)^2 (Eilers,
Anal. Chem. 75, 2003). It passes waves longer than a cutoff and next to nothing of shorter ones, leaves straight lines
and parabolas as they are, needs no samples beyond the ends, and bridges samples of weight 0.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import solveh_banded

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_DIFFERENCE = (-1.0, 3.0, -3.0, 1.0)


@dataclass(frozen=True)
class Lines:
    """K lines of N points in all.

    Attributes
    ----------
    points
        (N, D) positions, line by line.
    first
        (K + 1,) index of the first point of each line, and N.
    """

    points: Floats
    first: Integers

    @classmethod
    def of(cls, lines: list[Floats], dimensions: int) -> "Lines":
        """Put lines, each (n, D), into one array."""
        first = np.cumsum([0, *(len(line) for line in lines)])
        return cls(np.concatenate([np.zeros((0, dimensions)), *lines]), first)

    def split(self, values: npt.NDArray[np.generic] | None = None) -> list[npt.NDArray[np.float64]]:
        """Cut the points, or values that go with them, into lines."""
        return np.split(self.points if values is None else values, self.first[1:-1])[: len(self)]

    def __len__(self) -> int:
        return len(self.first) - 1

    @cached_property
    def owner(self) -> Integers:
        """Number of each point's line."""
        return np.repeat(np.arange(len(self)), np.diff(self.first))

    @cached_property
    def arc(self) -> Floats:
        """Distance of each point from the beginning of its line, along it."""
        steps = np.zeros(len(self.points))
        steps[1:] = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        total = np.cumsum(steps)
        return total - np.repeat(total[self.first[:-1]], np.diff(self.first))

    @cached_property
    def length(self) -> Floats:
        """Length of each line."""
        return np.asarray(self.arc[self.first[1:] - 1])

    def sum(self, values: Floats) -> Floats:
        """Add up, over each line, a value of each point."""
        return np.bincount(self.owner, values, len(self)).astype(np.float64)

    def resampled(self, spacing: float = 1.0) -> "Lines":
        """Place points evenly along each line, about `spacing` apart and two at least."""
        if not len(self):
            return self
        count = np.maximum(np.ceil(self.length / spacing).astype(np.int64), 1) + 1
        first = np.concatenate([[0], np.cumsum(count)])
        owner = np.repeat(np.arange(len(self)), count)
        step = (np.arange(first[-1]) - first[owner]) / (count - 1)[owner]
        # One axis for all lines, with a gap after each, makes one interpolation of them.
        offset = np.concatenate([[0], np.cumsum(self.length + 1)[:-1]])
        known, wanted = self.arc + offset[self.owner], step * self.length[owner] + offset[owner]
        points = np.stack([np.interp(wanted, known, axis) for axis in self.points.T], axis=1)
        return Lines(points, first)

    def moved(self, points: Floats) -> "Lines":
        """Return as many lines of as many points, elsewhere."""
        return Lines(points, self.first)

    def tangents(self) -> Floats:
        """Return the unit vectors (N, D) along the lines."""
        along = self._slope(self.points)
        norm = np.linalg.norm(along, axis=1, keepdims=True)
        along[norm[:, 0] == 0, 0] = 1.0
        return np.asarray(along / np.where(norm == 0, 1, norm))

    def curvature(self) -> Floats:
        """Return the curvature (N,) of evenly sampled lines; at the ends, that of the points beside them."""
        first = self._slope(self.points)
        second = np.zeros_like(self.points)
        second[1:-1] = self.points[2:] - 2 * self.points[1:-1] + self.points[:-2]
        speed = (first**2).sum(axis=1)
        bend = (second**2).sum(axis=1) * speed - (first * second).sum(axis=1) ** 2
        bent = np.sqrt(np.maximum(bend, 0)) / np.where(speed == 0, 1, speed) ** 1.5
        begin, end = self.first[:-1], self.first[1:] - 1
        short = end - begin < 2
        bent[begin] = np.where(short, 0, bent[np.minimum(begin + 1, end)])
        bent[end] = np.where(short, 0, bent[np.maximum(end - 1, begin)])
        return np.asarray(bent)

    def _slope(self, values: Floats) -> Floats:
        """Return half of the difference of a point's neighbours, or the whole one at the ends."""
        slope = np.zeros_like(values)
        slope[1:-1] = (values[2:] - values[:-2]) / 2
        begin, end = self.first[:-1], self.first[1:] - 1
        slope[begin] = values[np.minimum(begin + 1, end)] - values[begin]
        slope[end] = values[end] - values[np.maximum(end - 1, begin)]
        return slope

    def smoothed(self, values: Floats, weight: Floats, cutoff: Floats) -> Floats:
        """Smooth values that go with the points.

        Parameters
        ----------
        values
            (N, M), one column each.
        weight
            (N,) of each point, not negative; points of weight 0 are bridged.
        cutoff
            (K,) wavelength in samples, for each line, of which half of the amplitude passes.
        """
        size = len(values)
        banded = np.zeros((4, size))
        banded[3] = weight + 1e-9  # lines without any weight stay solvable
        if size > 3:
            whole = self.owner[3:] == self.owner[:-3]
            penalty = np.where(whole, (cutoff[self.owner[3:]] / (2 * np.pi)) ** 6, 0)
            for low in range(4):
                for high in range(low, 4):
                    added = penalty * (_DIFFERENCE[low] * _DIFFERENCE[high])
                    banded[3 - (high - low), high : high + size - 3] += added
        filled = np.where(weight[:, None] > 0, values, 0) * weight[:, None] + 1e-9 * np.nan_to_num(values)
        return np.asarray(solveh_banded(banded, filled, check_finite=False)) if size else values
