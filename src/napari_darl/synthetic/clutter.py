"""What frames show besides vessels: edges, bands, spots, and bright streaks on vessels.

Rendered into backgrounds, they teach the model what is not a vessel.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import gaussian_filter

from napari_darl.configuration import Config
from napari_darl.synthetic.raster import PseudoMask
from napari_darl.synthetic.tree_config import FRAME

Frame = NDArray[np.float32]

_BEND = (0.3, 4.0)  # radius of the circle that an edge follows, in parts of a frame's side
_BLUR = (0.7, 5.0)  # standard deviation of an edge's blur, px of a 512 px frame
_BAND = (30.0, 110.0)  # width of a band, the same: wider than vessels
_SPOT = (1.5, 14.0)  # radius of a spot, the same
_REFLEX = 0.35  # standard deviation of a bright streak, in parts of the lumen's radius
_REFLEX_FROM = 1.5  # radius, px, from which vessels have a streak


class ClutterConfig(Config):
    """What is rendered into backgrounds: mean numbers per crop.

    Attributes
    ----------
    edges
        Edges along wide arcs: ribs, spine, diaphragm, collimator, the optic disc.
    bands
        Wide bands with two such edges.
    bright_spots, dark_spots
        Elliptic spots: exudates (bright), haemorrhages, cells or calcifications (dark).
    contrast
        Greatest difference of the logarithm of the intensity.
    """

    edges: float = Field(default=0.0, ge=0, le=100)
    bands: float = Field(default=0.0, ge=0, le=100)
    bright_spots: float = Field(default=0.0, ge=0, le=1000)
    dark_spots: float = Field(default=0.0, ge=0, le=1000)
    contrast: float = Field(default=0.4, gt=0, le=5)


def add_clutter(frame: Frame, rng: np.random.Generator, config: ClutterConfig, scale: float = 1.0) -> Frame:
    """Render edges, bands and spots into a background.

    Parameters
    ----------
    frame : numpy.ndarray of float32, shape (H, W)
        In [-1, 1], where -1 is no intensity at all.
    rng : numpy.random.Generator
        The only source of chance.
    config : ClutterConfig
        What is rendered.
    scale : float
        Pixels that go into one pixel of a 512 px frame.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W)
        In [-1, 1].

    Examples
    --------
    >>> frame = np.zeros((64, 64), np.float32)
    >>> add_clutter(frame, np.random.default_rng(0), ClutterConfig(edges=2)).shape
    (64, 64)
    """
    log = np.zeros(frame.shape, np.float32)
    y, x = np.ogrid[: frame.shape[0], : frame.shape[1]]
    wide = [(0.0, rng.poisson(config.edges)), (1.0, rng.poisson(config.bands))]
    for band, count in wide:
        for _ in range(count):
            radius = FRAME * scale * np.exp(rng.uniform(*np.log(_BEND)))
            angle = rng.uniform(0, 2 * np.pi)
            row, column = rng.uniform(0, 1, 2) * frame.shape
            away = np.hypot(y - row - radius * np.sin(angle), x - column - radius * np.cos(angle)) - radius
            blur = scale * np.exp(rng.uniform(*np.log(_BLUR)))
            profile = _step(away / blur)
            if band:
                profile = profile - _step((away - scale * rng.uniform(*_BAND)) / blur)
            log += rng.uniform(-1, 1) * config.contrast * profile
    for sign, mean in ((1.0, config.bright_spots), (-1.0, config.dark_spots)):
        for _ in range(rng.poisson(mean)):
            log += sign * rng.uniform(0.2, 1) * config.contrast * _spot(y, x, rng, frame.shape, scale)
    log = gaussian_filter(log, 0.5)
    rendered: Frame = np.clip((frame + 1) * np.exp(log) - 1, -1, 1).astype(np.float32)
    return rendered


def with_reflex(tree: PseudoMask, strength: float) -> Frame:
    """Remove part of the thickness along the middle of lumens, as the light reflex of retinal arteries does.

    A ray at the distance d from the axis of a lumen of radius r passes c = 2 sqrt(r^2 - d^2) of it, so that
    (d / r)^2 = 1 - (c / 2 r)^2. The streak is a Gaussian of d / r.

    Parameters
    ----------
    tree : PseudoMask
        The lumens.
    strength : float
        Share that is removed on the axis, 0 to 1.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W)
        Thickness, px.
    """
    radius = np.maximum(tree.radius, np.float32(0.5))
    away = 1 - np.clip(tree.thickness / (2 * radius), 0, 1) ** 2
    streak = np.where(tree.radius > _REFLEX_FROM, np.exp(-away / (2 * _REFLEX**2)), 0)
    thickness: Frame = (tree.thickness * (1 - strength * streak)).astype(np.float32)
    return thickness


def _step(distance: NDArray[Any]) -> Frame:
    """Rise smoothly from 0 to 1 about 0."""
    rise: Frame = (1 / (1 + np.exp(-1.7 * np.clip(distance, -20, 20)))).astype(np.float32)
    return rise


def _spot(y: NDArray[Any], x: NDArray[Any], rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Frame:
    """Draw an ellipse of blurred outline, 1 inside."""
    row, column = rng.uniform(0, 1, 2) * shape
    angle = rng.uniform(0, np.pi)
    radius = scale * np.exp(rng.uniform(*np.log(_SPOT)))
    ratio = rng.uniform(1, 2) ** 0.5
    u = (np.cos(angle) * (y - row) + np.sin(angle) * (x - column)) / ratio
    v = (np.cos(angle) * (x - column) - np.sin(angle) * (y - row)) * ratio
    return _step((radius - np.hypot(u, v)) / (scale * rng.uniform(0.5, 2)))
