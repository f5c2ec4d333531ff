"""From a mask to sub-pixel centrelines.

1. Pinholes are filled (`pinholes`). The skeleton is traced and pruned (`skeleton`), and crossings are made one branch
   point (`crossings`).
2. At a free end the skeleton says little: it stops short of the end of the mask, or turns into one of its corners. What
   lies within 1.5 times the distance to the mask's edge of the end is cut off.
3. Rays across the line find the edges of the mask; the middle between them is where the line belongs. Points where a
   ray finds no edge nearby, as at branch points, hardly count. The line is smoothed, and the rays are cast once more.
4. The final line is the smoothest one that departs from the middles no more than their own scatter explains: straight
   vessels become straight, curved ones keep their curvature.
5. Free ends are extended straight to the end of the mask. A branch point lies where the lines that meet there come
   nearest to each other, prolonged from outside the radius. Within the radius, they go straight to it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_darl.measuring.arms import find_arms
from napari_darl.measuring.crossings import fuse
from napari_darl.measuring.free_ends import extended, with_length, without_caps
from napari_darl.measuring.lines import Floats, Integers, Lines
from napari_darl.measuring.pinholes import without_pinholes
from napari_darl.measuring.sections import depth_at, edge_distance, normals
from napari_darl.measuring.skeleton import FREE, Graph, Mask, prune, trace
from napari_darl.measuring.thinning import thinned

_OWN = 0.1  # weight of the skeleton's branch point, where that of an arm is 1
_ROUGH = 8.0  # px, cutoff wavelength of the first smoothing
_LEAST, _MOST = 16.0, 256.0  # px, range of cutoff wavelengths of the final one
_FAINT = 0.02  # weight of a point without a section
_UNSURE = 1 / 6, 1 / 4  # parts of the cutoff, but at most of the line, at its ends whose curvature isn't known
_WRAP = 64  # points by which rings overlap themselves while they are smoothed


@dataclass(frozen=True)
class Centrelines:
    """The centrelines of a mask; lengths are in multiples of the smallest size of a pixel.

    Attributes
    ----------
    lines
        K lines of N points, about one apart.
    start, end
        (K,) number of the branch point at either end of a line, or `FREE`.
    closed
        (K,) bool, True for rings, whose last point is their first.
    nodes
        (M, D) positions of the branch points.
    radius
        (M,) of the circle about each within which its vessels lie on each other.
    width
        (N,) distance between the edges on either side of each point, in 3-D the diameter of a circle of the same area;
        NaN where the mask has no two edges nearby, as at branch points.
    depth
        (N,) distance to the nearest edge.
    curvature
        (N,) curvature, the inverse of a length; NaN near the ends, where nothing or little is known of it.
    """

    lines: Lines
    start: Integers
    end: Integers
    closed: npt.NDArray[np.bool_]
    nodes: Floats
    radius: Floats
    width: Floats
    depth: Floats
    curvature: Floats


def find_centrelines(mask: Mask, scale: Floats) -> Centrelines:
    """Find the centrelines of a mask.

    Parameters
    ----------
    mask
        (Y, X) or (Z, Y, X) bool, False at the edges of the array.
    scale
        (D,) size of a pixel as a multiple of its smallest side.
    """
    mask, distance = without_pinholes(mask, scale)
    graph = fuse(prune(_traced(mask, distance, scale), scale), distance, scale)
    return centre(graph, mask, distance, scale)


def _traced(mask: Mask, distance: Floats, scale: Floats) -> Graph:
    """Thin a mask and trace its skeleton.

    In volumes, scikit-image's thinning wipes out some vessels that are an even number of voxels wide. Where parts of
    a mask are far from its skeleton, it is thinned anew with a voxel between each two.
    """
    skeleton = thinned(mask)
    if mask.ndim == 2 or _covers(skeleton, mask, distance, scale):
        return trace(skeleton, distance)
    return trace(thinned(_between(mask)), distance, step=0.5)


def _covers(skeleton: Mask, mask: Mask, distance: Floats, scale: Floats) -> bool:
    """Return whether no part of a mask is further from the skeleton than three times the radius there, and 3 px."""
    lines = np.argwhere(skeleton)
    if not len(lines):
        return not mask.any()
    apart, nearest = cKDTree(lines * scale).query(np.argwhere(mask) * scale)
    return bool((apart <= 3 * (distance[tuple(lines[nearest].T)] + scale.max())).all())


def _between(mask: Mask) -> Mask:
    """Put a voxel between each two, part of the mask if either is: w voxels become 2 w + 1, which is odd."""
    for axis in range(mask.ndim):
        fine = np.zeros([2 * n - 1 if place == axis else n for place, n in enumerate(mask.shape)], bool)
        along, fine_along = np.moveaxis(mask, axis, 0), np.moveaxis(fine, axis, 0)
        fine_along[::2] = along
        fine_along[1::2] = along[:-1] | along[1:]
        mask = fine
    return mask


def centre(graph: Graph, mask: Mask, distance: Floats, scale: Floats) -> Centrelines:
    """Bring the chains of a pruned skeleton to the middle of the mask; see the steps above."""
    chains = without_caps(with_length(graph.chains, mask, distance, scale), mask, distance, scale)
    closed = np.array([chain.closed for chain in chains], bool)
    lines, bend = centred([chain.points * scale for chain in chains], closed, mask, distance, scale)
    start = np.array([chain.start for chain in chains], np.int64)
    end = np.array([chain.end for chain in chains], np.int64)
    lines, bend = extended(lines, (start, end, closed), bend, (mask, distance, scale))
    nodes = _branch_points(lines, start, end, graph, scale)
    lines = _anchored(lines, start, end, nodes, graph.radius)
    _, _, width = sections(lines, mask, distance, scale)
    depth = depth_at(distance, lines.points, scale)
    return Centrelines(lines, start, end, closed, nodes, graph.radius, width, depth, bend)


def centred(
    rough: list[Floats], closed: npt.NDArray[np.bool_], mask: Mask, distance: Floats, scale: Floats
) -> tuple[Lines, Floats]:
    """Bring lines of pixels to the middle of the mask, and smooth them.

    Parameters
    ----------
    rough
        Points (n, D) of each line, in the unit of `scale`.
    closed
        (K,) True for rings.
    mask, distance
        The mask, and the distance to its edge.
    scale
        (D,) size of a pixel.

    Returns
    -------
    lines : Lines
        About one point per unit; rings end where they begin.
    curvature : ndarray
        (N,) at these points; see `_curvature`.
    """
    # A ring is a wave itself, as long as it is around: smoothing must not take that away.
    around = Lines.of(rough, mask.ndim).length
    most = np.where(closed, np.minimum(_MOST, np.maximum(around / 3, 3)), _MOST)
    lines = _wrapped(Lines.of(rough, mask.ndim).resampled(), closed)
    even = np.ones(len(lines.points))
    lines = lines.moved(lines.smoothed(lines.points, even, np.minimum(_ROUGH, most)))
    thickness = 2 * lines.sum(depth_at(distance, lines.points, scale)) / np.diff(lines.first)
    base = np.minimum(np.clip(2 * thickness, _LEAST, _MOST), most)
    middle, weight, _ = sections(lines, mask, distance, scale)
    lines = lines.moved(lines.smoothed(middle, weight, base))
    middle, weight, _ = sections(lines, mask, distance, scale)
    points, cutoff = _smoothest(lines, middle, weight, (base, most))
    lines = lines.moved(points)
    return _unwrapped(lines, closed, _curvature(lines, closed, cutoff))


def _curvature(lines: Lines, closed: npt.NDArray[np.bool_], cutoff: Floats) -> Floats:
    """Return the curvature of smoothed lines, NaN near their ends.

    There, a smoothed line has neighbours on one side only: the variance of its curvature is up to six times that in the
    middle, and it is continued with the same curvature whatever the vessel does.
    """
    length = lines.length
    unsure = np.where(closed, 0, np.minimum(_UNSURE[0] * cutoff, _UNSURE[1] * length))[lines.owner]
    ahead = length[lines.owner] - lines.arc
    return np.where(np.minimum(lines.arc, ahead) < unsure, np.nan, lines.curvature())


def _wrapped(lines: Lines, closed: npt.NDArray[np.bool_]) -> Lines:
    """Let rings overlap themselves, so that smoothing knows no end of them."""
    if not closed.any():
        return lines
    parts = []
    for points, ring in zip(lines.split(), closed, strict=True):
        if ring:
            again = min(len(points), _WRAP)
            points = np.concatenate([points[len(points) - again :], points, points[:again]])
        parts.append(points)
    return Lines.of(parts, lines.points.shape[1])


def _unwrapped(lines: Lines, closed: npt.NDArray[np.bool_], values: Floats) -> tuple[Lines, Floats]:
    """Undo `_wrapped`, and close the rings by their first point."""
    if not closed.any():
        return lines, values
    parts, kept = [], []
    for points, value, ring in zip(lines.split(), lines.split(values), closed, strict=True):
        if ring:
            again = _WRAP if len(points) >= 3 * _WRAP else len(points) // 3
            places = np.r_[again : len(points) - again, again]
            points, value = points[places], value[places]
        parts.append(points)
        kept.append(value)
    return Lines.of(parts, lines.points.shape[1]), np.concatenate(kept)


def sections(lines: Lines, mask: Mask, distance: Floats, scale: Floats) -> tuple[Floats, Floats, Floats]:
    """Return for each point the middle of the mask across the line, a weight, and the width there (or NaN)."""
    across = normals(lines.tangents())
    depth = depth_at(distance, lines.points, scale)
    reach = 1.5 * depth + 1.5
    rays = edge_distance(mask, scale, lines.points, np.concatenate([across, -across], axis=1), reach)
    one, other = np.split(rays, 2, axis=1)
    shift = ((one - other)[..., None] / 2 * across).mean(axis=1) * (mask.ndim - 1)
    width = (one + other)[:, 0] if mask.ndim == 2 else 2 * np.sqrt((rays**2).mean(axis=1))
    known = np.isfinite(width)
    middle = lines.points + np.where(known[:, None], shift, 0)
    return middle, np.where(known, 1.0, _FAINT), width


def _smoothest(lines: Lines, middle: Floats, weight: Floats, cutoffs: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Smooth each line as much as the scatter of its middles allows, between two cutoffs; return its own, too.

    White scatter of variance v leaves about 2 v / c after smoothing with a cutoff of c samples. A longer cutoff takes
    away more, up to that much, without the line being bent more than we know; further departures are the vessel's own.
    """
    base, most = cutoffs
    points = lines.smoothed(middle, weight, base)
    total = np.maximum(lines.sum(weight), 1e-9)
    scatter = lines.sum(weight * ((middle - points) ** 2).sum(axis=1)) / total
    allowed = 4 * scatter * 2 / base + 0.01**2
    least, open_, cutoff, used = points.copy(), np.ones(len(lines), bool), base, base
    while open_.any() and (cutoff < most).any():
        cutoff = np.minimum(cutoff * 1.5, most)
        smoother = lines.smoothed(middle, weight, cutoff)
        departure = lines.sum(weight * ((smoother - least) ** 2).sum(axis=1)) / total
        open_ &= departure <= allowed
        taken = open_[lines.owner]
        points[taken] = smoother[taken]
        used = np.where(open_, cutoff, used)
    return points, used


