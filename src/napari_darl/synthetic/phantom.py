"""Render vessels filled with contrast agent into backgrounds, and make synthetic angiograms and movies."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from napari_darl.errors import InputError
from napari_darl.synthetic.raster import Floats, PseudoMask, Segments, rasterise, transform
from napari_darl.synthetic.tree_config import FRAME, TreeConfig
from napari_darl.synthetic.trees import tree_segments

Frame = NDArray[np.float32]

_NOISE = 0.025  # standard deviation of the quantum noise where the intensity is 1
_FRONT = 40.0  # px of a 512 x 512 frame, over which contrast agent mixes with blood


def render(background: Frame, thickness: Frame, *, absorption: float, blur: float = 0.7) -> Frame:
    """Render vessels filled with contrast agent into a background, by the Beer-Lambert law.

    Parameters
    ----------
    background : numpy.ndarray of float32, shape (H, W)
        In [-1, 1], where -1 is zero intensity.
    thickness : numpy.ndarray of float32, shape (H, W)
        Path length of a ray through the lumens, px.
    absorption : float
        Attenuation by the contrast agent, 1/px; 0.03 to 0.08 look natural in a frame of 512 x 512 px.
    blur : float
        Standard deviation of the detector's blur, px.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W)
        The intensity I exp(-absorption * blurred thickness) with I = (background + 1) / 2, stretched to [-1, 1].

    Raises
    ------
    InputError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> frame = render(np.ones((8, 8), np.float32), np.full((8, 8), 10, np.float32), absorption=0.05)
    >>> round(float(frame[4, 4]), 3)
    0.213
    """
    if background.shape != thickness.shape:
        raise InputError(f"The background's shape {background.shape} differs from the thickness's {thickness.shape}.")
    path = gaussian_filter(thickness, blur, mode="nearest") if blur > 0 else thickness
    return np.asarray((background + 1) * np.exp(-absorption * path) - 1, dtype=np.float32)


def phantom_angiogram(shape: tuple[int, int], rng: np.random.Generator) -> tuple[Frame, PseudoMask]:
    """Make a synthetic angiogram: soft tissue, ribs and a diaphragm, a filled vessel tree, quantum noise.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the frame, at least 32 x 32. Vessels are as thick as in a whole frame of this size, but at
        least half as thick as in a frame of 512 x 512.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    frame : numpy.ndarray of float32, shape (H, W)
        In [-1, 1], with dark vessels.
    truth : PseudoMask
        The vessels, never empty.

    Raises
    ------
    InputError
        If `shape` is too small.

    Examples
    --------
    >>> import numpy as np
    >>> frame, truth = phantom_angiogram((256, 256), np.random.default_rng(0))
    >>> bool(frame[truth.mask].mean() < frame[~truth.mask].mean())
    True
    """
    scale = _pixel_scale(shape)
    truth = rasterise(shape, _visible_trees(shape, rng, scale))
    absorption = rng.uniform(0.03, 0.07) / scale
    filled = render(_tissue(shape, rng), truth.thickness, absorption=absorption)
    return _expose(filled, rng), truth


def phantom_movie(frames: int, shape: tuple[int, int], rng: np.random.Generator) -> tuple[Frame, NDArray[np.bool_]]:
    """Make a synthetic movie: contrast agent flows in along the vessels while the heart beats.

    Parameters
    ----------
    frames : int
        Number of frames, T. The first shows no contrast agent; after two thirds, all vessels are filled.
    shape : tuple of int
        Height and width of a frame, as for `phantom_angiogram`.
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    movie : numpy.ndarray of float32, shape (T, H, W)
        In [-1, 1], with dark vessels.
    masks : numpy.ndarray of bool, shape (T, H, W)
        The vessels that contrast agent has reached.

    Raises
    ------
    InputError
        If `shape` is too small or `frames` isn't positive.

    Examples
    --------
    >>> import numpy as np
    >>> movie, masks = phantom_movie(4, (128, 128), np.random.default_rng(0))
    >>> movie.shape, bool(masks[0].any()), bool(masks[-1].any())
    ((4, 128, 128), False, True)
    """
    if frames < 1:
        raise InputError(f"A phantom movie needs one frame or more, not {frames}.")
    scale = _pixel_scale(shape)
    trees = _visible_trees(shape, rng, scale)
    tissue = _tissue(shape, rng)
    absorption = rng.uniform(0.04, 0.07) / scale
    longest = trees.arrival.max() + _FRONT * scale
    movie, masks = np.empty((frames, *shape), np.float32), np.empty((frames, *shape), bool)
    for t in range(frames):
        front = longest * min(1.5 * t / max(frames - 1, 1), 1.0)
        filled = rasterise(shape, _beat(_fill(trees, front, _FRONT * scale), shape, t, scale))
        movie[t] = _expose(render(tissue, filled.thickness, absorption=absorption), rng)
        masks[t] = filled.mask
    return movie, masks


def _pixel_scale(shape: tuple[int, int]) -> float:
    """Return the factor for the vessels' lengths at which a frame of this shape looks like a whole one."""
    if min(shape) < 32:
        raise InputError(f"A phantom needs 32 x 32 pixels or more, not {shape}.")
    return max(min(shape) / FRAME, 0.5)


