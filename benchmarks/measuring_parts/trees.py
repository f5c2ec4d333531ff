"""Trees of the pseudo-mask generator beside the geometry that they were drawn from."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label, map_coordinates
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

import napari_darl
from measuring_parts.drawings import Floats, Mask
from napari_darl.evaluation.report import markdown_table
from napari_darl.synthetic.raster import Segments, rasterise
from napari_darl.synthetic.trees import TreeConfig, tree_segments

NUMBER = 150
SEEDS = 0, 5000  # the first of each set of trees; settings were chosen on the first set
NEAR = 3.0  # px, within which a branch point counts as found


def trees() -> str:
    """Pseudo-mask trees: branch points, lengths and diameters beside the geometry they were drawn from."""
    rows = []
    for name, first in product(("no vessels cross", "vessels cross"), SEEDS):
        counts, errors, lengths = np.zeros(5), [], np.zeros(3)
        for mask, tree in _tree_truths(name == "vessels cross", first):
            found = napari_darl.measure(mask)
            counts += _branch_points(found, tree)
            errors += _width_errors(found, tree, distance_transform_edt(mask))
            lengths += tree.length, found.summary["length"], _skan_length(mask)
        error = np.array(errors)
        seen, met, nodes, right, together = counts
        rows.append(
            (
                f"{NUMBER}, {name}, seed {first}",
                f"{seen:.0f}",
                f"{met / seen:.3f}",
                f"{right / nodes:.3f}",
                f"{nodes - right:.0f} ({together:.0f})",
                f"{right / (nodes - together):.3f}",
                f"{100 * (lengths[1] / lengths[0] - 1):+.1f}",
                f"{100 * (lengths[2] / lengths[0] - 1):+.1f}",
                f"{error[:, 0].mean():+.2f} ({error[:, 0].std():.2f})",
                f"{error[:, 1].mean():+.2f} ({error[:, 1].std():.2f})",
            )
        )
    heads = (
        "drawings",
        "branch points",
        "recall",
        "precision",
        "false (where vessels lie together)",
        "precision without these",
        "length, %",
        "skan's, %",
        "diameter",
        "2 x distance",
    )
    return markdown_table(heads, rows)


def _branch_points(found: napari_darl.Morphometry, tree: "Tree") -> tuple[int, int, int, int, int]:
    """Count branch points: seen; seen and found; found; found and right; false where vessels lie together."""
    nodes = np.stack([found.branch_points["y"], found.branch_points["x"]], axis=1)
    known = np.concatenate([tree.forks, tree.crossings])
    right = cKDTree(known).query(nodes)[0] <= NEAR
    hits = cKDTree(nodes).query(tree.seen)[0] <= NEAR
    together = sum(tree.vessels_at(node) > 1 for node in nodes[~right])
    return len(tree.seen), int(hits.sum()), len(nodes), int(right.sum()), together


@dataclass(frozen=True)
class Tree:
    """What was drawn: forks, those of them whose branches stick out, crossings, and points with their radii.

    `pieces` are the pairs of points that follow each other.
    """

    forks: Floats
    seen: Floats
    crossings: Floats
    points: Floats
    radii: Floats
    pieces: NDArray[np.int64]
    length: float

    def vessels_at(self, place: Floats) -> int:
        """Count the vessels, within 2 px, that aren't connected there."""
        near = np.linalg.norm(self.points - place, axis=1) < self.radii + 2
        pieces = self.pieces[near[self.pieces].all(axis=1)]
        links = coo_array((np.ones(len(pieces)), pieces.T), shape=(len(near), len(near)))
        return len(np.unique(connected_components(links, directed=False)[1][near]))


def _tree_truths(crossing: bool, first: int) -> Iterator[tuple[Mask, Tree]]:
    """Draw trees in which vessels cross, or don't: a mask without crossing has no hole either."""
    number = 0
    for seed in count(first):
        rng = np.random.default_rng(seed)
        segments = tree_segments((512, 512), rng, TreeConfig(trees=(1, 1), side_branches=4), 1.0)
        mask = rasterise((512, 512), segments, outline=1).mask
        tree = _geometry(segments, mask.shape)
        holes = label(~np.pad(mask, 1))[1] - 1
        if len(tree.seen) < 2 or (len(tree.crossings) + holes > 0) != crossing:
            continue
        yield mask, tree
        number += 1
        if number == NUMBER:
            return


def _geometry(segments: Segments, shape: tuple[int, ...]) -> Tree:
    """Find forks and crossings of drawn segments.

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
    return Tree(points[forks], points[seen], crossings, points[used], radii[used], inner, float(length))


def _from_the_roots(pieces: NDArray[np.int64], after: dict[int, list[int]]) -> list[int]:
    """Order points so that each comes after the one that leads to it."""
    waiting, order = list(set(pieces[:, 0].tolist()) - set(pieces[:, 1].tolist())), []
    while waiting:
        order.append(waiting.pop())
        waiting += after[order[-1]]
    return order


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


def _width_errors(found: napari_darl.Morphometry, tree: Tree, distance: Floats) -> list[tuple[float, float]]:
    """Errors of each segment's diameter and of 2 x the distance transform, beside twice the mean radius drawn there."""
    lookup = cKDTree(tree.points)
    errors = []
    for path, diameter in zip(found.paths, found.segments["diameter"], strict=True):
        inner = path[len(path) // 4 : -(len(path) // 4) or None]
        apart, nearest = lookup.query(inner)
        if len(path) > 30 and apart.max() < 2:
            depth = map_coordinates(distance, inner.T.round(), order=0).mean()  # as most tools take it
            true = 2 * tree.radii[nearest].mean()
            errors.append((float(diameter - true), float(2 * depth - true)))
    return errors


def _skan_length(mask: Mask) -> float:
    """Length of all branches by skan, where it is installed."""
    try:
        from skan import Skeleton
    except ImportError:
        return float("nan")
    return float(np.sum(Skeleton(skeletonize(mask)).path_lengths()))  # type: ignore[no-untyped-call]
