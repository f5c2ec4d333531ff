"""Skeletons of masks as graphs: chains of pixels between branch points and free ends.

A skeleton pixel with three neighbours or more belongs to a branch point; branch points that touch are one. What is left
are chains, in which each pixel has at most two neighbours. Two pixels that touch by a corner are no neighbours where a
third pixel connects them by its sides, so that a staircase is one chain and no row of branch points.

A skeleton has spurs, which no vessel has: a bump of the outline makes one, and a blunt end forks towards its corners.
`prune` removes them by one rule.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

FREE = -1
"""In place of a branch point's number: the chain ends there."""

_SHORTEST = 1.5  # longest sides of a pixel that a chain with a free end must have
_NEAR = 2  # px along each chain in which the radius at a branch point is looked for
_TINY_LOOP = 2  # chain pixels of a loop about a single branch point that encloses no pixel


@dataclass(frozen=True)
class Chain:
    """Pixels between two branch points or free ends.

    Attributes
    ----------
    start, end
        Number of the branch point at either end, or `FREE`.
    points
        (N, D) positions in order, px, with those of the branch points.
    closed
        True for a ring: it has no end, and its first point follows its last.
    """

    start: int
    end: int
    points: Floats
    closed: bool = False

    def length(self, scale: Floats) -> float:
        """Compute the length from point to point, where a pixel measures `scale`."""
        return float(np.linalg.norm(np.diff(self.points, axis=0) * scale, axis=1).sum())

    def reversed(self) -> "Chain":
        """Return the same chain, seen from its other end."""
        return Chain(self.end, self.start, self.points[::-1], self.closed)


@dataclass(frozen=True)
class Graph:
    """A skeleton: its branch points and the chains between them.

    Attributes
    ----------
    nodes
        (M, D) positions of the branch points, px.
    radius
        (M,) of the circle about each branch point within which its vessels lie on each other, in the unit of the
        pixels' size: the distance to the edge of the mask there, or at a deeper place beside it.
    chains
        The chains.
    """

    nodes: Floats
    radius: Floats
    chains: list[Chain]

    def degrees(self) -> Counter[int]:
        """Count the chains that end at each branch point."""
        return Counter(node for chain in self.chains for node in (chain.start, chain.end) if node != FREE)


def trace(skeleton: Mask, distance: npt.NDArray[np.floating], step: float = 1.0) -> Graph:
    """Turn a skeleton into a graph.

    Parameters
    ----------
    skeleton
        Lines one pixel wide in 2-D or 3-D, with no pixel at the edge of the array.
    distance
        Distance to the edge of the mask.
    step
        Side of the skeleton's pixels, in pixels of the mask.
    """
    pixels = np.argwhere(skeleton)
    first, second = neighbours(skeleton, pixels)
    degree = np.bincount(np.concatenate([first, second]), minlength=len(pixels))
    crossing = degree > 2
    together = crossing[first] & crossing[second]
    links = csr_array(
        (np.ones(together.sum(), bool), (first[together], second[together])), shape=(len(pixels), len(pixels))
    )
    node = np.full(len(pixels), FREE)
    node[crossing] = np.unique(connected_components(links, directed=False)[1][crossing], return_inverse=True)[1]

    count = int(node.max(initial=FREE)) + 1
    size = np.bincount(node[crossing], minlength=count)
    nodes = np.stack([np.bincount(node[crossing], axis, count) for axis in pixels[crossing].T], axis=1) / size[:, None]
    depth = np.zeros(len(pixels))
    for rounded in (np.floor, np.ceil):  # between two pixels of the mask, the one that is deeper inside
        depth = np.maximum(depth, distance[tuple(rounded(pixels * step).astype(np.int64).T)])
    radius = np.zeros(count)
    np.maximum.at(radius, node[crossing], depth[crossing])

    adjacent: list[list[int]] = [[] for _ in range(len(pixels))]
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        adjacent[one].append(other)
        adjacent[other].append(one)
    nodes, places, near = nodes * step, pixels * step, round(_NEAR / step)
    chains = []
    for start, end, members, closed in _walks(adjacent, node.tolist()):
        if start == end != FREE and len(members) <= _TINY_LOOP:
            continue
        for one, beside in ((start, members[:near]), (end, members[-near:])):
            if one != FREE:  # it may lie off the middle of the vessel
                radius[one] = max(radius[one], depth[beside].max())
        ends = [nodes[[n]] if n != FREE else nodes[:0] for n in (start, end)]
        chains.append(Chain(start, end, np.concatenate([ends[0], places[members], ends[1]]), closed))
    return Graph(nodes, radius, chains)


