"""Branch points that are one but were found as two.

Where two vessels cross, the skeleton has two branch points of three chains each and a bridge between them. They are one
if the bridge is shorter than the vessel's radius, or if the other chains go on across it in pairs, as two vessels:

- each pair on one straight line, if the bridge is shorter than three times the vessel's width, or
- if it is shorter than five times the width: each pair alike in width and turned by less than 53 degrees, and all
  chains leading away from a straight bridge. Vessels overlap like this where they cross at a small angle or touch. A
  bridge that were a vessel itself would divide at both of its ends, which no vessel of a tree does.
"""

from collections import defaultdict

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from napari_darl.measuring.arms import Arm, find_arms
from napari_darl.measuring.lines import Floats
from napari_darl.measuring.skeleton import FREE, Chain, Graph, joined

_LONGEST = 6.0  # radii, of a bridge where vessels cross on straight lines
_STRAIGHT = 0.85  # cosine of the angle by which a vessel turns at a crossing, at least
_ASIDE = 1.0  # radii, by which its parts lie beside each other, at most
_LONGEST_OVERLAP = 10.0  # radii, of a bridge where vessels overlap
_AWAY = 0.45  # cosine of the angle between such a bridge's direction and a chain that leads away from it, at least
_BENT = 0.6  # cosine of the angle by which a vessel turns across it, at least
_ALIKE = 1.6  # ratio of the widths of a vessel before and after it, at most


def fuse(graph: Graph, distance: Floats, scale: Floats) -> Graph:
    """Make one branch point of those that belong together: its place is their middle, and its circle holds theirs.

    Parameters
    ----------
    graph
        A pruned skeleton.
    distance
        Distance of the mask's pixels to its edge.
    scale
        (D,) size of a pixel; `graph.radius` has the same unit.
    """
    bridges = _bridges(graph, distance, scale)
    if not bridges:
        return graph
    count = len(graph.nodes)
    ends = np.array([(graph.chains[number].start, graph.chains[number].end) for number in bridges])
    links = csr_array((np.ones(len(ends)), ends.T), shape=(count, count))
    found, group = connected_components(links, directed=False)
    size = np.bincount(group, minlength=found)
    nodes = np.stack([np.bincount(group, axis, found) for axis in graph.nodes.T], axis=1) / size[:, None]
    radius = np.zeros(found)
    np.maximum.at(radius, group, graph.radius + np.linalg.norm((graph.nodes - nodes[group]) * scale, axis=1))
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


def _bridges(graph: Graph, distance: Floats, scale: Floats) -> set[int]:
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
            elif length < _LONGEST_OVERLAP * radius and degrees[chain.start] == degrees[chain.end] == 3:
                candidates.append(number)
    for number in candidates:
        others = sorted({place for node in ends[number] for place in at[node]} - {number})
        widths = [2 * distance[tuple(np.rint(graph.chains[place].points).astype(np.int64).T)] for place in others]
        arms = find_arms([lines[place] for place in others], [ends[place] for place in others], graph.radius, widths)
        some, rest = (arms[node] for node in ends[number])
        if len(some) == len(rest) == 2 and all(arm.whole for arm in (*some, *rest)):
            radius = graph.radius[list(ends[number])].max()
            if _are_one(lines[number], some, rest, radius):
                bridges.add(number)
    return bridges


def _are_one(bridge: Floats, some: list[Arm], others: list[Arm], radius: float) -> bool:
    """Return whether two vessels go on across a bridge, each with one arm at either end."""
    along = bridge[-1] - bridge[0]
    along /= np.linalg.norm(along)
    gaps = bridge - bridge[0]
    aside = np.linalg.norm(gaps - np.outer(gaps @ along, along), axis=1).max()
    away = max(*(arm.direction @ along for arm in some), *(-arm.direction @ along for arm in others)) < -_AWAY
    length = np.linalg.norm(np.diff(bridge, axis=0), axis=1).sum()
    for turn in (others, others[::-1]):
        pairs = list(zip(some, turn, strict=True))
        if length < _LONGEST * radius and all(_in_line(*pair, radius) for pair in pairs):
            return True
        if away and aside < radius and all(_goes_on(*pair) for pair in pairs):
            return True
    return False


def _goes_on(one: Arm, other: Arm) -> bool:
    """Return whether a vessel that ends with one arm may go on with the other: in about its direction, and as wide."""
    ahead = -float(one.direction @ other.direction) > _BENT
    return ahead and max(one.diameter, other.diameter) < _ALIKE * min(one.diameter, other.diameter)


def _in_line(one: Arm, other: Arm, radius: float) -> bool:
    """Return whether a vessel that ends with one arm goes on with the other, straight and not beside it."""
    if -float(one.direction @ other.direction) < _STRAIGHT:
        return False
    along = one.direction - other.direction
    along /= np.linalg.norm(along)
    gap = other.origin - one.origin
    aside = float(np.linalg.norm(gap - (gap @ along) * along))
    return aside < _ASIDE * radius
