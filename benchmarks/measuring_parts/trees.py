"""Trees of the pseudo-mask generator beside the geometry that they were drawn from."""

from collections.abc import Iterator
from itertools import count, product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label, map_coordinates
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

import napari_darl
from measuring_parts.drawings import Floats, Mask
from measuring_parts.tree_geometry import Tree, geometry
from napari_darl.evaluation.report import markdown_table
from napari_darl.synthetic.raster import rasterise
from napari_darl.synthetic.trees import TreeConfig, tree_segments

NUMBER = 150
SEEDS = 0, 5000, 10000  # the first of each set of trees; settings were chosen on the first and the last
NEAR = 3.0  # px, within which a branch point counts as found
TOGETHER = 2.0  # px, about a branch point, within which vessels lie together
LONG = 60.0  # px, of an overlap between two false branch points
KINDS = "apart", "at an end", "degree 4", "both ends of an overlap", "one end"  # of false branch points
JOINED = 1, 4  # the kinds at which the mask shows a vessel that joins another one, as at a fork


def trees() -> str:
    """Pseudo-mask trees: branch points, lengths and diameters beside the geometry they were drawn from."""
    rows = []
    for name, first in product(("no vessels cross", "vessels cross"), SEEDS):
        counts, false, errors, lengths = np.zeros(6), np.zeros(len(KINDS)), [], np.zeros(3)
        for mask, tree in _tree_truths(name == "vessels cross", first):
            found = napari_darl.measure(mask)
            nodes = np.stack([found.branch_points["y"], found.branch_points["x"]], axis=1)
            counts += _branch_points(nodes, tree)
            false += _false_ones(found, nodes, tree)
            errors += _width_errors(found, tree, distance_transform_edt(mask))
            lengths += tree.length, found.summary["length"], _skan_length(mask)
        error = np.array(errors)
        seen, met, number, ends, ended, shown = counts
        rows.append(
            (
                f"{NUMBER}, {name}, seed {first}",
                f"{seen:.0f}",
                f"{met / seen:.3f}",
                f"{1 - false.sum() / number:.3f}",
                f"{ends:.0f} ({ended:.0f})",
                f"{shown / number:.3f}",
                f"{1 - false[0] / (number - false[1:].sum()):.3f}",
                f"{1 - false[list(JOINED)].sum() / (number - np.delete(false, JOINED).sum()):.3f}",
                *(f"{kind:.0f}" for kind in false),
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
        "ends on other vessels (found)",
        "precision with these",
        "precision apart",
        "precision of joins",
        *(f"false, {kind}" for kind in KINDS),
        "length, %",
        "skan's, %",
        "diameter",
        "2 x distance",
    )
    return markdown_table(heads, rows)


def _branch_points(nodes: Floats, tree: Tree) -> tuple[int, ...]:
    """Count forks that are seen, and those found; branch points; ends on others, those found; branch points at any."""
    lookup = cKDTree(nodes)
    met, ended = (int((lookup.query(places)[0] <= NEAR).sum()) for places in (tree.seen, tree.ends))
    known = np.concatenate([tree.forks, tree.crossings, tree.ends])
    shown = int((cKDTree(known).query(nodes)[0] <= NEAR).sum())
    return len(tree.seen), met, len(nodes), len(tree.ends), ended, shown


def _false_ones(found: napari_darl.Morphometry, nodes: Floats, tree: Tree) -> NDArray[np.int64]:
    """Count false branch points by `KINDS`: all but the first where vessels lie together that aren't connected."""
    wrong = cKDTree(np.concatenate([tree.forks, tree.crossings])).query(nodes)[0] > NEAR
    start, end = found.segments["start"], found.segments["end"]
    bridge = (start >= 0) & (end >= 0) & (start != end) & (found.segments["length"] < LONG)
    bridge &= wrong[start] & wrong[end]
    paired = np.concatenate([start[bridge], end[bridge]])
    counts = np.zeros(len(KINDS), np.int64)
    for number in np.flatnonzero(wrong):
        if tree.courses.count_at(nodes[number], TOGETHER) < 2:
            kind = 0
        elif cKDTree(tree.ends).query(nodes[number])[0] <= NEAR:
            kind = 1
        elif found.branch_points["degree"][number] > 3:
            kind = 2
        else:
            kind = 3 if number in paired else 4
        counts[kind] += 1
    return counts


def _tree_truths(crossing: bool, first: int) -> Iterator[tuple[Mask, Tree]]:
    """Draw trees in which vessels cross, or don't: a mask without crossing has no hole either."""
    number = 0
    for seed in count(first):
        rng = np.random.default_rng(seed)
        segments = tree_segments((512, 512), rng, TreeConfig(trees=(1, 1), side_branches=4), 1.0)
        mask = rasterise((512, 512), segments, outline=1).mask
        tree = geometry(segments, mask.shape)
        holes = label(~np.pad(mask, 1))[1] - 1
        if len(tree.seen) < 2 or (len(tree.crossings) + holes > 0) != crossing:
            continue
        yield mask, tree
        number += 1
        if number == NUMBER:
            return


def _width_errors(found: napari_darl.Morphometry, tree: Tree, distance: Floats) -> list[tuple[float, float]]:
    """Errors of each segment's diameter and of 2 x the distance transform, beside twice the mean radius drawn there."""
    lookup = cKDTree(tree.courses.points)
    errors = []
    for path, diameter in zip(found.paths, found.segments["diameter"], strict=True):
        inner = path[len(path) // 4 : -(len(path) // 4) or None]
        apart, nearest = lookup.query(inner)
        if len(path) > 30 and apart.max() < 2:
            depth = map_coordinates(distance, inner.T.round(), order=0).mean()  # as most tools take it
            true = 2 * tree.courses.radii[nearest].mean()
            errors.append((float(diameter - true), float(2 * depth - true)))
    return errors


def _skan_length(mask: Mask) -> float:
    """Length of all branches by skan, where it is installed."""
    try:
        from skan import Skeleton
    except ImportError:
        return float("nan")
    return float(np.sum(Skeleton(skeletonize(mask)).path_lengths()))  # type: ignore[no-untyped-call]
