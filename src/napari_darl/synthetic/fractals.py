"""Pseudo-masks of recursively branching rectangles, as SSVS and DARL were trained with.

Ma et al., "Self-supervised vessel segmentation via adversarial learning", ICCV 2021, describe fractals of rectangles
whose widths, lengths and angles are random. This is an independent implementation of that description.

One to three trunks enter from the border. Each branch is a chain of two to four rectangles, whose heading varies and
whose width shrinks on the way. At the end of each rectangle, a thinner and shorter branch may leave to either side,
unless the rectangles are shorter than `_SHORTEST`.
"""

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from napari_darl.errors import InputError
from napari_darl.synthetic.raster import Floats, PseudoMask
from napari_darl.synthetic.tree_config import FRAME

_SHORTEST = 40.0  # px of a 512 x 512 frame


def draw_fractal(shape: tuple[int, int], rng: np.random.Generator, scale: float = 1.0) -> PseudoMask:
    """Draw fractals of rectangles that enter from the border of a frame.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the mask. If smaller than a frame of 512 * `scale` px, it is a random crop of one.
    rng : numpy.random.Generator
        The only source of randomness: the same state gives the same mask.
    scale : float
        Factor for all lengths, for frames of another pixel size.

    Returns
    -------
    PseudoMask
        The rectangles, taken as lumens with a round cross-section; the thickest counts where they overlap.

    Raises
    ------
    InputError
        If `shape` or `scale` isn't positive.

    Examples
    --------
    >>> import numpy as np
    >>> draw_fractal((512, 512), np.random.default_rng(0)).mask.shape
    (512, 512)
    """
    if min(shape) < 1 or not 0 < scale < np.inf:
        raise InputError(f"Fractals need a positive shape and scale, not {shape} and {scale}.")
    frame = np.maximum(np.array(shape) / scale, FRAME)
    corner = rng.uniform(0, 1, 2) * (frame - np.array(shape) / scale)
    radius, chord = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    branches = [_root(frame, rng) for _ in range(rng.integers(1, 4))]
    while branches:
        start, heading, half_width, length = branches.pop()
        for _ in range(rng.integers(2, 5)):
            end = start + length * rng.uniform(0.4, 1.2) * np.array([np.sin(heading), np.cos(heading)])
            _stamp(radius, chord, scale * (start - corner), scale * (end - corner), scale * half_width)
            if length > _SHORTEST and rng.uniform() < 0.7:
                turn = rng.choice([-1, 1]) * rng.uniform(0.4, 1.6)
                thinner = max(half_width * rng.uniform(0.15, 0.6), 0.6)
                branches.append((end, heading + turn, thinner, 0.65 * length))
            start, heading = end, heading + rng.normal(0, 0.35)
            half_width *= rng.uniform(0.7, 1.0)
    return PseudoMask(radius > 0, radius, chord)


def _root(frame: Floats, rng: np.random.Generator) -> tuple[Floats, float, float, float]:
    """Return the start of a trunk on the border, its heading, and the half width and length of its rectangles."""
    start = rng.uniform(0, 1, 2) * frame
    axis = rng.integers(2)
    start[axis] = rng.choice([0, frame[axis]])
    rows, cols = rng.uniform(0.3, 0.7, 2) * frame - start
    return start, float(np.arctan2(rows, cols)), rng.uniform(4, 15), rng.uniform(80, 160)


def _stamp(
    radius: NDArray[np.float32], chord: NDArray[np.float32], start: Floats, end: Floats, half_width: float
) -> None:
    """Draw one rectangle, at least one pixel wide, into both arrays in place."""
    half = max(half_width, 0.5**0.5)
    margin = 2 * half
    if (np.maximum(start, end) < -margin).any() or (np.minimum(start, end) > np.array(radius.shape) + margin).any():
        return
    axis = (end - start) / np.linalg.norm(end - start)
    across = np.array([-axis[1], axis[0]])
    # Start a little earlier, so that no gap opens where the heading turns.
    back = start - half / 2 * axis
    corners = np.array([back + half * across, end + half * across, end - half * across, back - half * across])
    rows, cols = polygon(corners[:, 0], corners[:, 1], radius.shape)
    distance = (rows - start[0]) * across[0] + (cols - start[1]) * across[1]
    depth = 2 * np.sqrt(np.maximum(half**2 - distance**2, 0)) * (half_width / half) ** 2
    radius[rows, cols] = np.maximum(radius[rows, cols], half_width)
    chord[rows, cols] = np.maximum(chord[rows, cols], depth)
