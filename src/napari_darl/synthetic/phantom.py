"""Contrast agent by the book: lumens rendered into backgrounds, and made-up angiograms."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from napari_darl.errors import InputError
from napari_darl.synthetic.raster import Floats, PseudoMask, Segments, rasterise, transform
from napari_darl.synthetic.trees import FRAME, TreeConfig, tree_segments

Frame = NDArray[np.float32]

_NOISE = 0.025  # standard deviation of the quantum noise where the intensity is 1
_FRONT = 40.0  # length over which contrast agent mixes with blood, in px of a 512 x 512 frame


def render(background: Frame, thickness: Frame, *, absorption: float, blur: float = 0.7) -> Frame:
    """Fill the vessels of a background with contrast agent, by the law of Beer and Lambert.

    Parameters
    ----------
    background
        (H, W) float32 in [-1, 1], where -1 is no intensity at all.
    thickness
        (H, W) float32, path length of a ray through the lumens, px.
    absorption
        Attenuation of the contrast agent, 1/px; 0.03 to 0.08 look natural in a frame of 512 x 512 px.
    blur
        Standard deviation of the detector's blur, px.

    Returns
    -------
    ndarray
        (H, W) float32 in [-1, 1]: I exp(-absorption * blurred thickness), with I = (background + 1) / 2.

    Raises
    ------
    InputError
        When the shapes differ.
    """
    if background.shape != thickness.shape:
        raise InputError(
            f"A background of shape {background.shape} can't hold vessels of shape {thickness.shape}: crop "
            "or draw one to match the other."
        )
    path = gaussian_filter(thickness, blur, mode="nearest") if blur > 0 else thickness
    return np.asarray((background + 1) * np.exp(-absorption * path) - 1, dtype=np.float32)


def phantom_angiogram(shape: tuple[int, int], rng: np.random.Generator) -> tuple[Frame, PseudoMask]:
    """Make up an angiogram: soft tissue, ribs and a diaphragm, a filled vessel tree, quantum noise.

    Parameters
    ----------
    shape
        (H, W) of the frame; 32 x 32 or more. Vessels are as thick as they would be in a whole frame
        of this size, but not thinner than half of those in a frame of 512 x 512.
    rng
        The only source of chance.

    Returns
    -------
    frame : ndarray
        (H, W) float32 in [-1, 1], vessels dark.
    truth : PseudoMask
        What was drawn, never empty.

    Raises
    ------
    InputError
        When `shape` is too small.
    """
    scale = _pixel_scale(shape)
    truth = rasterise(shape, _visible_trees(shape, rng, scale))
    absorption = rng.uniform(0.03, 0.07) / scale
    filled = render(_tissue(shape, rng), truth.thickness, absorption=absorption)
    return _expose(filled, rng), truth


def phantom_movie(frames: int, shape: tuple[int, int], rng: np.random.Generator) -> tuple[Frame, NDArray[np.bool_]]:
    """Make up a sequence: contrast agent flows in along the vessels while the heart beats.

    Parameters
    ----------
    frames
        T, number of frames; the first shows no contrast agent, from two thirds on all vessels are filled.
    shape
        (H, W) of a frame, as for `phantom_angiogram`.
    rng
        The only source of chance.

    Returns
    -------
    movie : ndarray
        (T, H, W) float32 in [-1, 1], vessels dark.
    masks : ndarray
        (T, H, W) bool, the vessels that contrast agent has reached.

    Raises
    ------
    InputError
        When `shape` is too small or `frames` isn't positive.
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
    """Scale of vessels that makes a frame of this shape look whole."""
    if min(shape) < 32:
        raise InputError(f"A phantom needs 32 x 32 pixels or more, not {shape}.")
    return max(min(shape) / FRAME, 0.5)


def _visible_trees(shape: tuple[int, int], rng: np.random.Generator, scale: float) -> Segments:
    """Draw trees until some of them lie inside of the frame."""
    config = TreeConfig(trees=(1, 2))
    while True:
        trees = tree_segments(shape, rng, config, scale)
        if rasterise(shape, trees).mask.mean() > 0.02:
            return trees


def _fill(trees: Segments, front: float, mixing: float) -> Segments:
    """Keep the segments that contrast agent has reached, fainter near its front."""
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
    """Contract and shift the vessels as the heart does in frame `frame`, twelve frames a beat."""
    phase = 2 * np.pi * frame / 12
    contraction = 1 - 0.02 * (1 - np.cos(phase))
    middle = np.array(shape) / 2
    shift = 5 * scale * np.array([np.sin(phase), 0.5 * np.sin(2 * phase)])
    moved = transform(trees, contraction, middle * (1 - contraction) + shift)
    return replace(moved, radius=trees.radius)


def _tissue(shape: tuple[int, int], rng: np.random.Generator) -> Frame:
    """Soft tissue, some ribs and the edge of a diaphragm, without noise."""
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
    """Smooth noise of about unit variance, a few blobs wide."""
    coarse = rng.standard_normal((knots, knots))
    clouds: Floats = zoom(coarse, (shape[0] / knots, shape[1] / knots), order=3, mode="nearest", grid_mode=True)
    return clouds


def _expose(frame: Frame, rng: np.random.Generator) -> Frame:
    """Add quantum noise, whose variance grows with the intensity, as the detector blurs it."""
    noise = 1.7 * gaussian_filter(rng.standard_normal(frame.shape, dtype=np.float32), 0.5)
    noisy = frame + 2 * _NOISE * noise * np.sqrt((frame + 1) / 2)
    return np.asarray(np.clip(noisy, -1, 1), dtype=np.float32)
