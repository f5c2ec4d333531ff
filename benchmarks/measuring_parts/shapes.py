"""Straight tubes, curves and volumes of known size."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

import napari_darl
from measuring_parts.drawings import Floats, Mask, drawn, tube_in_space, turned
from napari_darl.evaluation.report import markdown_table
from napari_darl.measuring.centreline import find_centrelines
from napari_darl.measuring.segments import Inner

ANGLES = 24
WIDTHS = (3, 4, 5, 6, 8, 10, 12, 16, 20, 25)
EXACT = 0.15  # px, within which a diameter is to be


def tubes(anisotropic: bool = False) -> str:
    """Straight tubes at 24 angles and random offsets.

    A drawing has an error of its own: its pixels have another width in the mean. No method can find what isn't in them.
    A mask decides a diameter if no tube of the same course whose width differs by more than `EXACT` has the same mask.
    """
    rng = np.random.default_rng(0)
    size = np.array([0.25, 0.1]) if anisotropic else np.ones(2)
    unit = size.min()
    rows = []
    for width in WIDTHS:
        diameter, drawing, doubt, length, bent, pieces = [], [], [], [], [], 0
        for turn in range(ANGLES):
            angle = np.pi * (turn + 0.5) / ANGLES
            course = np.array([[0.0, 0.0], [0.0, 120.0]])
            points = turned(course, angle, 90 + rng.uniform(0, 1, 2)) * unit
            if anisotropic:
                mask = tube_in_space(points, width * unit / 2, (90, 200), size)
            else:
                mask = drawn(points, width / 2, (200, 200))
            found = napari_darl.measure(mask, pixel_size=tuple(size)).segments
            pieces += len(found["length"])
            longest = int(found["length"].argmax())
            diameter.append(found["diameter"][longest] / unit - width)
            drawing.append(_drawn_width(mask, points, size) / unit - width)
            doubt.append(_doubt(mask, points, size) / unit)
            length.append(100 * (found["length"][longest] / unit / (120 + width) - 1))
            bent.append(found["tortuosity"][longest] - 1)
        decided = np.array(doubt) <= EXACT
        rows.append(
            (
                f"{width}",
                f"{pieces / ANGLES:.2f}",
                f"{np.mean(diameter):+.3f}",
                f"{np.std(diameter):.3f}",
                f"{np.abs(diameter).max():.2f}",
                f"{np.abs(drawing).max():.2f}",
                f"{np.abs(np.subtract(diameter, drawing)).max():.2f}",
                f"{decided.sum()}",
                f"{np.abs(np.array(diameter)[decided]).max():.2f}",
                f"{np.mean(length):+.2f}",
                f"{np.abs(length).max():.2f}",
                f"{np.max(bent):.4f}",
            )
        )
    heads = (
        "width, px",
        "segments",
        "diameter, mean error",
        "sd",
        "worst",
        "drawing's own, worst",
        "beside the drawing's own, worst",
        f"decided to {EXACT}",
        "worst of these",
        "length, mean error, %",
        "worst",
        "arc/chord - 1, worst",
    )
    return markdown_table(heads, rows)


def _drawn_width(mask: Mask, ends: Floats, size: Floats) -> float:
    """Mean width of the pixels of a straight tube between the ends of its course; those at the ends count in part."""
    length = float(np.linalg.norm(ends[1] - ends[0]))
    direction = (ends[1] - ends[0]) / length
    along = (np.argwhere(mask) * size - ends[0]) @ direction
    extent = float(np.abs(direction) @ size)
    share = np.clip(np.minimum(along, length - along) / extent + 0.5, 0, 1)
    return float(share.sum() * size.prod() / length)


def _doubt(mask: Mask, ends: Floats, size: Floats) -> float:
    """Half of the range of widths with which straight tubes of this direction, cut off at the ends, have this mask."""
    length = float(np.linalg.norm(ends[1] - ends[0]))
    direction = (ends[1] - ends[0]) / length
    places = np.indices(mask.shape).reshape(2, -1).T * size - ends[0]
    along, across = places @ direction, places @ np.array([-direction[1], direction[0]])
    between, drawn_ones = (along > 0) & (along < length), mask.ravel()
    inner, outer = across[between & drawn_ones], across[between & ~drawn_ones]
    widest = outer[outer > inner.max()].min() - outer[outer < inner.min()].max()
    return float(widest - np.ptp(inner)) / 2


def curves() -> str:
    """Arcs and sine waves of known length and curvature."""
    rng = np.random.default_rng(0)
    rows = []
    for width in (3, 5, 8, 12, 16):
        for name, curve in _courses(width):
            steps = np.linalg.norm(np.diff(curve, axis=0), axis=1)
            length, bend = [], []
            for _ in range(12):
                points = turned(curve, rng.uniform(0, 2 * np.pi), 200 + rng.uniform(0, 1, 2))
                mask = drawn(points, width / 2, (400, 400))
                found = napari_darl.measure(mask).segments
                longest = int(found["length"].argmax())
                length.append(100 * (found["length"][longest] / (steps.sum() + width) - 1))
                bend.append(100 * (found["curvature"][longest] / _curvature(points, mask) - 1))
            rows.append(
                (
                    name,
                    f"{width}",
                    *(
                        f"{v:{s}.2f}"
                        for v, s in (
                            (np.mean(length), "+"),
                            (np.abs(length).max(), ""),
                            (np.mean(bend), "+"),
                            (np.std(bend), ""),
                            (np.abs(bend).max(), ""),
                        )
                    ),
                    f"{100 * np.mean(np.abs(bend) < 2):.0f}",
                )
            )
    heads = (
        "course",
        "width, px",
        "length, mean error, %",
        "worst",
        "curvature, mean error, %",
        "sd",
        "worst",
        "within 2 %, %",
    )
    return markdown_table(heads, rows)


def _courses(width: float) -> Iterator[tuple[str, Floats]]:
    """Courses that a vessel of this width can take: radii of curvature of three widths or more."""
    for radius in (40, 80, 150):
        if radius >= 3 * width:
            angle = np.linspace(0, min(1.2 * np.pi, 300 / radius), 600)
            yield f"arc, radius {radius}", radius * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    for wave, height in ((60, 6), (80, 10), (120, 20), (150, 10)):
        if (wave / (2 * np.pi)) ** 2 / height >= 2 * width:
            x = np.linspace(0, 300, 1201)
            yield f"sine, wave {wave}, height {height}", np.stack([height * np.sin(2 * np.pi * x / wave), x], axis=1)


def _curvature(course: Floats, mask: Mask) -> float:
    """Root mean square curvature of a course along the part of it whose curvature `measure` takes for known."""
    first = np.gradient(course, axis=0)
    second = np.gradient(first, axis=0)
    speed = np.linalg.norm(first, axis=1)
    bent = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / speed**3
    found = find_centrelines(np.pad(mask, 1), np.ones(2))
    known = Inner.of(found).points(found.lines) & np.isfinite(found.curvature)
    nearest = cKDTree(course).query(found.lines.points[known] - 1)[1]
    return float(np.sqrt((bent[nearest] ** 2).mean()))


def volumes() -> str:
    """Straight tubes and helices in volumes, with cubic voxels and with flat ones."""
    rng = np.random.default_rng(0)
    rows = []
    for size in (np.ones(3), np.array([2.0, 1.0, 1.0])):
        for width in (4, 6, 8, 12):
            for name in ("straight", "helix"):
                diameter, length = [], []
                for _ in range(6):
                    points, true = _space_curve(name, rng)
                    shape = tuple(np.ceil(np.array([90, 90, 90]) / size).astype(int))
                    mask = tube_in_space(points, width / 2, shape, size)
                    found = napari_darl.measure(mask, pixel_size=tuple(size)).segments
                    longest = int(found["length"].argmax())
                    diameter.append(100 * (found["diameter"][longest] / width - 1))
                    length.append(100 * (found["length"][longest] / (true + width) - 1))
                rows.append(
                    (
                        name,
                        "x".join(f"{s:g}" for s in size),
                        f"{width}",
                        *(
                            f"{v:{s}.2f}"
                            for v, s in (
                                (np.mean(diameter), "+"),
                                (np.abs(diameter).max(), ""),
                                (np.mean(length), "+"),
                                (np.abs(length).max(), ""),
                            )
                        ),
                    )
                )
    heads = ("course", "voxel", "width", "diameter, mean error, %", "worst", "length, mean error, %", "worst")
    return markdown_table(heads, rows)


def _space_curve(name: str, rng: np.random.Generator) -> tuple[Floats, float]:
    if name == "straight":
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        points = 45 + rng.uniform(-0.5, 0.5, 3) + np.linspace(-30, 30, 2001)[:, None] * direction
    else:
        turn = np.linspace(0, 3 * np.pi, 4001)
        spiral = np.stack([4 * turn, 22 * np.sin(turn), 22 * np.cos(turn)], axis=1)
        points = spiral - spiral.mean(axis=0) + 45 + rng.uniform(-0.5, 0.5, 3)
        points = points[:, rng.permutation(3)]
    return points, float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
