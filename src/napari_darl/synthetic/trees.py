"""Pseudo-masks: random trees that look like vessels, drawn without any labels or images.

All trees of a frame grow together, generation by generation. `_grow` advances one generation, as arrays of B branches
by S steps of 2 px:

1. Length: each branch gets a random length, proportional to its radius.
2. Forks: random steps are chosen where side branches leave (`_fork`). Murray's law splits the radius,
   r0^3 = r1^3 + r2^3, and gives the angles by which both branches turn away (Murray, J. Gen. Physiol. 9, 1926).
3. Radius: it tapers along the branch, shrinks at each fork, and varies irregularly.
4. Heading: it turns at each fork, bends steadily, and wanders as smooth noise. The centreline is its running sum.
5. End: a branch ends at its length, or where its radius falls below that of a tip.
6. Output: the branch is cut into segments (`_segments`), and its side branches become the next generation
   (`_side_branches`). Side branches that leave beyond the parent's end, or are thinner than a tip, are dropped.

Near a fork, the lumens of parent and side branch overlap. Their thickness must not add up there, although it does where
vessels cross, so a side branch starts in its parent's layer and passes into its own (`_Branches.joined`).

All lengths are in px of a frame of 512 x 512 px; smaller shapes are random crops of such a frame.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from napari_darl.errors import InputError
from napari_darl.synthetic.raster import Floats, MaskGenerator, PseudoMask, Segments, rasterise, transform
from napari_darl.synthetic.tree_config import FRAME, TreeConfig

__all__ = ["MaskGenerator", "PseudoMask", "TreeConfig", "draw_trees", "tree_segments"]

STEP = 2.0
"""Length of a segment of a centreline, px of that frame."""

_LAYERS = 3  # per tree, so that a branch, its parent, and branches to the other side have different ones


def draw_trees(
    shape: tuple[int, int],
    rng: np.random.Generator,
    config: TreeConfig = TreeConfig(),  # noqa: B008 (frozen)
    scale: float = 1.0,
) -> PseudoMask:
    """Draw vessel trees like those of coronary angiograms.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the mask. If smaller than a frame of 512 * `scale` px, it is a random crop of one.
    rng : numpy.random.Generator
        The only source of randomness: the same state gives the same mask.
    config : TreeConfig
        How the trees look.
    scale : float
        Factor for all lengths, for frames of another pixel size: 2 for those of 1024 x 1024 px.

    Returns
    -------
    PseudoMask
        The mask, its radii and its thickness. It may be empty, as crops of angiograms may.

    Raises
    ------
    InputError
        If `shape` or `scale` isn't positive.

    Examples
    --------
    >>> import numpy as np
    >>> tree = draw_trees((512, 512), np.random.default_rng(0))
    >>> tree.mask.shape, bool(tree.radius.max() < 10)
    ((512, 512), True)
    """
    return rasterise(shape, tree_segments(shape, rng, config, scale), config.outline)


def tree_segments(shape: tuple[int, int], rng: np.random.Generator, config: TreeConfig, scale: float) -> Segments:
    """Grow the trees that `draw_trees` draws; the parameters are the same.

    Returns
    -------
    Segments
        All segments, including those outside the mask.

    Raises
    ------
    InputError
        If `shape` or `scale` isn't positive.
    """
    if min(shape) < 1 or not 0 < scale < np.inf:
        raise InputError(f"Trees need a positive shape and scale, not {shape} and {scale}.")
    crop = np.array(shape) / scale
    frame = np.maximum(crop, FRAME)
    offset = rng.uniform(0, 1, 2) * (frame - crop)
    return transform(_grow_trees(frame, rng, config), scale, -scale * offset)


@dataclass(frozen=True)
class _Branches:
    """One generation of branches at their origins, one entry per branch."""

    origin: Floats
    heading: Floats
    radius: Floats
    lean: Floats  # angle by which the course bends along the branch
    joined: Floats  # distance over which the lumen overlaps the parent's
    layer: NDArray[np.int64]
    parent_layer: NDArray[np.int64]
    arrival: Floats


@dataclass(frozen=True)
class _Courses:
    """The courses of the B branches of one generation, at S steps each."""

    path: Floats  # (S,) distance from the origin
    points: Floats  # (B, S, 2)
    heading: Floats  # (B, S)
    radius: Floats  # (B, S)
    alive: NDArray[np.bool_]  # (B, S), False beyond the end


@dataclass(frozen=True)
class _Forks:
    """Where side branches leave one generation, one entry per side branch."""

    parent: NDArray[np.int64]
    step: NDArray[np.int64]
    side: Floats
    ratio: Floats  # radius as a fraction of the parent's
    rest: Floats  # radius of the parent after the fork, as a fraction of that before
    away: Floats  # angle between the side branch and the parent's heading
    deflection: Floats  # angle by which the parent turns to the other side


def _grow_trees(extent: Floats, rng: np.random.Generator, config: TreeConfig) -> Segments:
    """Grow trees in and around an area of `extent` (rows, columns), in a number proportional to the area."""
    trees = round(rng.integers(config.trees[0], config.trees[1] + 1) * extent.prod() / FRAME**2)
    heading = rng.uniform(0, 2 * np.pi, trees)
    target = rng.uniform(0.2, 0.8, (trees, 2)) * extent
    layer = _LAYERS * (np.arange(trees) % 4)  # reused after four trees, since each layer needs a raster
    branches = _Branches(
        origin=target - rng.uniform(0.1, 0.5, (trees, 1)) * FRAME * _direction(heading),
        heading=heading + rng.normal(0, 0.3, trees),
        radius=rng.uniform(*config.trunk_radius, trees),
        lean=rng.normal(0, 1.0, trees),
        joined=np.full(trees, -np.inf),
        layer=layer,
        parent_layer=layer,
        arrival=np.zeros(trees),
    )
    grown = []
    while True:
        segments, branches = _grow(branches, rng, config)
        grown.append(segments)
        if not branches.radius.size:
            return Segments(*(np.concatenate([getattr(s, f.name) for s in grown]) for f in fields(Segments)))


def _grow(branches: _Branches, rng: np.random.Generator, config: TreeConfig) -> tuple[Segments, _Branches]:
    """Grow one generation, and return its segments and the next generation; the module explains the steps."""
    length = config.length * branches.radius * rng.lognormal(0, 0.3, branches.radius.size)
    steps = np.maximum(np.ceil(length / STEP), 2).astype(np.int64)
    path = np.arange(steps.max(initial=1) + 1) * STEP
    progress = path / length[:, None]
    forks = _fork(branches, steps, rng, config)
    at = (forks.parent, forks.step)

    shrink, turn = np.zeros_like(progress), np.zeros_like(progress)
    np.add.at(shrink, at, np.log(forks.rest))
    np.add.at(turn, at, -forks.side * forks.deflection)
    radius = branches.radius[:, None] * np.exp(np.cumsum(shrink, axis=1))
    radius *= (1 - config.taper * progress) * (1 - progress**8)
    radius *= 1 + config.irregularity * _smooth_noise(progress.shape, 8.0, rng)
    waviness = config.tortuosity * rng.lognormal(0, 0.4, (length.size, 1))
    heading = branches.heading[:, None] + np.cumsum(turn, axis=1)
    heading += waviness * _smooth_noise(progress.shape, config.bend_length, rng)
    heading -= branches.lean[:, None] * (1 - np.exp(-2 * progress))
    moves = STEP * _direction(heading[:, :-1])
    points = np.cumsum(np.concatenate([branches.origin[:, None], moves], axis=1), axis=1)

    alive = np.logical_and.accumulate((progress < 1) & (radius >= config.tip_radius), axis=1)
    courses = _Courses(path, points, heading, np.maximum(radius, config.tip_radius), alive)
    return _segments(branches, courses), _side_branches(branches, forks, courses, rng, config)


def _fork(branches: _Branches, steps: NDArray[np.int64], rng: np.random.Generator, config: TreeConfig) -> _Forks:
    """Choose where side branches leave, and split radius and heading by Murray's law."""
    mean = config.side_branches * np.sqrt(branches.radius / config.trunk_radius[1])
    parent = np.repeat(np.arange(steps.size), rng.poisson(mean))
    low, high = config.branch_ratio
    ratio = low + (high - low) * rng.beta(1, 2, parent.size)  # most side branches are thin
    rest = np.cbrt(1 - ratio**3)
    return _Forks(
        parent=parent,
        step=np.ceil(rng.uniform(0.05, 0.9, parent.size) * (steps[parent] - 1)).astype(np.int64),
        side=rng.choice([-1.0, 1.0], parent.size),
        ratio=ratio,
        rest=rest,
        # The law holds in space. Projected angles are smaller.
        away=_murray_angle(ratio, rest) * rng.uniform(0.7, 1.1, parent.size),
        deflection=_murray_angle(rest, ratio) * 0.7,
    )


