"""Branch points that are one but were found as two.

Where two vessels cross, the skeleton has two branch points of three chains each and a bridge between them. They are one
if the bridge is shorter than the vessel's radius, or if it is shorter than three times the vessel's width and the other
chains go on across it in pairs, each on one straight line.
"""

from collections import defaultdict

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from napari_darl.measuring.arms import Arm, find_arms
from napari_darl.measuring.lines import Floats
from napari_darl.measuring.skeleton import FREE, Chain, Graph, joined

_LONGEST = 6.0  # radii, of a bridge
_STRAIGHT = 0.85  # cosine of the angle by which a vessel turns at a crossing, at most
_ASIDE = 1.0  # radii, by which its parts lie beside each other, at most


def fuse(graph: Graph, scale: Floats) -> Graph:
    """Make one branch point of those that belong together; its place is their middle.

    Parameters
    ----------
    graph
        A pruned skeleton.
    scale
        (D,) size of a pixel; `graph.radius` has the same unit.
    """
    bridges = _bridges(graph, scale)
    if not bridges:
        return graph
    count = len(graph.nodes)
    ends = np.array([(graph.chains[number].start, graph.chains[number].end) for number in bridges])
    links = csr_array((np.ones(len(ends)), ends.T), shape=(count, count))
    found, group = connected_components(links, directed=False)
    size = np.bincount(group, minlength=found)
    nodes = np.stack([np.bincount(group, axis, found) for axis in graph.nodes.T], axis=1) / size[:, None]
    radius = np.zeros(found)
    np.maximum.at(radius, group, graph.radius)
    chains = []
    for number, chain in enumerate(graph.chains):
        if number not in bridges:
            points = chain.points.copy()
            start, end = (FREE if node == FREE else int(group[node]) for node in (chain.start, chain.end))
            if start != FREE:
                points[0] = nodes[start]
            if end != FREE:
                points[-1] = nodes[end]
            chains.append(Chain(start, end, points, chain.closed))
    return joined(Graph(nodes, radius, chains))


def _bridges(graph: Graph, scale: Floats) -> set[int]:
    """Return the numbers of the chains between branch points that are one."""
    lines = [chain.points * scale for chain in graph.chains]
    ends = [(chain.start, chain.end) for chain in graph.chains]
    degrees = graph.degrees()
    bridges, candidates = set(), []
    at: dict[int, list[int]] = defaultdict(list)
    for number, pair in enumerate(ends):
        for node in set(pair):
            at[node].append(number)
    for number, chain in enumerate(graph.chains):
        if FREE not in (chain.start, chain.end) and chain.start != chain.end:
            length = chain.length(scale)
            radius = max(graph.radius[chain.start], graph.radius[chain.end])
            if length < radius:
                bridges.add(number)
            elif length < _LONGEST * radius and degrees[chain.start] == degrees[chain.end] == 3:
                candidates.append(number)
    for number in candidates:
        others = sorted({place for node in ends[number] for place in at[node]} - {number})
        arms = find_arms([lines[place] for place in others], [ends[place] for place in others], graph.radius)
        if _cross(arms[ends[number][0]], arms[ends[number][1]], graph.radius[list(ends[number])].max()):
            bridges.add(number)
    return bridges


def _cross(some: list[Arm], others: list[Arm], radius: float) -> bool:
    """Return whether two pairs of arms, one of either branch point each, are parts of one straight line."""
    if not (len(some) == len(others) == 2 and all(arm.whole for arm in (*some, *others))):
        return False
    fits = np.array([[_in_line(one, other, radius) for other in others] for one in some])
    return bool((fits[0, 0] and fits[1, 1]) or (fits[0, 1] and fits[1, 0]))


def _in_line(one: Arm, other: Arm, radius: float) -> bool:
    """Return whether a vessel that ends with one arm goes on with the other, straight and not beside it."""
    if -float(one.direction @ other.direction) < _STRAIGHT:
        return False
    along = one.direction - other.direction
    along /= np.linalg.norm(along)
    gap = other.origin - one.origin
    aside = float(np.linalg.norm(gap - (gap @ along) * along))
    return aside < _ASIDE * radius