def _visible_trees(shape: tuple[int, int], rng: np.random.Generator, scale: float) -> Segments:
    """Grow trees until some of them lie inside the frame."""
    config = TreeConfig(trees=(1, 2))
    while True:
        trees = tree_segments(shape, rng, config, scale)
        if rasterise(shape, trees).mask.mean() > 0.02:
            return trees


def _fill(trees: Segments, front: float, mixing: float) -> Segments:
    """Return the segments that contrast agent has reached, fainter near its front."""
    strength = np.clip((front - trees.arrival) / mixing, 0, 1)
    reached = strength > 0.25
    return Segments(
        trees.start[reached],
        trees.end[reached],
        trees.radius[reached],
        trees.layer[reached],
        (trees.share * strength)[reached],
        trees.arrival[reached],
    )


def _beat(trees: Segments, shape: tuple[int, int], frame: int, scale: float) -> Segments:
    """Return the vessels contracted and shifted as by the heart at frame `frame`, with twelve frames per beat."""
    phase = 2 * np.pi * frame / 12
    contraction = 1 - 0.02 * (1 - np.cos(phase))
    middle = np.array(shape) / 2
    shift = 5 * scale * np.array([np.sin(phase), 0.5 * np.sin(2 * phase)])
    moved = transform(trees, contraction, middle * (1 - contraction) + shift)
    return replace(moved, radius=trees.radius)


def _tissue(shape: tuple[int, int], rng: np.random.Generator) -> Frame:
    """Draw soft tissue, ribs and the edge of a diaphragm, without noise."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    attenuation = 0.15 * _clouds(shape, 4, rng) + 0.05 * _clouds(shape, 9, rng)
    bend, gap, phase = rng.uniform(-0.4, 0.4), rng.uniform(0.5, 0.8), rng.uniform(0, 2 * np.pi)
    ribs = np.cos(2 * np.pi * (y + bend * x**2 + rng.uniform(-0.3, 0.3) * x) / gap + phase)
    attenuation += rng.uniform(0.02, 0.08) / (1 + np.exp(-(ribs - 0.4) / 0.1))
    dome = (x - rng.uniform(-1, 1)) ** 2 / rng.uniform(1, 3) + rng.uniform(0.2, 0.9)
    attenuation += rng.uniform(0.2, 0.5) / (1 + np.exp(-(y - dome) / 0.02))
    intensity = rng.uniform(0.45, 0.6) * np.exp(-attenuation)
    return np.asarray(np.clip(2 * intensity - 1, -1, 1), dtype=np.float32)


def _clouds(shape: tuple[int, int], knots: int, rng: np.random.Generator) -> Floats:
    """Draw smooth noise of about unit variance, whose blobs are 1 / `knots` of the frame wide."""
    coarse = rng.standard_normal((knots, knots))
    clouds: Floats = zoom(coarse, (shape[0] / knots, shape[1] / knots), order=3, mode="nearest", grid_mode=True)
    return clouds


def _expose(frame: Frame, rng: np.random.Generator) -> Frame:
    """Add quantum noise, whose variance is proportional to the intensity, blurred by the detector."""
    noise = 1.7 * gaussian_filter(rng.standard_normal(frame.shape, dtype=np.float32), 0.5)
    noisy = frame + 2 * _NOISE * noise * np.sqrt((frame + 1) / 2)
    return np.asarray(np.clip(noisy, -1, 1), dtype=np.float32)
