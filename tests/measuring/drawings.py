"""Vessels drawn from exact geometry."""

import numpy as np
import numpy.typing as npt

from napari_darl.synthetic.raster import PseudoMask, Segments, rasterise

Floats = npt.NDArray[np.float64]


def vessel(points: Floats, radius: Floats | float, shape: tuple[int, int], outline: float = 1.0) -> PseudoMask:
    """Draw a vessel along points (N, 2), rounded off at its ends."""
    radii = np.broadcast_to(np.asarray(radius, np.float64), len(points))
    count = len(points) - 1
    segments = Segments(
        start=points[:-1],
        end=points[1:],
        radius=np.stack([radii[:-1], radii[1:]], axis=1),
        layer=np.zeros(count, np.int64),
        share=np.ones(count),
        arrival=np.zeros(count),
    )
    return rasterise(shape, segments, outline)


def straight(angle: float, length: float = 120.0, middle: float = 100.3) -> Floats:
    """Return the ends of a straight vessel."""
    along = np.array([np.sin(angle), np.cos(angle)]) * length / 2
    return np.stack([middle - along, middle + along])


def narrowed(width: float, percent: float) -> tuple[Floats, Floats]:
    """Return points and radii of a vessel with a lesion in its middle, two widths long, its profile a cosine."""
    along = np.linspace(0, 140, 281)
    place = np.clip((along - 70) / width, -1, 1)
    radii = width / 2 * (1 - percent / 100 * (1 + np.cos(np.pi * place)) / 2)
    return np.stack([44 + 0.3 * along + 6 * np.sin(along / 140 * np.pi), along + 10.3], axis=1), radii
