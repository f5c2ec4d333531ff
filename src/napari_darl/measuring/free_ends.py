"""Free ends of centrelines: where a skeleton says little, and the end of the mask is further on."""

from itertools import product

import numpy as np
import numpy.typing as npt

from napari_darl.measuring.lines import Floats, Integers, Lines
from napari_darl.measuring.sections import depth_at, edge_distance
from napari_darl.measuring.skeleton import FREE, Chain, Mask

_CAP = 1.5  # multiple of the distance to the edge within which a free end is cut off
_REACH = 4.0  # multiple of that distance, in the largest side of a pixel, within which the end of the mask lies


def with_length(chains: list[Chain], mask: Mask, distance: Floats, scale: Floats) -> list[Chain]:
    """Give chains of a single pixel a second point, in the direction in which the mask reaches furthest."""
    single = [number for number, chain in enumerate(chains) if len(chain.points) == 1]
    if not single:
        return chains
    offsets = np.array([o for o in product((-1, 0, 1), repeat=mask.ndim) if o > (0,) * mask.ndim]) * scale
    directions = offsets / np.linalg.norm(offsets, axis=1, keepdims=True)
    both = np.concatenate([directions, -directions])
    points = np.concatenate([chains[number].points for number in single])
    reach = _REACH * scale.max() * (depth_at(distance, points * scale, scale) + 1)
    rays = edge_distance(mask, scale, points * scale, np.broadcast_to(both, (len(points), *both.shape)), reach)
    through = np.nan_to_num(rays[:, : len(directions)] + rays[:, len(directions) :])
    steps = directions[through.argmax(axis=1)] / scale / 4
    found = list(chains)
    for number, point, step in zip(single, points, steps, strict=True):
        found[number] = Chain(chains[number].start, chains[number].end, np.stack([point - step, point + step]))
    return found


def without_caps(chains: list[Chain], mask: Mask, distance: Floats, scale: Floats) -> list[Chain]:
    """Cut chains off near their free ends, if something of them is left."""
    ends = [
        (number, last)
        for number, chain in enumerate(chains)
        for node, last in ((chain.start, False), (chain.end, True))
        if node == FREE and not chain.closed and len(chain.points) > 4
    ]
    if not ends:
        return chains
    views = [chains[number].points[::-1] if last else chains[number].points for number, last in ends]
    depths = [distance[tuple(np.rint(points).astype(np.int64).T)] for points in views]
    arcs = [
        np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points * scale, axis=0), axis=1))]) for points in views
    ]
    tips = np.array([points[0] for points in views]) * scale
    inner = [int(np.searchsorted(arc, min(max(d[0], 2.0), arc[-1]))) for arc, d in zip(arcs, depths, strict=True)]
    outward = tips - np.array([points[i] for points, i in zip(views, inner, strict=True)]) * scale
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    reach = _REACH * scale.max() * np.array([depth.max() + 1 for depth in depths])
    rest = np.nan_to_num(edge_distance(mask, scale, tips, outward[:, None], reach)[:, 0])

    cut = list(chains)
    for (number, last), arc, depth, beyond in zip(ends, arcs, depths, rest, strict=True):
        first = int(np.argmax(arc + beyond > _CAP * depth))
        points = cut[number].points
        if len(points) - first >= 4:
            kept = points[: len(points) - first] if last else points[first:]
            cut[number] = Chain(chains[number].start, chains[number].end, kept)
    return cut


def extended(
    lines: Lines,
    ends: tuple[Integers, Integers, npt.NDArray[np.bool_]],
    bend: Floats,
    pixels: tuple[Mask, Floats, Floats],
) -> tuple[Lines, Floats]:
    """Extend free ends straight to the end of the mask."""
    mask, distance, scale = pixels
    start, end, closed = ends
    tips, outward, owner, at_end = [], [], [], []
    for number, points in enumerate(lines.split()):
        for node, last in ((start[number], False), (end[number], True)):
            if node == FREE and not closed[number]:
                line = points[::-1] if last else points
                back = line[min(len(line) - 1, 3)]
                tips.append(line[0])
                outward.append((line[0] - back) / max(np.linalg.norm(line[0] - back), 1e-9))
                owner.append(number)
                at_end.append(last)
    if not tips:
        return lines, bend
    origins = np.array(tips)
    directions = np.array(outward)
    reach = _REACH * scale.max() * (depth_at(distance, origins, scale) + 1)
    rest = edge_distance(mask, scale, origins, directions[:, None], reach)[:, 0]
    parts, bends = lines.split(), lines.split(bend)
    for tip, direction, length, number, last in zip(
        origins, directions, np.nan_to_num(rest), owner, at_end, strict=True
    ):
        count = int(np.ceil(length))
        if count:
            more = tip + np.linspace(0, length, count + 1)[1:, None] * direction
            both = (parts[number], more) if last else (more[::-1], parts[number])
            parts[number] = np.concatenate(both)
            straight = np.full(count, np.nan)  # nothing is known of it
            bends[number] = np.concatenate((bends[number], straight) if last else (straight, bends[number]))
    return Lines.of(parts, mask.ndim), np.concatenate(bends)
