"""What is measured at each branch point: degree, angle, diameters and Murray's exponent."""

import numpy as np

from napari_darl.measuring.arms import find_arms
from napari_darl.measuring.centreline import Centrelines
from napari_darl.measuring.lines import Floats, Integers

_EXPONENTS = (0.05, 64.0)  # Murray exponents that are looked for


def branching(found: Centrelines, diameter: Floats) -> tuple[dict[str, Floats], Integers]:
    """Measure the branch points of a mask.

    At a branch point of three segments the widest is the parent. Each segment's direction and diameter are taken from
    beyond the radius at the branch point on, over two radii or 5 px.

    Parameters
    ----------
    found
        The centrelines.
    diameter
        (N,) at each of their points.

    Returns
    -------
    columns : dict
        `degree`, `angle` between the two children in degrees, `parent_diameter`, `child_diameter` (the wider child),
        `second_child_diameter` and `murray`: the x of d_parent^x = d_child^x + d_second^x, NaN where there is none.
        All but the degree are NaN at branch points of another degree than 3. (B,) each.
    places : ndarray
        (B,) row of each branch point in `found.nodes`.
    """
    lines = found.lines
    ends = zip(found.start, found.end, strict=True)
    arms = find_arms(lines.split(), ends, found.radius, lines.split(diameter))
    places = np.array(sorted(arms), np.int64)
    degree = np.array([len(arms[place]) for place in places], np.float64)
    measured = np.full((len(places), 4), np.nan)
    for row, place in enumerate(places):
        if len(arms[place]) == 3:
            parent, one, other = sorted(arms[place], key=lambda arm: -arm.diameter)
            angle = np.degrees(np.arccos(np.clip(one.direction @ other.direction, -1, 1)))
            measured[row] = angle, parent.diameter, one.diameter, other.diameter
    angle, widest, wider, thinner = measured.T
    columns = {
        "degree": degree,
        "angle": angle,
        "parent_diameter": widest,
        "child_diameter": wider,
        "second_child_diameter": thinner,
        "murray": murray_exponents(widest, wider, thinner),
    }
    return columns, places


def murray_exponents(parent: Floats, child: Floats, second: Floats) -> Floats:
    """Solve parent^x = child^x + second^x (Murray 1926, where x is 3) by bisection.

    Returns
    -------
    ndarray
        The exponents; NaN where a child is as wide as its parent, or the exponent is beyond 64.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        one, other = np.log(child / parent), np.log(second / parent)
        low, high = np.full(parent.shape, _EXPONENTS[0]), np.full(parent.shape, _EXPONENTS[1])
        solvable = (one < 0) & (other < 0) & (np.exp(one * high) + np.exp(other * high) < 1)
        for _ in range(50):
            middle = (low + high) / 2
            more = np.exp(one * middle) + np.exp(other * middle) > 1
            low, high = np.where(more, middle, low), np.where(more, high, middle)
    return np.where(solvable, (low + high) / 2, np.nan)