def _branch_points(lines: Lines, start: Integers, end: Integers, graph: Graph, scale: Floats) -> Floats:
    """Place each branch point where its arms, prolonged backwards, come nearest to each other.

    The sum of the squared distances to these straight lines is least there. The squared distance to the skeleton's
    branch point counts for a tenth. It decides where arms are short, and keeps a branch point in place where arms run
    alongside each other or bend.
    """
    nodes, own = graph.nodes * scale, _OWN * np.eye(len(scale))
    arms = find_arms(lines.split(), zip(start, end, strict=True), graph.radius)
    for node, found in arms.items():
        normal, target = own, own @ nodes[node]
        for arm in found:
            if arm.whole:
                across = np.eye(len(scale)) - np.outer(arm.direction, arm.direction)
                normal, target = normal + across, target + across @ arm.origin
        nodes[node] = np.linalg.solve(normal, target)
    return nodes


def _anchored(lines: Lines, start: Integers, end: Integers, nodes: Floats, radius: Floats) -> Lines:
    """Let lines go straight to their branch points, within the radius there."""
    parts = lines.split()
    for number, points in enumerate(parts):
        points = points.copy()
        for node, order in ((start[number], slice(None)), (end[number], slice(None, None, -1))):
            if node != FREE:
                view = points[order]
                arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(view, axis=0), axis=1))])
                inside = int(np.searchsorted(arc, min(radius[node], arc[-1] / 2)))
                share = (arc[:inside] / max(arc[inside], 1e-9))[:, None]
                view[:inside] = nodes[node] * (1 - share) + view[inside] * share
                view[0] = nodes[node]
        parts[number] = points
    return Lines.of(parts, lines.points.shape[1])
