"""What is measured of each segment: length, chord, curvature and diameters."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_darl.measuring.centreline import Centrelines
from napari_darl.measuring.lines import Floats, Lines
from napari_darl.measuring.sections import normals, profile_widths
from napari_darl.measuring.skeleton import FREE, Mask

_BENT = 8  # points of a segment, about 1 px apart, that say how it is bent
_EVEN = 6.0  # px, cutoff wavelength of the diameter along a segment


@dataclass(frozen=True)
class Inner:
    """The part of each segment that is nothing but itself.

    Near a branch point a segment lies inside of the vessel that it leaves, and near a free end the vessel is rounded
    off. `begin` and `end`, (K,) each, are the distances along the segment between which it is measured: beyond the
    radius at a branch point, and half a width before a free end. Both are NaN where nothing is left; a vessel that
    meets no other is then measured as a whole.
    """

    begin: Floats
    end: Floats

    @classmethod
    def of(cls, found: Centrelines) -> "Inner":
        """Find these parts."""
        length = found.lines.length
        half = _typical_width(found) / 2

        def margin(nodes: npt.NDArray[np.int64]) -> Floats:
            at_node = found.radius[nodes] if len(found.radius) else 0.0
            return np.where(nodes != FREE, at_node, np.where(found.closed, 0, half))

        begin, end = margin(found.start), length - margin(found.end)
        empty = end - begin < 1
        alone = empty & (found.start == FREE) & (found.end == FREE)
        begin, end = np.where(alone, 0, begin), np.where(alone, length, end)
        empty &= ~alone
        return cls(np.where(empty, np.nan, begin), np.where(empty, np.nan, end))

    def points(self, lines: Lines) -> Mask:
        """Return which points (N,) lie inside; all of a segment that has no such part."""
        begin, end = self.begin[lines.owner], self.end[lines.owner]
        return np.isnan(begin) | ((lines.arc >= begin) & (lines.arc <= end))


def _typical_width(found: Centrelines) -> Floats:
    """Return for each segment the mean of its known widths, or twice its mean depth."""
    known = np.isfinite(found.width)
    count = found.lines.sum(known.astype(np.float64))
    total = found.lines.sum(np.where(known, found.width, 0))
    deep = 2 * found.lines.sum(found.depth) / np.maximum(np.diff(found.lines.first), 1)
    return np.where(count > 0, total / np.maximum(count, 1), deep)


def mean_diameters(found: Centrelines, inner: Inner, mask: Mask, scale: Floats) -> Floats:
    """Compute the mean diameter (K,) of each segment: its area over its length, in 3-D from its volume.

    Each pixel of the mask belongs to the nearest point of a centreline. Of those about an inner part's ends the part
    counts that lies inside. Segments without an inner part have the mean of their local widths instead.
    """
    lines = found.lines
    if not len(lines):
        return np.zeros(0)
    pixels = np.argwhere(mask) * scale
    nearest = cKDTree(lines.points).query(pixels)[1]
    tangents = lines.tangents()
    along = lines.arc[nearest] + ((pixels - lines.points[nearest]) * tangents[nearest]).sum(axis=1)
    extent = (np.abs(tangents) * scale).sum(axis=1)[nearest]
    owner = lines.owner[nearest]
    share = np.clip((along - inner.begin[owner]) / extent + 0.5, 0, 1)
    share = np.minimum(share, np.clip((inner.end[owner] - along) / extent + 0.5, 0, 1))
    share[np.isnan(share)] = 0
    # in a ring, arc begins and ends at one place
    size = np.bincount(owner, share, len(lines)) * scale.prod() / (inner.end - inner.begin)
    diameter = size if mask.ndim == 2 else 2 * np.sqrt(size / np.pi)
    return np.where(np.isfinite(diameter) & (diameter > 0), diameter, _typical_width(found))


def local_diameters(found: Centrelines) -> Floats:
    """Return the diameter (N,) at each point: the distance of the edges, smoothed, with gaps bridged."""
    return evened(found.lines, found.width, 2 * found.depth)


def evened(lines: Lines, width: Floats, otherwise: Floats, cutoff: float = _EVEN) -> Floats:
    """Smooth widths (N,) along lines, over gaps; lines without any width have other values."""
    known = np.isfinite(width)
    filled = otherwise
    if known.any():
        # A gap keeps lines apart: before the first and after the last known width of a line, that one holds.
        place = np.arange(len(width)) + 1e9 * lines.owner
        filled = np.interp(place, place[known], width[known])
        filled = np.where((lines.sum(known.astype(np.float64)) > 0)[lines.owner], filled, otherwise)
    return lines.smoothed(filled[:, None], np.ones(len(filled)), np.full(len(lines), cutoff))[:, 0]


def profile_diameters(found: Centrelines, image: Floats, scale: Floats, corner: Floats) -> Floats:
    """Return the full width at half maximum (N,) of an image's profile at each point, NaN where there is none.

    Parameters
    ----------
    found
        Centrelines of a mask whose first pixel lies at `corner` of the image.
    image
        Vessels are brighter than the background.
    scale
        (D,) size of a pixel.
    corner
        (D,) in the unit of `scale`.
    """
    if not len(found.lines):
        return np.zeros(0)
    expected = np.minimum(_typical_width(found)[found.lines.owner], 4 * found.depth)
    return profile_widths(image, scale, found.lines.points + corner, normals(found.lines.tangents()), expected)


def curvatures(found: Centrelines, inside: Mask) -> Floats:
    """Return the root mean square curvature (K,) of each segment, NaN where less than 8 px of it are inside."""
    mean = line_means(found.lines, found.curvature**2, inside)
    known = found.lines.sum((inside & np.isfinite(found.curvature)).astype(np.float64))
    return np.where(known >= _BENT, np.sqrt(mean), np.nan)


def line_means(lines: Lines, values: Floats, chosen: Mask) -> Floats:
    """Return the mean (K,) of the chosen values that are known, NaN where there is none."""
    known = chosen & np.isfinite(values)
    count = lines.sum(known.astype(np.float64))
    return np.where(count > 0, lines.sum(np.where(known, values, 0)) / np.maximum(count, 1), np.nan)


def extremes(lines: Lines, values: Floats, chosen: Mask) -> tuple[Floats, Floats]:
    """Return the least and the greatest (K,) of the chosen values."""
    least, greatest = np.full(len(lines), np.inf), np.full(len(lines), -np.inf)
    np.minimum.at(least, lines.owner[chosen], values[chosen])
    np.maximum.at(greatest, lines.owner[chosen], values[chosen])
    return np.where(np.isfinite(least), least, np.nan), np.where(np.isfinite(greatest), greatest, np.nan)