def neighbours(skeleton: Mask, pixels: Integers) -> tuple[Integers, Integers]:
    """Return the pairs of neighbouring pixels, as two arrays of their numbers."""
    number = np.full(skeleton.shape, -1)
    number[tuple(pixels.T)] = np.arange(len(pixels))
    flat, place = number.ravel(), np.ravel_multi_index(tuple(pixels.T), skeleton.shape)
    stride = np.array(number.strides) // number.itemsize
    firsts, seconds = [], []
    for offset in product((-1, 0, 1), repeat=skeleton.ndim):
        if offset <= (0,) * skeleton.ndim:  # each pair once
            continue
        other = flat[place + int(np.dot(offset, stride))]
        linked = other >= 0
        for between in product(*({0, step} for step in offset)):
            if any(between) and between != offset:
                linked &= flat[place + int(np.dot(between, stride))] < 0
        firsts.append(np.flatnonzero(linked))
        seconds.append(other[linked])
    return np.concatenate(firsts), np.concatenate(seconds)


def _walks(adjacent: list[list[int]], node: list[int]) -> list[tuple[int, int, list[int], bool]]:
    """Walk along all chains; return their branch points, their pixels in order, and whether they are rings."""
    seen = [n != FREE for n in node]
    inner = [[other for other in others if node[other] == FREE] for others in adjacent]
    walks = []
    ends = [pixel for pixel, others in enumerate(inner) if not seen[pixel] and len(others) < 2]
    rest = [pixel for pixel, others in enumerate(inner) if not seen[pixel] and len(others) == 2]
    for first in (*ends, *rest):  # what the ends didn't lead to are rings
        if seen[first]:
            continue
        members = [first]
        seen[first] = True
        while ahead := [other for other in inner[members[-1]] if not seen[other]]:
            members.append(ahead[0])
            seen[ahead[0]] = True
        closed = len(inner[first]) == 2
        outer = [node[other] for other in adjacent[first] if node[other] != FREE]
        if len(members) == 1:
            start, end = ([*outer, FREE, FREE])[:2]
        else:
            last = [node[other] for other in adjacent[members[-1]] if node[other] != FREE]
            start, end = [*outer, FREE][0], [*last, FREE][0]
        walks.append((start, end, members, closed))
    return walks


def prune(graph: Graph, scale: Floats) -> Graph:
    """Remove spurs.

    A spur is a chain with a free end that is shorter than the vessel is wide at its root, 2 x the distance to the edge
    of the mask, or than one and a half of a pixel's longest side. All spurs of a branch point go at once, but where
    they are all that is there, the two longest stay. Chains that meet where no third is left become one, and all
    begins anew until there is no spur.

    Parameters
    ----------
    graph
        As `trace` returns it.
    scale
        (D,) size of a pixel; `graph.radius` has the same unit.
    """
    while spurs := _spurs(graph, scale):
        kept = [chain for number, chain in enumerate(graph.chains) if number not in spurs]
        graph = joined(Graph(graph.nodes, graph.radius, kept))
    return graph


def _spurs(graph: Graph, scale: Floats) -> set[int]:
    """Return the numbers of the chains to remove."""
    degrees = graph.degrees()
    spurs: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for number, chain in enumerate(graph.chains):
        node = max(chain.start, chain.end)
        if min(chain.start, chain.end) == FREE and node != FREE and degrees[node] > 2:
            length = chain.length(scale)
            if length < max(2 * graph.radius[node], _SHORTEST * scale.max()):
                spurs[node].append((length, number))
    removed = set()
    for node, found in spurs.items():
        spared = 2 if len(found) == degrees[node] else 0
        removed |= {number for _, number in sorted(found)[: len(found) - spared]}
    return removed


def joined(graph: Graph) -> Graph:
    """Join the chains that meet in twos, and free the ends of those that meet none."""
    at: dict[int, list[int]] = defaultdict(list)
    chains = dict(enumerate(graph.chains))
    for number, chain in chains.items():
        for node in (chain.start, chain.end):
            if node != FREE:
                at[node].append(number)
    for node, numbers in at.items():
        if len(numbers) == 1:
            chain = chains[numbers[0]]
            start, end = (FREE if n == node else n for n in (chain.start, chain.end))
            chains[numbers[0]] = Chain(start, end, chain.points)
        elif len(numbers) == 2:
            one, other = numbers
            first = chains[one]
            if one == other:
                chains[one] = Chain(FREE, FREE, first.points[:-1], closed=True)
                continue
            first = first if first.end == node else first.reversed()
            second = chains.pop(other)
            second = second if second.start == node else second.reversed()
            chains[one] = Chain(first.start, second.end, np.concatenate([first.points, second.points[1:]]))
            if second.end != FREE:
                at[second.end] = [one if n == other else n for n in at[second.end]]
    return Graph(graph.nodes, graph.radius, list(chains.values()))
