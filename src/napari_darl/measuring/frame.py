"""Measure the vessels of one frame or volume."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, find_objects
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_darl.frames.missing import filled
from napari_darl.measuring.branching import branching
from napari_darl.measuring.centreline import Centrelines, find_centrelines
from napari_darl.measuring.density import fractal_dimension
from napari_darl.measuring.lines import Floats, Integers
from napari_darl.measuring.segments import (
    Inner,
    curvatures,
    extremes,
    line_means,
    local_diameters,
    mean_diameters,
    profile_diameters,
)
from napari_darl.measuring.skeleton import FREE, Mask

Columns = dict[str, npt.NDArray[Any]]

SEGMENT_COLUMNS = {
    "segment": int,
    "label": int,
    "length": float,
    "chord": float,
    "tortuosity": float,
    "curvature": float,
    "diameter": float,
    "diameter_min": float,
    "diameter_max": float,
    "start": int,
    "end": int,
}
"""Columns of a table of segments and their types; with an image there is `diameter_profile`, too."""

_RING = 4  # px about the vessels in which the background is looked at


@dataclass(frozen=True)
class FrameTables:
    """What was measured of a frame: columns, totals, and per segment its path (px) and the diameters along it."""

    segments: Columns
    branch_points: Columns
    totals: dict[str, float]
    paths: list[Floats]
    diameters: list[Floats]


@dataclass(frozen=True)
class FrameMeasurer:
    """Measures frames.

    Attributes
    ----------
    size
        (D,) size of a pixel.
    region
        Outside of it nothing is measured.
    separate_labels
        Whether each value of a mask is measured by itself.
    """

    size: Floats
    region: Mask | None = None
    separate_labels: bool = False

    def measure(self, labels: npt.NDArray[Any], image: npt.NDArray[Any] | None = None) -> FrameTables:
        """Measure a frame (Y, X) or a volume (Z, Y, X); vessels are not 0."""
        if self.region is not None:
            labels = np.where(self.region, labels, 0)
        mask = labels != 0
        bright = None if image is None else bright_vessels(image, mask)
        found = _empty(mask.ndim, bright is not None)
        pieces = 0
        for label, corner, piece in self._pieces(labels, mask):
            centrelines = find_centrelines(piece, self._scale)
            part = self._tables(centrelines, piece, corner, bright)
            found = _followed(found, part, label)
            pieces += _count_pieces(centrelines)
        return FrameTables(
            found.segments,
            found.branch_points,
            self._totals(mask, found, pieces),
            found.paths,
            found.diameters,
        )

    @property
    def _scale(self) -> Floats:
        """Size of a pixel as a multiple of its smallest side."""
        return np.asarray(self.size / self.size.min())

    def _pieces(self, labels: npt.NDArray[Any], mask: Mask) -> Iterator[tuple[int, Integers, Mask]]:
        """Cut out what is measured at once: a label, the place of the first pixel, a mask within a rim of 0."""
        if not self.separate_labels:
            wanted: Iterator[tuple[int, Mask]] = iter([(1, mask)])
        else:
            wanted = ((int(label), labels == label) for label in np.unique(labels[mask]))
        for label, one in wanted:
            for box in find_objects(one.astype(np.uint8)):
                corner = np.array([side.start for side in box])
                yield label, corner - 1, np.pad(one[box], 1)

    def _tables(self, found: Centrelines, mask: Mask, corner: Integers, image: Floats | None) -> FrameTables:
        """Measure the segments and branch points of a mask that begins at pixel `corner` of the frame."""
        unit, scale, lines = float(self.size.min()), self._scale, found.lines
        inner = Inner.of(found)
        inside = inner.points(lines)
        diameter = local_diameters(found)
        least, greatest = extremes(lines, diameter, inside)
        chord = np.linalg.norm(lines.points[lines.first[1:] - 1] - lines.points[lines.first[:-1]], axis=1)
        nodes, places = branching(found, diameter)
        number = np.full(len(found.nodes) + 1, FREE)  # the last one stands for free ends
        number[places] = np.arange(len(places))
        segments: Columns = {
            "segment": np.arange(len(lines)),
            "label": np.zeros(len(lines), np.int64),
            "length": lines.length * unit,
            "chord": chord * unit,
            "tortuosity": np.where(chord > 1e-6, lines.length / np.maximum(chord, 1e-6), np.nan),
            "curvature": curvatures(found, inside) / unit,
            "diameter": mean_diameters(found, inner, mask, scale) * unit,
            "diameter_min": least * unit,
            "diameter_max": greatest * unit,
            "start": number[found.start],
            "end": number[found.end],
        }
        if image is not None:
            profile = profile_diameters(found, image, scale, corner * scale)
            segments["diameter_profile"] = line_means(lines, profile, inside) * unit
        where = found.nodes[places] / scale + corner
        widths = {name: values * unit for name, values in nodes.items() if name.endswith("diameter")}
        branch_points = {
            "branch_point": np.arange(len(places)),
            "label": np.zeros(len(places), np.int64),
            **dict(zip("zyx"[-mask.ndim :], where.T, strict=True)),
            **(nodes | widths),
        }
        paths = [points / scale + corner for points in lines.split()]
        return FrameTables(segments, branch_points, {}, paths, lines.split(diameter * unit))

    def _totals(self, mask: Mask, found: FrameTables, pieces: int) -> dict[str, float]:
        """Measure the frame as a whole."""
        pixel = float(self.size.prod())
        whole = (mask.size if self.region is None else int(self.region.sum())) * pixel
        content, length = int(mask.sum()) * pixel, float(found.segments["length"].sum())
        points = len(found.branch_points["branch_point"])
        weighted = float((found.segments["length"] * found.segments["diameter"]).sum())
        drawn = np.zeros(mask.shape, bool)
        for path in found.paths:
            drawn[tuple(np.clip(np.rint(path).astype(np.int64), 0, np.array(mask.shape) - 1).T)] = True
        dimension, error = fractal_dimension(drawn)
        kind = "area" if mask.ndim == 2 else "volume"
        return {
            kind: content,
            f"{kind}_density": 100 * content / whole,
            "length": length,
            "length_density": length / whole,
            "branch_points": points,
            "branch_point_density": points / whole,
            "segments": len(found.paths),
            "pieces": pieces,
            "mean_diameter": weighted / length if length else math.nan,
            "fractal_dimension": dimension,
            "fractal_dimension_error": error,
        }


def bright_vessels(image: npt.NDArray[Any], mask: Mask) -> Floats:
    """Return a frame as floats in which vessels are brighter than what is next to them; dark ones are inverted.

    Missing values take that of the nearest pixel that has one.
    """
    values = filled(image).astype(np.float64)
    ring = binary_dilation(mask, iterations=_RING) & ~mask
    if mask.any() and ring.any() and np.median(values[mask]) < np.median(values[ring]):
        return -values
    return values


def _empty(dimensions: int, profile: bool) -> FrameTables:
    """Return tables without a row."""
    segments: Columns = {name: np.zeros(0, kind) for name, kind in SEGMENT_COLUMNS.items()}
    if profile:
        segments["diameter_profile"] = np.zeros(0)
    axes = ("branch_point", "label", *"zyx"[-dimensions:])
    others = ("degree", "angle", "parent_diameter", "child_diameter", "second_child_diameter", "murray")
    integers = ("branch_point", "label", "degree")
    branch_points = {name: np.zeros(0, int if name in integers else float) for name in (*axes, *others)}
    return FrameTables(segments, branch_points, {}, [], [])


def _followed(found: FrameTables, part: FrameTables, label: int) -> FrameTables:
    """Append the rows of another part of the frame, numbered on."""
    segments, points = len(found.paths), len(found.branch_points["branch_point"])
    rows = dict(part.segments)
    rows["segment"] = rows["segment"] + segments
    rows["label"] = np.full(len(part.paths), label)
    for name in ("start", "end"):
        rows[name] = np.where(rows[name] == FREE, FREE, rows[name] + points)
    nodes = dict(part.branch_points)
    nodes["branch_point"] = nodes["branch_point"] + points
    nodes["label"] = np.full(len(nodes["degree"]), label)
    return FrameTables(
        {name: np.concatenate([values, rows[name]]) for name, values in found.segments.items()},
        {name: np.concatenate([values, nodes[name]]) for name, values in found.branch_points.items()},
        {},
        found.paths + part.paths,
        found.diameters + part.diameters,
    )


def _count_pieces(found: Centrelines) -> int:
    """Count the parts of a mask that no vessel connects."""
    known = found.start != FREE
    both = known & (found.end != FREE)
    nodes = np.unique(np.concatenate([found.start[known], found.end[found.end != FREE]]))
    links = coo_array(
        (np.ones(both.sum()), (found.start[both], found.end[both])), shape=(len(found.nodes), len(found.nodes))
    )
    connected = connected_components(links, directed=False)[1] if len(found.nodes) else np.zeros(0)
    alone = (found.start == FREE) & (found.end == FREE)
    return len(np.unique(connected[nodes])) + int(alone.sum())
