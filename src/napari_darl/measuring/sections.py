"""Cross-sections: where rays from a centreline leave the mask, and how wide an image's profile is."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_STEP = 0.5  # distance of the samples along a ray, in the smallest size of a pixel
_PLATEAU = 0.15  # part of a vessel's width, to either side of its middle, over which the height is averaged
_LIKELY = 0.4, 1.8  # parts of the expected width beyond which, and 1 px more, a profile is something else's
_AT_ONCE = 2**16  # samples that are looked up at once: more don't fit into a processor's cache


def normals(tangents: Floats) -> Floats:
    """Return unit vectors (N, K, D) across the tangents (N, D): one in 2-D, four in 3-D, 45 degrees apart."""
    if tangents.shape[1] == 2:
        return np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)[:, None]
    helper = np.zeros_like(tangents)
    helper[np.arange(len(tangents)), np.abs(tangents).argmin(axis=1)] = 1
    one = np.cross(tangents, helper)
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    other = np.cross(tangents, one)
    return np.stack([one, (one + other) / 2**0.5, other, (other - one) / 2**0.5], axis=1)


def depth_at(distance: Floats, points: Floats, scale: Floats) -> Floats:
    """Interpolate the distance to the nearest edge; at least that of half a pixel."""
    depth = map_coordinates(distance, (points / scale).T, order=1, mode="nearest")
    return np.maximum(np.asarray(depth, np.float64), 0.5)


def edge_distance(mask: Mask, scale: Floats, points: Floats, directions: Floats, reach: Floats) -> Floats:
    """Compute how far it is from points to the edge of a mask.

    The mask is interpolated linearly between pixels; its edge is where the value falls to one half.

    Parameters
    ----------
    mask
        (...) bool, False at the edges of the array.
    scale
        (D,) size of a pixel.
    points
        (N, D) in the unit of `scale`, the first pixel's centre at 0.
    directions
        (N, K, D) unit vectors.
    reach
        (N,) distance to look at, at most.

    Returns
    -------
    ndarray
        (N, K), NaN where there is no edge within reach or the point itself lies outside.
    """
    values = mask.view(np.uint8)
    found = np.full(directions.shape[:2], np.nan)
    steps = np.ceil(np.maximum(reach, 1) / _STEP).astype(np.int64)
    groups = 2 ** np.ceil(np.log2(steps)).astype(np.int64)
    for count in np.unique(groups).tolist():
        group = np.flatnonzero(groups == count)
        along = np.arange(count + 1) * _STEP
        for chosen in np.array_split(group, 1 + group.size * directions.shape[1] * along.size // _AT_ONCE):
            where = points[chosen, None, None] + along[:, None] * directions[chosen, :, None]
            place = np.moveaxis(where / scale, -1, 0)
            sample = map_coordinates(values, place, np.float32, order=1, mode="constant")
            found[chosen] = _first_fall(sample) * _STEP
    found[found > np.maximum(reach, 1)[:, None]] = np.nan
    return found


def _first_fall(sample: npt.NDArray[np.float32]) -> Floats:
    """Return the place, in samples along the last axis, where values first fall below one half; NaN if nowhere."""
    below = sample < 0.5
    place = below.argmax(axis=-1)
    before = np.maximum(place - 1, 0)
    low = np.take_along_axis(sample, place[..., None], -1)[..., 0].astype(np.float64)
    high = np.take_along_axis(sample, before[..., None], -1)[..., 0].astype(np.float64)
    fall = before + (high - 0.5) / np.where(high > low, high - low, 1)
    return np.where((place > 0) & below.any(axis=-1), fall, np.nan)


def profile_widths(image: Floats, scale: Floats, points: Floats, directions: Floats, expected: Floats) -> Floats:
    """Compute the full width at half maximum of an image's profile across lines.

    A profile is as long as the expected width on either side of the vessel and 2 px more. What lies beyond the
    vessel on either side, by its median, makes a straight background; half of the height in the middle gives the edges.

    Parameters
    ----------
    image
        (...) vessels brighter than the background.
    scale
        (D,) size of a pixel.
    points
        (N, D) on the vessels, in order; profiles of points that follow each other may be averaged beforehand.
    directions
        (N, K, D) unit vectors across; the mean over the K is returned.
    expected
        (N,) width that the vessels have about.

    Returns
    -------
    ndarray
        (N,), NaN where no profile falls to one half on both sides.
    """
    found = np.full(len(points), np.nan)
    half = np.ceil((1.5 * expected + 2) / _STEP).astype(np.int64)
    groups = 2 ** np.ceil(np.log2(half)).astype(np.int64)
    for count in np.unique(groups).tolist():
        group = np.flatnonzero(groups == count)
        along = np.arange(-count, count + 1) * _STEP
        for chosen in np.array_split(group, 1 + group.size * directions.shape[1] * along.size // _AT_ONCE):
            where = points[chosen, None, None] + along[:, None] * directions[chosen, :, None]
            sample = map_coordinates(image, np.moveaxis(where / scale, -1, 0), order=1, mode="nearest")
            found[chosen] = full_widths(sample, along, expected[chosen, None]).mean(axis=1)
    return found


def full_widths(profiles: Floats, along: Floats, expected: Floats) -> Floats:
    """Compute the full width at half maximum of profiles.

    Parameters
    ----------
    profiles
        (..., M) values, the vessel about the middle and brighter than what is beside it.
    along
        (M,) place of each, evenly spaced, 0 in the middle.
    expected
        (...) width that each has about.

    Returns
    -------
    ndarray
        (...), NaN where a profile doesn't fall to one half on both sides, or far from where it is expected.
    """
    wide = expected[..., None]
    left = (along < -0.75 * wide - 0.5) & (along >= -1.5 * wide - 2)
    right = (along > 0.75 * wide + 0.5) & (along <= 1.5 * wide + 2)
    low, high = _masked_median(profiles, left), _masked_median(profiles, right)
    slope = (along - along[0]) / (along[-1] - along[0])
    level = low[..., None] * (1 - slope) + high[..., None] * slope
    raised = profiles - level
    middle = np.abs(along) <= np.maximum(_PLATEAU * wide, 0.5)
    height = (raised * middle).sum(axis=-1, keepdims=True) / middle.sum(axis=-1, keepdims=True)
    half = raised < height / 2
    after, before = half & (along > 0), half & (along < 0)
    one, other = after.argmax(axis=-1), along.size - 1 - before[..., ::-1].argmax(axis=-1)
    width = _crossing(raised, height, one, -1) - _crossing(raised, height, other, 1)
    width *= along[1] - along[0]
    known = after.any(axis=-1) & before.any(axis=-1) & (height[..., 0] > 0)
    known &= (width > _LIKELY[0] * expected - 1) & (width < _LIKELY[1] * expected + 1)
    return np.where(known, width, np.nan)


def _masked_median(values: Floats, chosen: Mask) -> Floats:
    """Return the median of the chosen values along the last axis."""
    ordered = np.sort(np.where(chosen, values, np.inf), axis=-1)
    middle = np.maximum(chosen.sum(axis=-1) - 1, 0) // 2
    middle = np.broadcast_to(middle, ordered.shape[:-1])
    return np.take_along_axis(ordered, middle[..., None], -1)[..., 0]


def _crossing(raised: Floats, height: Floats, outside: npt.NDArray[np.int64], inward: int) -> Floats:
    """Interpolate where values cross half of their height, between a sample outside and the one inward of it."""
    inside = np.clip(outside + inward, 0, raised.shape[-1] - 1)
    low = np.take_along_axis(raised, outside[..., None], -1)[..., 0]
    high = np.take_along_axis(raised, inside[..., None], -1)[..., 0]
    share = (height[..., 0] / 2 - low) / np.where(high > low, high - low, 1)
    return np.asarray(outside + inward * np.clip(share, 0, 1), np.float64)
