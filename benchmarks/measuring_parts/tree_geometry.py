"""Where the vessels of a drawn tree fork, cross, and end on each other."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from measuring_parts.drawings import Floats
from napari_darl.synthetic.raster import Segments

Integers = NDArray[np.int64]

THINNEST = 0.5**0.5  # px, radius with which the thinnest vessels are drawn
TOUCH = 0.5  # px, between drawings of vessels whose pixels touch


@dataclass(frozen=True)
class Courses:
    """Centrelines as drawn.

    Attributes
    ----------
    points, radii
        (N, 2) and (N,) places along the vessels and their radii there, px.
    pieces
        (P, 2) numbers of the points that follow each other.
    """

    points: Floats
    radii: Floats
    pieces: Integers

    def vessels_at(self, place: Floats, reach: float) -> tuple[Integers, Integers]:
        """Find the points whose vessels are within reach of a place, and number the vessels: parts connected there."""
        near = np.linalg.norm(self.points - place, axis=1) < self.radii + reach
        found = np.flatnonzero(near)
        pieces = np.searchsorted(found, self.pieces[near[self.pieces].all(axis=1)])
        links = coo_array((np.ones(len(pieces)), pieces.T), shape=(len(found), len(found)))
        return found, connected_components(links, directed=False)[1]

    def count_at(self, place: Floats, reach: float) -> int:
        """Count the vessels within reach of a place."""
        return len(np.unique(self.vessels_at(place, reach)[1]))

    def others_at(self, place: int, reach: float = 0.0) -> Integers:
        """Return the points within reach of one point that aren't connected with it there."""
        found, vessels = self.vessels_at(self.points[place], reach)
        return found[vessels != vessels[found == place]]


@dataclass(frozen=True)
class Tree:
    """What was drawn.

    Attributes
    ----------
    forks, seen
        (F, 2) places where vessels fork, and those of them whose branches stick out.
    crossings
        (C, 2) places where centrelines cross.
    ends
        (E, 2) places where vessels end on others, as the mask shows them; see `_ends`.
    courses
        All centrelines inside of the mask.
    length
        Of all centrelines, px.
    """

    forks: Floats
    seen: Floats
    crossings: Floats
    ends: Floats
    courses: Courses
    length: float


def geometry(segments: Segments, shape: tuple[int, ...]) -> Tree:
    """Find forks, crossings and ends of drawn segments.

    A fork is seen if two of its branches are longer than the vessel is wide there, by 2 px.
    """
    corners = np.concatenate([segments.start, segments.end])
    points, number = np.unique(np.round(corners, 4), axis=0, return_inverse=True)
    radii = np.zeros(len(points))
    np.maximum.at(radii, number, np.concatenate(segments.radius.T))
    pieces = np.unique(number.reshape(2, -1).T, axis=0)
    inside = ((points > 0) & (points < np.array(shape) - 1)).all(axis=1)
    after: dict[int, list[int]] = defaultdict(list)
    for one, other in pieces.tolist():
        after[one].append(other)
    depth = np.zeros(len(points))
    for place in reversed(_from_the_roots(pieces, after)):
        steps = [depth[n] + np.linalg.norm(points[n] - points[place]) if inside[n] else 0.0 for n in after[place]]
        depth[place] = max([0.0, *steps])
    forks = [place for place, others in after.items() if len(others) > 1 and inside[place]]
    seen = []
    for place in forks:
        lengths = sorted(depth[n] + np.linalg.norm(points[n] - points[place]) for n in after[place])
        if lengths[-2] > 2 * radii[place] + 2:
            seen.append(place)
    kept = inside[pieces].all(axis=1)
    length = np.linalg.norm(points[pieces[kept, 0]] - points[pieces[kept, 1]], axis=1).sum()
    used, inner = np.unique(pieces[kept], return_inverse=True)
    crossings = _crossings(points, pieces)
    inner = inner.reshape(-1, 2)
    tips = [place for place in np.flatnonzero(inside).tolist() if not after.get(place)]
    ends = _ends(Courses(points, radii, pieces), tips)
    courses = Courses(points[used], radii[used], inner)
    return Tree(points[forks], points[seen], crossings, ends, courses, float(length))


def _from_the_roots(pieces: NDArray[np.int64], after: dict[int, list[int]]) -> list[int]:
    """Order points so that each comes after the one that leads to it."""
    waiting, order = list(set(pieces[:, 0].tolist()) - set(pieces[:, 1].tolist())), []
    while waiting:
        order.append(waiting.pop())
        waiting += after[order[-1]]
    return order


def _ends(courses: Courses, tips: list[int]) -> Floats:
    """Find where vessels end on others.

    Such a vessel is a branch in the mask, whatever it belongs to. As that of any branch, its place is where its course,
    prolonged straight from where it reaches the other vessel, meets the other's centreline.
    """
    points, radii = courses.points, courses.radii
    before = {other: one for one, other in courses.pieces.tolist()}
    places = []
    for tip in tips:
        other = courses.others_at(tip, max(radii[tip], THINNEST) + TOUCH)
        place = tip
        while place in before and len(met := courses.others_at(place)):
            place, other = before[place], met
        if not len(other) or place not in before:
            continue
        back = place
        while back in before and np.linalg.norm(points[place] - points[back]) < 2 * radii[other].max() + 5:
            back = before[back]
        along = points[place] - points[back]
        gaps = points[other] - points[place]
        places.append(points[other[np.abs(gaps[:, 0] * along[1] - gaps[:, 1] * along[0]).argmin()]])
    return np.array(places).reshape(-1, 2)


def _crossings(points: Floats, pieces: NDArray[np.int64]) -> Floats:
    """Places where pieces that share no point cross."""
    start, along = points[pieces[:, 0]], points[pieces[:, 1]] - points[pieces[:, 0]]
    one, other = np.triu_indices(len(pieces), 1)
    near = np.linalg.norm(start[one] - start[other], axis=1) < 8
    one, other = one[near], other[near]
    apart = ~(pieces[one][:, :, None] == pieces[other][:, None]).any(axis=(1, 2))
    one, other = one[apart], other[apart]

    def cross(a: Floats, b: Floats) -> Floats:
        return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]

    with np.errstate(divide="ignore", invalid="ignore"):
        gap, whole = start[other] - start[one], cross(along[one], along[other])
        first, second = cross(gap, along[other]) / whole, cross(gap, along[one]) / whole
        meet = (first >= 0) & (first <= 1) & (second >= 0) & (second <= 1)
    return np.asarray(start[one[meet]] + first[meet, None] * along[one[meet]])