def _segments(branches: _Branches, courses: _Courses) -> Segments:
    """Cut branches into segments.

    Where a branch leaves its parent, each segment is in both layers: first all of it in the parent's, then, over four
    steps, more and more in its own.
    """
    own = np.clip((courses.path[:-1] - branches.joined[:, None]) / (4 * STEP), 0, 1)
    alive = courses.alive[:, :-1]
    joined, free = np.nonzero(alive & (own < 1)), np.nonzero(alive & (own > 0))
    branch, step = np.concatenate([joined, free], axis=1)
    return Segments(
        start=courses.points[branch, step],
        end=courses.points[branch, step + 1],
        radius=np.stack([courses.radius[branch, step], courses.radius[branch, step + 1]], axis=1),
        layer=np.concatenate([branches.parent_layer[joined[0]], branches.layer[free[0]]]),
        share=np.concatenate([1 - own[joined], own[free]]),
        arrival=branches.arrival[branch] + courses.path[step],
    )


def _side_branches(
    branches: _Branches, forks: _Forks, courses: _Courses, rng: np.random.Generator, config: TreeConfig
) -> _Branches:
    """Return the side branches that are thicker than a tip and leave before their parent's end."""
    thick = courses.radius[forks.parent, forks.step - 1] * forks.ratio > config.tip_radius
    born = thick & courses.alive[forks.parent, forks.step]
    forks = _Forks(*(getattr(forks, f.name)[born] for f in fields(_Forks)))
    width = courses.radius[forks.parent, forks.step - 1]
    angle = forks.side * forks.away
    tree, layer = np.divmod(branches.layer[forks.parent], _LAYERS)
    apart = np.maximum(np.sin(forks.away + forks.deflection), 0.3)
    return _Branches(
        origin=courses.points[forks.parent, forks.step],
        heading=courses.heading[forks.parent, forks.step - 1] + angle,
        radius=width * forks.ratio,
        lean=angle * rng.uniform(0.2, 1.0, angle.size),
        joined=width * (1 + forks.ratio) / apart,
        layer=_LAYERS * tree + (layer + 1 + (forks.side > 0)) % _LAYERS,
        parent_layer=branches.layer[forks.parent],
        arrival=branches.arrival[forks.parent] + courses.path[forks.step],
    )


def _murray_angle(ratio: Floats, other: Floats) -> Floats:
    """Return the angle of least work between a parent of radius 1 and a branch, given the other branch's radius."""
    cosine = (1 + ratio**4 - other**4) / (2 * ratio**2)
    return np.arccos(np.clip(cosine, -1, 1))


def _smooth_noise(shape: tuple[int, ...], length: float, rng: np.random.Generator) -> Floats:
    """Draw rows of smooth noise that start at 0, of unit variance and correlated over `length` px.

    White noise passes two equal low-pass filters of first order.
    """
    pole = np.exp(-STEP / length)
    gain = np.sqrt((1 - pole**2) ** 3 / (1 + pole**2))
    noise: Floats = lfilter([gain], [1, -2 * pole, pole**2], rng.standard_normal(shape), axis=1)
    return noise


def _direction(heading: Floats) -> Floats:
    """Return headings as unit vectors (row, column) on a new last axis."""
    return np.stack([np.sin(heading), np.cos(heading)], axis=-1)
