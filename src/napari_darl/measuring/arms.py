"""The arms of a branch point: how each of its segments sets out from it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from napari_darl.measuring.lines import Floats
from napari_darl.measuring.skeleton import FREE

STRETCH = 2.0
"""Length over which an arm is looked at, in radii at the branch point."""

_LEAST_STRETCH = 5.0  # px


@dataclass(frozen=True)
class Arm:
    """A segment as it leaves a branch point, beyond the radius there.

    Attributes
    ----------
    origin
        (D,) where it leaves the circle about the branch point.
    direction
        (D,) unit vector away from the branch point.
    diameter
        Its mean diameter over the stretch, NaN if diameters aren't known.
    whole
        False for a segment that is too short, whose direction is that from its one end to the other.
    """

    origin: Floats
    direction: Floats
    diameter: float
    whole: bool


def find_arms(
    lines: Iterable[Floats],
    ends: Iterable[tuple[int, int]],
    radius: Floats,
    diameters: Iterable[Floats] | None = None,
) -> dict[int, list[Arm]]:
    """Find the arms of all branch points.

    Parameters
    ----------
    lines
        Points (n, D) of each segment.
    ends
        Number of the branch point at the start and at the end of each, or `FREE`.
    radius
        (M,) of each branch point.
    diameters
        (n,) at the points of each segment.
    """
    arms: dict[int, list[Arm]] = defaultdict(list)
    lines = list(lines)
    if diameters is None:
        diameters = (np.full(len(points), np.nan) for points in lines)
    for points, width, (start, end) in zip(lines, diameters, ends, strict=True):
        if start != FREE:
            arms[int(start)].append(_arm(points, width, radius[start]))
        if end != FREE:
            arms[int(end)].append(_arm(points[::-1], width[::-1], radius[end]))
    return arms


def _arm(points: Floats, width: Floats, radius: float) -> Arm:
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    arc = np.concatenate([[0], np.cumsum(steps)])
    first, last = np.searchsorted(arc, (radius, radius + max(STRETCH * radius, _LEAST_STRETCH)))
    whole = bool(first + 2 < len(arc))
    if not whole:
        first = 0
    last = min(int(last), len(arc) - 1)
    along = points[last] - points[first]
    direction = along / max(float(np.linalg.norm(along)), 1e-9)
    return Arm(points[first], direction, float(width[first : last + 1].mean()), whole)
